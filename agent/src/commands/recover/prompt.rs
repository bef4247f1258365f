//! Where lines come from: a person at a terminal, with history and completion, or a script on standard input.

use std::cell::RefCell;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::rc::Rc;

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::archive::{Person, Unanswered};
use super::shell::{Flow, Shell};
use crate::report::out;
use crate::session::depot::Waiting;

const PROMPT: &str = "asyncamanda> ";
/// The longest line of a script, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Tells whether a person types.
pub fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Somebody at a terminal.
pub struct Terminal;

impl Person for Terminal {
    fn say(&mut self, line: &str) {
        out(line);
    }

    fn ask(&mut self, question: &str, default: bool) -> Option<bool> {
        let choice = if default { "[Y/n]" } else { "[y/N]" };
        loop {
            let mut stdout = io::stdout().lock();
            let _ = write!(stdout, "{question} {choice} ").and_then(|()| stdout.flush());
            drop(stdout);
            let mut answer = String::new();
            let _waiting = Waiting::begin();
            match io::stdin().lock().take(LONGEST).read_line(&mut answer) {
                Ok(1..) => {}
                // The safe answer.
                Ok(0) | Err(_) => return Some(false),
            }
            match answer.trim().to_ascii_lowercase().as_str() {
                "" => return Some(default),
                "y" | "yes" => return Some(true),
                "n" | "no" => return Some(false),
                _ => {}
            }
        }
    }
}

/// A script: it is told everything, and asked nothing.
pub struct Script;

impl Person for Script {
    fn say(&mut self, line: &str) {
        out(line);
    }

    fn ask(&mut self, _: &str, _: bool) -> Option<bool> {
        None
    }
}

/// Does what a script says, line by line, to its end or to `quit`.
pub fn script(shell: &mut Shell<'_>) -> Result<(), Unanswered> {
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        let waiting = Waiting::begin();
        let read = input.by_ref().take(LONGEST).read_until(b'\n', &mut line);
        drop(waiting);
        match read {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) => {
                shell.fail(&format!("Standard input cannot be read: {error}"));
                return Ok(());
            }
        }
        let whole = line.ends_with(b"\n") || (line.len() as u64) < LONGEST;
        if !whole {
            shell.fail("A line is too long");
            return Ok(());
        }
        if shell.line(line.trim_ascii_end())? == Flow::Quit {
            return Ok(());
        }
    }
}

/// Lets a person type. What could not be done was seen, so it is no failure of the whole.
pub fn typed(shell: Shell<'_>) -> Result<usize, Unanswered> {
    let shell = Rc::new(RefCell::new(shell));
    let config = Config::builder().completion_type(CompletionType::List).auto_add_history(true).build();
    let editor = Editor::<Help<'_, '_>, MemHistory>::with_history(config, MemHistory::new());
    let Ok(mut editor) = editor else { return script(&mut shell.borrow_mut()).map(|()| 0) };
    editor.set_helper(Some(Help(&shell)));
    loop {
        match editor.readline(PROMPT) {
            Ok(line) => {
                if shell.borrow_mut().line(line.as_bytes())? == Flow::Quit {
                    return Ok(0);
                }
            }
            // Whoever presses it wants another line, not to lose the list.
            Err(ReadlineError::Interrupted) => {}
            Err(_) => return Ok(0),
        }
    }
}

/// Completes.
struct Help<'s, 'a>(&'s Rc<RefCell<Shell<'a>>>);

impl Completer for Help<'_, '_> {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let begun = line.get(..at).unwrap_or(line);
        let offer = self.0.borrow_mut().complete(begun);
        let pair = |word: String| {
            let shown = word.trim_end_matches('/').rsplit('/').next().unwrap_or(&word);
            let slash = if word.ends_with('/') { "/" } else { "" };
            Pair { display: format!("{shown}{slash}"), replacement: word }
        };
        Ok((offer.start, offer.words.into_iter().map(pair).collect()))
    }
}

impl Hinter for Help<'_, '_> {
    type Hint = String;
}

impl Highlighter for Help<'_, '_> {}
impl Validator for Help<'_, '_> {}
impl Helper for Help<'_, '_> {}
