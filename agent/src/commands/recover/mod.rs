//! `recover`: amrecover's shell.
//!
//! [`words`] reads a line, [`patterns`] what its names mean, [`browse`] finds them in the directories as they were, `list` keeps what
//! was chosen, `extract` brings it back; [`shell`] holds all this together, [`complete`] offers what may come next, [`prompt`] is where
//! lines come from. [`archive`] is what the shell asks of the dumps.

pub mod archive;
pub mod browse;
pub mod complete;
mod extract;
#[cfg(test)]
mod fake;
mod list;
pub mod patterns;
pub mod prompt;
pub mod shell;
#[cfg(test)]
mod shell_tests;
pub mod words;
