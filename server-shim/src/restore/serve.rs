//! One conversation: an ask comes, is looked at, and is answered.

use std::io::{self, ErrorKind, Read, Write};

use wire::restore::{Ask, DumpId, MAX_PATHS, PathBytes, Told, What};
use wire::{AbortCode, HostName};

use super::source::Source;
use super::talk::Talk;
use super::{directories, fetch, members, names};
use crate::engine::Trouble;

/// So many asks may be refused in one conversation; who asks for more of what it may not have is not mistaken.
const MAX_REFUSED: usize = 100;

/// So many places of a dump are told, and so many bytes of them: JSON may make six of one.
const MAX_PLACES: usize = 100;
const MAX_PLACES_BYTES: usize = 8 * 1024;

/// Whose dumps may be read, and where they are.
pub trait Library {
    /// Returns the source of a host's dumps. Asked anew for every ask: a permission may end meanwhile.
    ///
    /// # Errors
    /// When they may not be read, or cannot be.
    fn of(&mut self, host: &HostName) -> Result<&mut dyn Source, Trouble>;

    /// Hears what was asked for: "asked" before it is looked at, and what became of it, one word and perhaps more.
    fn note(&mut self, asked: &Asked<'_>, outcome: &str);
}

/// What was asked for, for an audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked<'a> {
    /// "dumps", "names", "directories" or "fetch".
    pub what: &'static str,
    /// Of which host.
    pub host: &'a HostName,
    /// Of which disk and dump.
    pub dump: Option<&'a DumpId>,
    /// Paths in it; the whole of it when there is none.
    pub paths: Vec<&'a PathBytes>,
}

impl<'a> Asked<'a> {
    fn new(ask: &'a Ask, own: &'a HostName) -> Self {
        let of = |what, dump: &'a DumpId, paths| Self { what, host: &dump.host, dump: Some(dump), paths };
        match ask {
            Ask::Dumps { host } => Self { what: "dumps", host: host.as_ref().unwrap_or(own), dump: None, paths: Vec::new() },
            Ask::Names { dump, below, .. } => of("names", dump, vec![below]),
            Ask::Directories { dump, of: paths, .. } => of("directories", dump, paths.iter().collect()),
            Ask::Fetch { dump, what: What::All } => of("fetch", dump, Vec::new()),
            Ask::Fetch { dump, what: What::Members(paths) } => of("fetch", dump, paths.iter().collect()),
        }
    }

    /// Looks at what everybody may be asked for.
    fn is_proper(&self) -> Result<(), Trouble> {
        if self.paths.len() > MAX_PATHS {
            return Err(improper(format!("{} paths are too many, {MAX_PATHS} may be named at a time", self.paths.len())));
        }
        if let Some(path) = self.paths.iter().find(|path| !is_inside(path)) {
            let path = amanda::escape::printable(path.as_bytes());
            return Err(improper(format!(
                "\"{path}\" is no path below a disk's directory: it begins with a slash, or has \".\", \"..\" or nothing between two"
            )));
        }
        let Some(DumpId { datestamp, .. }) = self.dump else { return Ok(()) };
        let is_stamp = matches!(datestamp.len(), 8 | 14) && datestamp.bytes().all(|byte| byte.is_ascii_digit());
        if is_stamp { Ok(()) } else { Err(improper("the datestamp of a dump has 14 digits, or 8".to_owned())) }
    }
}

fn improper(message: String) -> Trouble {
    Trouble::refused(message, "use the same release of asyncamanda on both sides")
}

/// Says whether a path stays below the directory that it is relative to.
fn is_inside(path: &PathBytes) -> bool {
    let bytes = path.as_bytes();
    bytes.is_empty() || bytes.split(|byte| *byte == b'/').all(|name| !matches!(name, b"" | b"." | b".."))
}

/// Why an answer ends early.
pub(super) enum Stop {
    /// The other side is told, and may go on asking.
    No(Trouble),
    /// The stream is broken.
    Gone(io::Error),
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self::No(trouble)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

/// The dump, or its list of names, is damaged, and what was to be answered is not there.
pub(super) fn damaged(what: &str, why: impl std::fmt::Display) -> Stop {
    Stop::No(Trouble {
        code: AbortCode::Failed,
        message: format!("{what} cannot be read: {why}"),
        hint: "an earlier dump may be whole; the operator can read all of them back with asyncamanda-shim verify".to_owned(),
    })
}

/// Says whether a stream that has a limit of time has come to it.
fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Tells who has asked for nothing for too long that this is the end; it hears that when it asks again.
fn idle<R: Read, W: Write>(talk: &mut Talk<R, W>, error: io::Error) -> io::Result<Option<Ask>> {
    if !is_late(&error) {
        return Err(error);
    }
    talk.tell(&Told::No {
        code: AbortCode::Later,
        message: "nothing was asked for too long, so the server has let go of its dumps".to_owned(),
        hint: "start it again".to_owned(),
    })?;
    talk.flush()?;
    Err(io::Error::new(ErrorKind::TimedOut, "the laptop asked for nothing for too long"))
}

/// Answers until the other end of the stream is closed. `own` is the host that is meant when none is named.
///
/// # Errors
/// When the stream breaks, or what comes on it is not understood.
pub fn serve(library: &mut dyn Library, own: &HostName, from: impl Read, to: impl Write) -> io::Result<()> {
    let mut talk = Talk::new(from, to);
    let mut refused = 0;
    while let Some(ask) = talk.hear().or_else(|error| idle(&mut talk, error))? {
        let asked = Asked::new(&ask, own);
        library.note(&asked, "asked");
        match answer(library, &ask, &asked, &mut talk) {
            Ok(()) => {
                library.note(&asked, "ok");
                talk.tell(&Told::Done)?;
            }
            Err(Stop::No(Trouble { code, message, hint })) => {
                let kind = if code == AbortCode::Refused { "refused" } else { "failed" };
                library.note(&asked, &format!("{kind}: {message}"));
                talk.tell(&Told::No { code, message, hint })?;
                refused += usize::from(code == AbortCode::Refused);
            }
            Err(Stop::Gone(error)) => {
                let error =
                    if is_late(&error) { io::Error::new(ErrorKind::TimedOut, "the laptop took nothing for too long") } else { error };
                library.note(&asked, &format!("cut off: {error}"));
                return Err(error);
            }
        }
        talk.flush()?;
        if refused > MAX_REFUSED {
            return Err(io::Error::new(ErrorKind::PermissionDenied, "too much was asked for that may not be read"));
        }
    }
    Ok(())
}

/// Leaves out places that would make a dump too long for one message: it may have thousands of parts. Places are for people.
fn few(mut places: Vec<String>) -> Vec<String> {
    let mut bytes = 0;
    let fits = |place: &&String| {
        bytes += place.len();
        bytes <= MAX_PLACES_BYTES
    };
    let kept = places.iter().take(MAX_PLACES).take_while(fits).count();
    let more = places.len() - kept;
    places.truncate(kept);
    if more > 0 {
        places.push(format!("and {more} more"));
    }
    places
}

fn answer<R: Read, W: Write>(library: &mut dyn Library, ask: &Ask, asked: &Asked<'_>, talk: &mut Talk<R, W>) -> Result<(), Stop> {
    asked.is_proper()?;
    let source = library.of(asked.host)?;
    match ask {
        Ask::Dumps { .. } => {
            for mut dump in source.dumps(asked.host)? {
                dump.places = few(dump.places);
                talk.tell(&Told::Dump(Box::new(dump)))?;
            }
            Ok(())
        }
        Ask::Names { dump, below, deep } => names::answer(source, dump, below, *deep, talk),
        Ask::Directories { dump, of, deep } => directories::answer(source.stored(dump)?, of, *deep, talk),
        Ask::Fetch { dump, what: What::All } => fetch::answer(source.stored(dump)?, talk),
        Ask::Fetch { dump, what: What::Members(paths) } => members::answer(source.stored(dump)?, paths, talk),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_with_thousands_of_parts_is_told_in_one_message() {
        let parts = |count: usize, length: usize| (0..count).map(|part| format!("{part:0length$}")).collect::<Vec<_>>();
        assert_eq!(few(parts(100, 10)), parts(100, 10));
        let told = few(parts(5000, 10));
        assert_eq!((told.len(), told[100].as_str()), (101, "and 4900 more"));
        let told = few(parts(100, 1024));
        assert_eq!((told.len(), told[8].as_str()), (9, "and 92 more"));
        assert_eq!(few(parts(1, 10_000)), ["and 1 more"]);
    }

    #[test]
    fn only_paths_below_the_disks_directory_are_paths() {
        for (path, inside) in [
            (&b""[..], true),
            (b"a", true),
            (b"a/b..", true),
            (b"a/\xff\n/.c", true),
            (b"..", false),
            (b"a/../b", false),
            (b"a/..", false),
            (b"/etc", false),
            (b"a//b", false),
            (b"a/./b", false),
        ] {
            assert_eq!(is_inside(&PathBytes::new(path)), inside, "{}", path.escape_ascii());
        }
    }
}
