//! Sizes of dumps to come, as the client finds them; asked for only where no history tells.

use amanda::protocol::reply::{Sendsize, Size};
use amanda::protocol::request::Service;

use super::Connection;
use super::dialogue::{self, Broken, Unserved, clients_words, understood};
use super::dump::Ask;

/// Sizes from here on (KiB) are none that a host has: 1 EiB.
const BIGGEST: u64 = 1 << 50;

/// By level, the size in bytes or why there is none.
pub type Sizes = Vec<(u8, Result<u64, String>)>;

/// Why there is no estimate.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The dumptype cannot be served.
    #[error(transparent)]
    Unserved(#[from] Unserved),
    /// The conversation came to nothing.
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// Asks a client for the sizes of a disk's dumps at these levels, before compression, in bytes; the level in `ask` does not
/// count. Where there is no size, there are words.
///
/// # Errors
/// When there is no answer.
pub fn estimate(connection: Connection, ask: &Ask<'_>, levels: &[u8]) -> Result<Sizes, AskError> {
    let dle = ask.wish().estimate(levels)?;
    let (asker, patience) = (ask.asker(), ask.patience);
    let levels = levels.to_vec();
    dialogue::talk(connection, &|_| {}, move |peer| {
        understood(peer.noop(patience.check)?, &dle)?;
        let disk = dle.disk.clone();
        let body = asker.ask(peer, Service::Sendsize, vec![dle], patience.for_estimates(levels.len()))?;
        let answer = Sendsize::parse(&body).map_err(|why| Broken::Answer { service: Service::Sendsize.name(), why })?;
        Ok(levels.into_iter().map(|level| (level, size(&answer, &disk, level))).collect())
    })
}

/// The size of one level. Words beside it count more than a number that stands for none.
fn size(answer: &Sendsize, disk: &[u8], level: u8) -> Result<u64, String> {
    let mut missing = "the client said no size".to_owned();
    for line in answer.lines.iter().filter(|line| line.disk == disk && line.level == u16::from(level)) {
        match &line.size {
            Size::Kib(kib) if *kib < BIGGEST => return Ok(kib * 1024),
            Size::Kib(kib) => missing = format!("the client says {kib} KiB, which is not believed"),
            Size::Error(text) | Size::Warning(text) => missing = clients_words(text),
            Size::Unknown | Size::Impossible => {}
        }
    }
    Err(missing)
}
