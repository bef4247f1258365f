//! What a client says for a dump's header, in its order: what of it a server must not take.

use super::{Line, implied};
use crate::protocol::request::{DleRequest, Program};

/// Why a line is not to be taken. Reads on from "a line that …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The header was complete before.
    #[error("comes after the dump's header is complete")]
    Late,
    /// It follows from nothing that the server asked for.
    #[error("its dumptype does not imply")]
    NotImplied,
    /// Amanda's dumper dies of such a header.
    #[error("completes a header that names no program")]
    Nameless,
    /// Amanda's dumper obeys it, whatever the level is.
    #[error("would have Amanda make another dump, at a level that it does not choose itself")]
    Retry,
    /// Amanda's dumper writes it to a file.
    #[error("would have Amanda keep a state that its program does not have")]
    State,
}

/// Follows the lines of one dump.
#[derive(Debug, Default)]
pub struct Introduction {
    named: bool,
    complete: bool,
}

impl Introduction {
    /// Hears the next line about this dump.
    ///
    /// # Errors
    /// When a server must not act on it; the dump is spoilt then.
    pub fn hear(&mut self, dle: &DleRequest, line: &Line<'_>) -> Result<(), Unfit> {
        match line {
            Line::Info { .. } if self.complete => Err(Unfit::Late),
            Line::Info { key, value } => {
                implied(dle, key, value).map_err(|_| Unfit::NotImplied)?;
                self.named |= *key == b"BACKUP";
                Ok(())
            }
            Line::InfoEnd if !self.named => Err(Unfit::Nameless),
            Line::InfoEnd => {
                self.complete = true;
                Ok(())
            }
            Line::Retry(_) => Err(Unfit::Retry),
            Line::State(_) if dle.program != Program::Application => Err(Unfit::State),
            _ => Ok(()),
        }
    }

    /// Says whether the header is complete: the dump's bytes may come.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }
}
