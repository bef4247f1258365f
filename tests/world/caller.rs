//! A laptop that speaks the protocol by hand, over a real ssh: for what the agent would not say, or not show.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use wire::{Decoder, DiskName, FromAgent, FromShim, Hello, message};

/// One session.
#[derive(Debug)]
pub struct Caller {
    child: Child,
    say: Option<Sender<Vec<u8>>>,
    heard: Receiver<FromShim>,
    so_far: Vec<FromShim>,
}

impl Caller {
    /// Opens a session through this command (`Laptop::ssh`), and says hello. Heartbeats are sent until it hangs up.
    ///
    /// # Panics
    /// When the program cannot be started.
    pub fn call(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("ssh is installed");
        let (say, to_say) = channel();
        let (hear, heard) = channel();
        let stdin = child.stdin.take().expect("it was asked for");
        let mut stdout = child.stdout.take().expect("it was asked for");
        std::thread::spawn(move || speak(stdin, &to_say));
        std::thread::spawn(move || {
            let mut decoder = Decoder::new();
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut piece) {
                decoder.feed(&piece[..count]);
                while let Ok(Some(frame)) = decoder.next_frame() {
                    let message = wire::frame::unpack(frame).expect("the shim's own messages");
                    if hear.send(message).is_err() {
                        return;
                    }
                }
            }
        });
        let mut caller = Self { child, say: Some(say), heard, so_far: Vec::new() };
        caller.say(&FromAgent::Hello(Hello::ours("asyncamanda-tests")));
        caller
    }

    /// Says one thing.
    pub fn say(&mut self, message: &FromAgent) {
        self.say_bytes(wire::frame::pack(message).expect("short"));
    }

    /// Says bytes, whatever they are. When the other side has hung up, nothing happens: it shows in what is heard.
    pub fn say_bytes(&mut self, bytes: Vec<u8>) {
        let _hung_up = self.say.as_ref().expect("it was not hung up").send(bytes);
    }

    /// Waits for the first message, from now on, that is the one looked for.
    ///
    /// # Panics
    /// When it does not come within the time, or the session ends before; with all that was heard.
    #[track_caller]
    pub fn hear<T>(&mut self, what: &str, within: Duration, mut is_it: impl FnMut(&FromShim) -> Option<T>) -> T {
        let end = Instant::now() + within;
        loop {
            match self.heard.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(message) => {
                    let found = is_it(&message);
                    self.so_far.push(message);
                    if let Some(found) = found {
                        return found;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("not heard within {within:?}: {what}; heard: {:#?}", self.so_far),
                Err(RecvTimeoutError::Disconnected) => panic!("hung up before it was heard: {what}; heard: {:#?}", self.so_far),
            }
        }
    }

    /// Triggers for one disk, as an agent with that one in its configuration does, and waits until the server has it: its ticket and
    /// whether that joined an earlier one; nothing when it joined a run that goes on already.
    #[track_caller]
    pub fn trigger(&mut self, disk: &Path, within: Duration) -> Option<(String, bool)> {
        self.say(&FromAgent::Trigger { disks: vec![DiskName::new(disk).expect("a path of our own")] });
        self.hear("queued or progress", within, |message| match message {
            FromShim::Queued { ticket, joined, .. } => Some(Some((ticket.clone(), *joined))),
            FromShim::Progress(_) => Some(None),
            _ => None,
        })
    }

    /// Waits for the end and returns the receipts heard by then.
    #[track_caller]
    pub fn receipts(&mut self, within: Duration) -> Vec<wire::Receipt> {
        self.hear("the end", within, |message| matches!(message, FromShim::End { .. }).then_some(()));
        let receipt = |message: &FromShim| if let FromShim::Receipt(receipt) = message { Some(receipt.as_ref().clone()) } else { None };
        self.so_far.iter().filter_map(receipt).collect()
    }

    /// Returns the ssh client's process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("process ids are small")
    }

    /// Ends its side of the talk and returns the status that the forced command ended with.
    pub fn hang_up(mut self, within: Duration) -> Option<i32> {
        self.say = None;
        let end = Instant::now() + within;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                return status.code();
            }
            crate::wait::glance();
        }
        panic!("the session has not ended within {within:?}; heard: {:#?}", self.so_far);
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _status = self.child.wait();
    }
}

fn speak(mut stdin: ChildStdin, to_say: &Receiver<Vec<u8>>) {
    let heartbeat = wire::frame::pack(&FromAgent::Heartbeat).expect("short");
    loop {
        let bytes = match to_say.recv_timeout(Duration::from_secs(message::HEARTBEAT_SECONDS)) {
            Ok(bytes) => bytes,
            Err(RecvTimeoutError::Timeout) => heartbeat.clone(),
            // Dropping stdin is the end of our side.
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if stdin.write_all(&bytes).and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}
