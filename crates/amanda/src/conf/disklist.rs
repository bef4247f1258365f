//! The disklist: which disks of which hosts are dumped, and how (`parse_diskline` in server-src/diskfile.c).
//!
//! ```text
//! laptop1  /home                     laptop
//! laptop1  docs  "/home/me/my docs"  laptop  1  lan      # name, device, dumptype, spindle, interface
//! laptop1  /srv  {
//!     laptop
//!     compress none
//! }
//! includefile "more-disks"
//! ```

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use super::lexer::{Lexer, Spanned, Token};
use super::parser::{Parser, TOO_LONG, UNREADABLE, of_file};
use super::{ConfError, Config, Dumptype, Kind, LONGEST, Place, Source, meant};
use crate::dle::Dle;
use crate::quoting::{Words, sanitise, split_words, unquote};

const DEEPEST: usize = 16;

/// What a line looks like.
const FORM: &str = "write: HOST DISK [DIRECTORY] DUMPTYPE [SPINDLE [INTERFACE]]";

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Its host and name.
    pub dle: Dle,
    /// The directory or device, where it is not the name.
    pub device: Option<OsString>,
    /// The name of its dumptype, which the config has; a definition of its own is put there under a name that is made up.
    pub dumptype: String,
    /// Disks of a host with the same spindle are not dumped at once.
    pub spindle: Option<i64>,
    /// The network.
    pub interface: Option<String>,
    /// The file it stands in.
    pub file: PathBuf,
    /// Where its host stands.
    pub at: Place,
}

impl Disk {
    /// Returns the directory that is dumped: the device, or the name.
    #[must_use]
    pub fn directory(&self) -> &Path {
        Path::new(self.device.as_ref().unwrap_or(&self.dle.disk))
    }

    /// Returns how it is dumped, out of the config that its list was read with.
    #[must_use]
    pub fn how<'a>(&self, config: &'a Config) -> Option<Dumptype<'a>> {
        config.dumptype(&self.dumptype)
    }
}

/// Returns the disk whose interface and `maxdumps` count for all disks of a host: the last one, as for Amanda.
#[must_use]
pub fn of_host<'a>(disks: &'a [Disk], host: &str) -> Option<&'a Disk> {
    disks.iter().rfind(|disk| disk.dle.host == host)
}

/// Reads a disklist. Dumptypes that it defines are put into the config.
///
/// # Errors
/// At the first thing that Amanda would refuse.
pub fn load(config: &mut Config, path: &Path, source: &dyn Source) -> Result<Vec<Disk>, ConfError> {
    let mut reader = Reader { config, source, disks: Vec::new(), by_path: BTreeMap::new(), hosts: BTreeMap::new() };
    reader.file(path, 0)?;
    Ok(reader.disks)
}

struct Reader<'a> {
    config: &'a mut Config,
    source: &'a dyn Source,
    disks: Vec<Disk>,
    /// Disks by what their files are called: two may not share that.
    by_path: BTreeMap<(OsString, OsString), usize>,
    /// Hosts by their names in small letters: one is to have one name.
    hosts: BTreeMap<String, String>,
}

/// A line that is being read.
struct Line<'a> {
    file: &'a Path,
    number: usize,
    text: &'a [u8],
    words: Words<'a>,
}

impl<'a> Line<'a> {
    /// A word is a piece of the line, so its place is told by where it lies.
    fn place(&self, word: &[u8]) -> Place {
        let column = (word.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize).filter(|at| *at <= self.text.len());
        Place { line: self.number, column: column.unwrap_or(0) + 1 }
    }

    fn error<T>(&self, word: &[u8], what: impl Into<String>, hint: impl Into<String>) -> Result<T, ConfError> {
        Err(ConfError { file: self.file.to_owned(), at: Some(self.place(word)), what: what.into(), hint: hint.into() })
    }

    /// Takes the next word; nothing before a comment.
    fn word(&mut self) -> Option<&'a [u8]> {
        if self.words.rest().starts_with(b"#") {
            return None;
        }
        self.words.next()
    }

    fn needed(&mut self, what: &str) -> Result<&'a [u8], ConfError> {
        match self.word() {
            Some(word) => Ok(word),
            None => self.error(&self.text[self.text.len()..], format!("{what} is missing"), FORM),
        }
    }

    fn name(&self, word: &[u8]) -> Result<Vec<u8>, ConfError> {
        match unquote(word) {
            Ok(name) if !name.is_empty() && !name.contains(&0) => Ok(name),
            Ok(_) => self.error(word, "an empty name", FORM),
            Err(error) => self.error(word, error.to_string(), "write a name with blanks in quotation marks: \"my docs\""),
        }
    }
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, depth: usize) -> Result<(), ConfError> {
        if depth > DEEPEST {
            return Err(of_file(path, "too many files include one another".to_owned(), "take out the includefile that leads back here"));
        }
        let text = self.source.read(path).map_err(|cause| of_file(path, format!("cannot be read: {cause}"), UNREADABLE))?;
        if text.len() > LONGEST {
            return Err(of_file(path, "is longer than 1 MiB".to_owned(), TOO_LONG));
        }
        let mut lines = text.split(|&byte| byte == b'\n').enumerate();
        while let Some((at, text)) = lines.next() {
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let mut line = Line { file: path, number: at + 1, text, words: split_words(text) };
            let Some(first) = line.word() else { continue };
            if first == b"includefile" {
                let word = line.needed("the name of a file")?;
                let name = line.name(word)?;
                let file = self.config.directory().join(OsString::from_vec(name));
                self.file(&file, depth + 1).map_err(|error| match error.at {
                    None => ConfError {
                        file: path.to_owned(),
                        at: Some(line.place(first)),
                        what: format!("{} {}", error.file.display(), error.what),
                        hint: error.hint,
                    },
                    Some(_) => error,
                })?;
                continue;
            }
            self.disk(first, &mut line, &mut lines)?;
        }
        Ok(())
    }

    fn disk<'a>(
        &mut self,
        host: &'a [u8],
        line: &mut Line<'a>,
        lines: &mut impl Iterator<Item = (usize, &'a [u8])>,
    ) -> Result<(), ConfError> {
        let at = line.place(host);
        let name = line.needed("the disk's name")?;
        let disk = line.name(name)?;
        let Some(dle) = Dle::from_names(host, disk) else {
            return line.error(host, "no host has such a name", "write the host's name: letters, digits, . and -; no quotation marks");
        };
        if let Some(other) = self.hosts.get(&dle.host.to_ascii_lowercase()).filter(|other| **other != dle.host) {
            return line.error(host, format!("the host {} is {other} in another line", dle.host), format!("write {other} here, too"));
        }
        self.hosts.insert(dle.host.to_ascii_lowercase(), dle.host.clone());
        let mut word = line.needed("the dumptype")?;
        let mut device = None;
        // What is no dumptype is a device when something follows it.
        if word != b"{" && self.dumptype(word).is_none() {
            let after = line.word();
            match after {
                Some(after) => {
                    device = Some(OsString::from_vec(line.name(word)?));
                    word = after;
                }
                None => return self.no_dumptype(line, word),
            }
        }
        let dumptype = if word == b"{" {
            let (name, rest) = self.definition(&dle, line, lines)?;
            // What stands behind the closing brace goes on as the line.
            *line = rest;
            name
        } else {
            match self.dumptype(word) {
                Some(name) => name,
                None => return self.no_dumptype(line, word),
            }
        };
        let spindle = match line.word() {
            None => None,
            Some(word) => match std::str::from_utf8(word).ok().and_then(|word| word.parse().ok()) {
                Some(spindle) => Some(spindle),
                None => {
                    return line.error(
                        word,
                        "the spindle is a whole number",
                        "write -1 for a disk that shares its spindle with none; the interface comes behind it",
                    );
                }
            },
        };
        let mut interface = None;
        if let Some(word) = line.word() {
            let name = String::from_utf8_lossy(word);
            match self.config.section(Kind::Interface, &name) {
                Some(section) => interface = Some(section.name.clone()),
                None if name.eq_ignore_ascii_case("default") => interface = Some("default".to_owned()),
                None => {
                    let otherwise = format!("write `define interface {name} {{` into amanda.conf");
                    let hint = meant(&name, self.config.sections(Kind::Interface).map(|section| section.name.as_str()), &otherwise);
                    return line.error(word, "there is no such interface", hint);
                }
            }
        }
        if let Some(word) = line.word() {
            return line.error(word, "the line has to end here", FORM);
        }
        let place = (sanitise(dle.host.as_bytes()), sanitise(dle.disk_bytes()));
        if let Some(other) = self.by_path.get(&place).and_then(|at| self.disks.get(*at)) {
            let what = format!("{dle} has its files where {} of line {} has them", other.dle, other.at.line);
            return line.error(name, what, "give one of the two another name, and the directory behind it");
        }
        self.by_path.insert(place, self.disks.len());
        let file = line.file.to_owned();
        self.disks.push(Disk { dle, device, dumptype, spindle, interface, file, at });
        Ok(())
    }

    /// Returns the name of the dumptype that a word names.
    fn dumptype(&self, word: &[u8]) -> Option<String> {
        let name = String::from_utf8(unquote(word).ok()?).ok()?;
        self.config.section(Kind::Dumptype, &name).map(|section| section.name.clone())
    }

    fn no_dumptype<T>(&self, line: &Line<'_>, word: &[u8]) -> Result<T, ConfError> {
        let name = String::from_utf8_lossy(word).into_owned();
        let otherwise = "write the name of a dumptype that amanda.conf or a file that it includes defines, or { for one of its own";
        let hint = meant(&name, self.config.sections(Kind::Dumptype).map(|section| section.name.as_str()), otherwise);
        line.error(word, "there is no such dumptype", hint)
    }

    /// Reads `{` to `}`, which begins a line, with the parser of amanda.conf.
    fn definition<'a>(
        &mut self,
        dle: &Dle,
        line: &Line<'a>,
        lines: &mut impl Iterator<Item = (usize, &'a [u8])>,
    ) -> Result<(String, Line<'a>), ConfError> {
        let rest = line.words.rest();
        if !rest.is_empty() && !rest.starts_with(b"#") {
            return line.error(rest, "the line has to end behind {", "begin the next line here");
        }
        let mut block = b"{\n".to_vec();
        let (mut end, mut inner) = (None, 0);
        for (at, text) in lines.by_ref() {
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            inner += braces(text);
            if let Some(after) = text.trim_ascii_start().strip_prefix(b"}").filter(|_| inner < 0) {
                end = Some(Line { file: line.file, number: at + 1, text, words: split_words(after) });
                break;
            }
            block.extend(text);
            block.push(b'\n');
        }
        let Some(end) = end else {
            return line.error(
                &line.text[line.text.len()..],
                "this { is never closed",
                "write } into a line of its own where the disk's settings end",
            );
        };
        block.extend(b"}\n");
        let name = format!("custom({dle}).{}", line.number);
        let mut parser = Parser::of_piece(self.config, line.file.to_owned(), &block, line.number, self.source);
        parser.block(Kind::Dumptype, name.clone(), Place { line: line.number, column: 1 })?;
        Ok((name, end))
    }
}

/// How many braces a line opens, less those that it closes. A definition may have others in it, such as that of an application.
fn braces(line: &[u8]) -> i64 {
    let mut lexer = Lexer::new(line);
    let mut open = 0;
    // What is wrong with the line the parser will tell.
    while let Ok(Spanned { token, .. }) = lexer.next() {
        match token {
            Token::OpenBrace => open += 1,
            Token::CloseBrace => open -= 1,
            Token::End => break,
            _ => {}
        }
    }
    open
}
