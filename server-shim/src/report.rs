//! Words for people, made once: what happened, why, what to do next. Standard error, or the laptop's screen through the
//! protocol.

use std::fmt;

use amanda::escape::printable;
use wire::Exit;

/// An ending in words, with its exit status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// How the program ends.
    pub exit: Exit,
    /// What happened.
    pub what: String,
    /// Why; empty when there is nothing to say.
    pub why: String,
    /// What to do next; empty when nothing can be done.
    pub hint: String,
}

impl Words {
    /// Says what happened.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), why: String::new(), hint: String::new() }
    }
    /// Adds why.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }
    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "asyncamanda-shim: {}", printable(self.what.as_bytes()))?;
        if !self.why.is_empty() {
            write!(f, "\n  because: {}", printable(self.why.as_bytes()))?;
        }
        if !self.hint.is_empty() {
            write!(f, "\n  hint: {}", printable(self.hint.as_bytes()))?;
        }
        Ok(())
    }
}

impl From<crate::config::ConfigError> for Words {
    fn from(error: crate::config::ConfigError) -> Self {
        let hint = match &error {
            crate::config::ConfigError::Read { .. } => "write one (docs/operators-guide.md has an example), or name it with --config FILE",
            crate::config::ConfigError::Parse { .. } => "docs/operators-guide.md lists every key",
            crate::config::ConfigError::Untrusted { .. } => "chown root: and chmod 644 it",
        };
        Self::new(Exit::Config, "the configuration cannot be used").because(error.to_string()).hint(hint)
    }
}

impl From<crate::engine::Trouble> for Words {
    fn from(trouble: crate::engine::Trouble) -> Self {
        Self::new(trouble.code.exit(), trouble.message).hint(trouble.hint)
    }
}
