//! Words for people, made once: what happened, because of what, and what to do next.
//!
//! [`problems`] makes them of errors, [`verdicts`] of decisions, [`tables`] of receipts, [`progress`] of news, [`dumps`] of what a catalog lists, [`restoring`] and [`restored`] of a restore, [`when`]
//! of times. Modules that act return values; only this one and [`Voice`] know how they read.

pub mod dumps;
pub mod problems;
pub mod progress;
pub mod restored;
pub mod restoring;
pub mod tables;
pub mod verdicts;
pub mod when;

use std::fmt;
use std::io::Write as _;

use serde::Serialize;
use wire::Exit;

/// Something that a person should hear, in the three lines of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How the program ends.
    #[serde(serialize_with = "as_code")]
    pub exit: Exit,
    /// What happened.
    pub what: String,
    /// Why; empty when the first line says it all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub because: String,
    /// What to do next; empty when nothing can be said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

fn as_code<S: serde::Serializer>(exit: &Exit, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(exit.code())
}

impl Problem {
    /// Returns a problem without a cause or a hint.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), because: String::new(), hint: String::new() }
    }

    /// Says why.
    pub fn because(mut self, because: impl Into<String>) -> Self {
        self.because = because.into();
        self
    }

    /// Says what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "asyncamanda: {}", self.what)?;
        for (name, text) in [("because", &self.because), ("hint", &self.hint)] {
            if !text.is_empty() {
                write!(f, "\n  {name}: {text}")?;
            }
        }
        Ok(())
    }
}

/// How this call speaks.
#[derive(Debug, Clone, Copy)]
pub struct Voice {
    /// Say more on standard error.
    pub verbose: bool,
    /// Print JSON on standard output.
    pub json: bool,
}

impl Voice {
    /// Tells a problem; returns the exit status it becomes.
    pub fn problem(&self, problem: &Problem) -> u8 {
        if self.json {
            self.json(&serde_json::json!({ "exit": problem.exit.code(), "problem": problem }));
        }
        err(&problem.to_string());
        problem.exit.code()
    }

    /// Says something that only the curious want to hear.
    pub fn note(&self, text: &str) {
        if self.verbose {
            err(&format!("asyncamanda: {text}"));
        }
    }

    /// Warns.
    pub fn warn(&self, text: &str) {
        err(&format!("asyncamanda: warning: {text}"));
    }

    /// Prints a value for programs.
    pub fn json(&self, value: &serde_json::Value) {
        out(&value.to_string());
    }
}

/// Prints a line on standard output. A reader who has left is no reason to fail: the work is done all the same.
pub fn out(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Prints a line on standard error.
pub fn err(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Returns bytes of others, fit for a terminal.
pub fn show(bytes: impl AsRef<[u8]>) -> String {
    amanda::escape::printable(bytes.as_ref())
}
