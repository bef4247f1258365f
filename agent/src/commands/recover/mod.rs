//! `recover`: amrecover's shell.
//!
//! [`words`] reads a line, [`patterns`] what its names mean, [`browse`] finds them in the directories as they were, `list` keeps what
//! was chosen, `extract` brings it back; [`shell`] holds all this together, [`complete`] offers what may come next, [`prompt`] is where
//! lines come from. [`archive`] is what the shell asks of the dumps, `library` the one that answers.

pub mod archive;
pub mod browse;
pub mod complete;
mod extract;
#[cfg(test)]
mod fake;
mod library;
mod list;
pub mod patterns;
pub mod prompt;
pub mod shell;
#[cfg(test)]
mod shell_tests;
pub mod words;

use restore::depot::DepotError;
use wire::{Exit, HostName};

use self::archive::Unanswered;
use self::library::Library;
use self::prompt::{Script, Terminal};
use self::shell::Shell;
use super::reach::Reach;
use crate::report::{Problem, Voice, dumps, err, out, restored};
use crate::session::depot::Depot;

/// `recover`.
pub fn run(reach: &Reach, overwrite: bool, voice: &Voice) -> Result<Exit, Problem> {
    if voice.json {
        return Err(
            Problem::new(Exit::Usage, "recover has no JSON").hint("for programs: asyncamanda ls --json, asyncamanda restore --json")
        );
    }
    reach.remarks.iter().for_each(|remark| err(&format!("asyncamanda: {remark}")));
    let worked = reach.with(|depot, host| converse(reach, depot, host, overwrite))?;
    match (worked.value, worked.ended) {
        (Ok(0), _) => Ok(Exit::Done),
        (Ok(_), _) => Ok(Exit::Failed),
        (Err(_), Some(ended)) => {
            let problem = reach.problem(ended);
            Err(if problem.exit == Exit::Later { problem.hint(restored::GOES_ON) } else { problem })
        }
        (Err(Unanswered::No(because)), None) => Err(Problem::new(Exit::Failed, "the dumps cannot be read").because(because)),
        (Err(Unanswered::Lost), None) => Err(dumps::problem(&DepotError::Ended).hint(restored::GOES_ON)),
    }
}

/// Holds the conversation; returns how many lines could not be done.
fn converse(reach: &Reach, depot: &mut Depot, host: &HostName, overwrite: bool) -> Result<usize, Unanswered> {
    let is_terminal = prompt::is_terminal();
    let mut library = Library::new(reach, depot, host.clone());
    let (mut terminal, mut script) = (Terminal, Script);
    let person: &mut dyn archive::Person = if is_terminal { &mut terminal } else { &mut script };
    let mut shell = Shell::new(&mut library, person, host.clone(), reach.at.clone(), overwrite)?;
    if is_terminal {
        out(&format!("Dump host set to {host}. Use the setdisk command to choose dump disk to recover; help lists the commands."));
        return prompt::typed(shell);
    }
    prompt::script(&mut shell)?;
    Ok(shell.failures())
}
