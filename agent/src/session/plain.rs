//! A command of the Perl script's line, on a server of which nobody knows yet whether it has a shim.
//!
//! The command is sent once, with a marker behind it that a shell takes for a comment. The first byte of the answer
//! tells who is there: a frame begins with a length below 16 MiB, so with a zero byte, and a program's text does not.

use std::io::Write as _;

use openssh::Stdio;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{Caller, Opening, SessionError, Stop, Way, block_on, pipes, ssh, status, talk};

/// What became of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A shim answered, and the conversation came to its end.
    Shim,
    /// A program ran, wrote what it wrote and ended with this status.
    Plain(u8),
}

/// Runs the command, and talks if a shim answers.
pub fn command(way: &Way, command: &str, caller: &mut dyn Caller) -> Result<Answer, SessionError> {
    let marked = wire::request::marked(command);
    block_on(async {
        let mut stop = Stop::listen()?;
        let connection = tokio::select! {
            connection = ssh::connect(way) => connection?,
            () = stop.wanted() => return Err(SessionError::Interrupted { queued: false }),
        };
        let mut child = connection
            .session
            .raw_command(ssh::raw(marked.as_deref().unwrap_or(command)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .await
            .map_err(ssh::understand)?;
        let (stdin, mut stdout, stderr) = pipes(&mut child);
        // Without the marker nobody will talk to us; a command that reads its input must find its end.
        let mut stdin = marked.is_some().then_some(stdin);
        let errors = copy(stderr, std::io::stderr());
        tokio::pin!(errors);
        let mut errors_done = false;
        let mut first = vec![0; 16 * 1024];
        let read = loop {
            tokio::select! {
                read = stdout.read(&mut first) => break read.unwrap_or(0),
                () = &mut errors, if !errors_done => errors_done = true,
                () = stop.wanted() => return Err(SessionError::Interrupted { queued: false }),
            }
        };
        let first = &first[..read];
        if first.first() == Some(&0)
            && let Some(stdin) = stdin.take()
        {
            let talk = talk::converse(stdout, stdin, caller, Opening::Listen, first, stop.wanted());
            tokio::pin!(talk);
            loop {
                tokio::select! {
                    talked = &mut talk => return talked.map(|()| Answer::Shim),
                    () = &mut errors, if !errors_done => errors_done = true,
                }
            }
        }
        drop(stdin);
        let mut out = std::io::stdout();
        let _ = out.write_all(first).and_then(|()| out.flush());
        if read > 0 {
            let rest = copy(stdout, out);
            tokio::pin!(rest);
            let mut rest_done = false;
            while !rest_done {
                tokio::select! {
                    () = &mut rest => rest_done = true,
                    () = &mut errors, if !errors_done => errors_done = true,
                    () = stop.wanted() => return Err(SessionError::Interrupted { queued: false }),
                }
            }
        }
        tokio::select! {
            status = ending(child, &mut errors, errors_done) => status.map(Answer::Plain).ok_or(SessionError::Lost { said: String::new(), queued: false }),
            () = stop.wanted() => Err(SessionError::Interrupted { queued: false }),
        }
    })
}

/// A program may close its output long before it ends; only its end counts.
async fn ending(child: super::Child<'_>, errors: impl Future<Output = ()>, errors_done: bool) -> Option<u8> {
    if !errors_done {
        errors.await;
    }
    status(child).await
}

/// Passes everything on, as it comes; what cannot be written is dropped, since the command goes on.
async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl std::io::Write) {
    let mut chunk = [0; 8192];
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        let _ = to.write_all(&chunk[..read]).and_then(|()| to.flush());
    }
}
