//! What is left out and what alone is taken, written into files that tar reads.
//!
//! The server's patterns mean what they mean to Amanda's client (`build_exclude` and `build_include` in
//! client-src/client_util.c); ours are added to what is left out. None of them becomes an argument.
//!
//! A list is a file on the laptop that the server names. It is read only if it is a regular file below the disk's own directory,
//! reached without leaving it by a link or `..`: what lies there goes to the server anyway. Its lines become
//! patterns and never part of an answer. Names to take are looked up here, so that tar never complains, aloud, about one that was
//! only a line of some file; a name that passes through a symlink is not taken, because tar would follow it. What is not taken although the
//! server wants it is in no dump: each such pattern is remarked on (a line of a list by its number), and where it cannot be known what there is
//! to take there is no dump.

mod glob;

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use amanda::escape::printable;
use amanda::protocol::request::{DleRequest, Patterns};
use amanda::quoting;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

use super::Disk;
use super::allow::Refusal;
use glob::Pattern;

/// A longer list is not read, in bytes.
const LONGEST_LIST: u64 = 1024 * 1024;

/// The files that tar reads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Files {
    /// For `--exclude-from`.
    pub exclude: Option<PathBuf>,
    /// For `--files-from`, zero-terminated.
    pub include: Option<PathBuf>,
    /// What an operator should know about them.
    pub remarks: Vec<String>,
}

/// Writes the files of one dump or estimate into `dir`.
pub fn write(dir: &Path, disk: &Disk, request: &DleRequest) -> Result<Files, Refusal> {
    let mut files = Files::default();
    let mut exclude = own(disk)?;
    let unread = |remark| {
        files.remarks.push(remark);
        Ok(())
    };
    // Without such a list the dump is larger.
    for pattern in given("exclude", disk, &request.exclude, unread)? {
        if pattern.text.contains(&0) {
            continue;
        }
        exclude.extend(as_amanda_writes(&pattern.text));
        exclude.push(b'\n');
    }
    if !exclude.is_empty() {
        files.exclude = Some(written(dir, "exclude", &exclude)?);
    }
    if !request.include.is_empty() {
        let patterns = given("include", disk, &request.include, |remark| Err(Refusal::new(remark)))?;
        let found = glob::names(&disk.device, &patterns, glob::MAX_NAMES).map_err(|error| Refusal::new(error.to_string()))?;
        if found.names.is_empty() && found.remarks.is_empty() {
            files.remarks.push("nothing that the server wants to include is there".to_owned());
        }
        files.remarks.extend(found.remarks);
        let names = found.names;
        files.include = Some(written(dir, "include", &names.into_iter().flat_map(|name| [name, vec![0]].concat()).collect::<Vec<u8>>())?);
    }
    Ok(files)
}

fn written(dir: &Path, name: &str, text: &[u8]) -> Result<PathBuf, Refusal> {
    let path = dir.join(name);
    File::create(&path)
        .and_then(|mut file| file.write_all(text))
        .map_err(|error| Refusal::new(format!("cannot write {}: {error}", path.display())))?;
    Ok(path)
}

/// Returns our own patterns, a line each.
fn own(disk: &Disk) -> Result<Vec<u8>, Refusal> {
    let lines = disk.exclude.iter().map(|pattern| own_line(pattern).map(|line| line + "\n"));
    lines.collect::<Result<String, _>>().map(String::into_bytes)
}

/// Returns a pattern of ours as a line of the file that tar reads. tar cuts blanks off a line's end.
pub fn own_line(pattern: &str) -> Result<String, Refusal> {
    if pattern.is_empty() || pattern.contains(['\n', '\0']) {
        return Err(Refusal::new(format!("{pattern:?} is no pattern: correct exclude of this [[disk]] in agent.toml")));
    }
    Ok(match pattern.strip_suffix([' ', '\t', '\r', '\x0b', '\x0c']) {
        Some(rest) => format!("{rest}[{}]", &pattern[rest.len()..]),
        None => pattern.to_owned(),
    })
}

/// Amanda quotes each pattern and takes the outer quotation marks off again; tar's matching takes the backslashes.
fn as_amanda_writes(pattern: &[u8]) -> Vec<u8> {
    let quoted = quoting::quote(pattern);
    quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).map_or(quoted.clone(), <[u8]>::to_vec)
}

/// Returns the patterns of a request and of its lists; `unread` decides about a list that cannot be read.
fn given(
    what: &str,
    disk: &Disk,
    patterns: &Patterns,
    mut unread: impl FnMut(String) -> Result<(), Refusal>,
) -> Result<Vec<Pattern>, Refusal> {
    let named = |text: &Vec<u8>| Pattern { called: format!("{what} {}", printable(text)), text: text.clone() };
    let mut all: Vec<Pattern> = patterns.files.iter().map(named).collect();
    for list in &patterns.lists {
        let beneath = beneath(&disk.device, list).ok_or_else(|| {
            Refusal::new(format!(
                "the server's {what} list {} is not below {}: only such lists are read",
                printable(list),
                disk.device.display()
            ))
        })?;
        match read(&disk.device, &beneath) {
            Ok(text) => {
                let lines = text.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
                all.extend(lines.map(|(number, line)| Pattern {
                    called: format!("line {} of {what} list {}", number + 1, printable(list)),
                    text: line.to_vec(),
                }));
            }
            Err(error) if patterns.optional && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => unread(format!("{what} list {} cannot be read: {error}", printable(list)))?,
        }
    }
    Ok(all)
}

/// Returns a list's path relative to the device; none when it cannot lie below it.
fn beneath(device: &Path, list: &[u8]) -> Option<PathBuf> {
    let path = Path::new(std::ffi::OsStr::from_bytes(list));
    let relative = if path.is_absolute() { path.strip_prefix(device).ok()? } else { path };
    let plain = relative.components().all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir));
    plain.then(|| relative.to_path_buf())
}

fn read(device: &Path, relative: &Path) -> io::Result<Vec<u8>> {
    let directory = File::open(device)?;
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file = File::from(openat2(&directory, relative, how)?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    let mut text = Vec::new();
    file.take(LONGEST_LIST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LONGEST_LIST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is longer than 1 MiB"));
    }
    Ok(text)
}
