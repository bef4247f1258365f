//! The names in a dump: by its index, and where there is none by the archive itself.

use std::io::{Read, Write};

use amanda::index;
use restore::archive::{Archive, Item};
use restore::member::Kind;
use wire::restore::{DumpId, PathBytes};

use super::members::unpacked;
use super::packing::{self, Packed};
use super::serve::{Stop, damaged};
use super::source::Source;
use super::talk::{Gather, Talk};

/// Which lines of an index are wanted.
struct Filter {
    /// How they begin: with the directory as tar lists it, or with its bytes as they are. What listed the names chooses by its locale.
    begins: [Vec<u8>; 2],
    deep: bool,
}

impl Filter {
    fn new(below: &PathBytes, deep: bool) -> Self {
        let begin = |path: &[u8]| if path.is_empty() { b"/".to_vec() } else { [b"/", path, b"/"].concat() };
        Self { begins: [begin(&index::escaped(below.as_bytes())), begin(below.as_bytes())], deep }
    }

    fn fits(&self, line: &[u8]) -> bool {
        let rest = self.begins.iter().find_map(|begin| line.strip_prefix(begin.as_slice()));
        rest.is_some_and(|rest| {
            let name = rest.strip_suffix(b"/").unwrap_or(rest);
            !name.is_empty() && (self.deep || !name.contains(&b'/'))
        })
    }
}

pub(super) fn answer<R: Read, W: Write>(
    source: &mut dyn Source,
    dump: &DumpId,
    below: &PathBytes,
    deep: bool,
    talk: &mut Talk<R, W>,
) -> Result<(), Stop> {
    let filter = Filter::new(below, deep);
    let mut lines = Gather::new(talk);
    let mut gone = None;
    let mut line = |line: &[u8]| {
        if gone.is_none() && filter.fits(line) {
            gone = lines.add(line).and_then(|()| lines.add(b"\n")).err();
        }
        gone.is_none()
    };
    let listed = match source.index(dump)? {
        Some(list) => index::names(list, |name| {
            line(name);
        })
        .map_err(|error| damaged("the index of this dump", error)),
        None => from_archive(source, dump, &mut line),
    };
    match gone {
        Some(error) => return Err(error.into()),
        None => lines.send()?,
    }
    listed
}

/// Lists the members themselves; `line` says whether it takes more.
fn from_archive(source: &mut dyn Source, dump: &DumpId, line: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), Stop> {
    let pieces = match packing::find(source.stored(dump)?)? {
        Packed::Frames(table, mut parts) => {
            let listed = table.each_member(&mut parts, |name, _| {
                if let Some(name) = index::line(name) {
                    line(name);
                }
            });
            return listed.map_err(|error| damaged("the list of names in this dump", error));
        }
        Packed::Stream(packing, stream) => unpacked(packing, stream)?,
    };
    let mut archive = Archive::new(pieces);
    let mut lost = None;
    loop {
        match archive.next().map_err(|error| damaged("this dump", error))? {
            None => break,
            Some(Item::Damage(damage)) => lost = lost.or(Some(damage.why)),
            Some(Item::Member(member, _)) => {
                let mut name = index::escaped(&member.path);
                if matches!(member.kind, Kind::Directory { .. }) && !name.ends_with(b"/") {
                    name.push(b'/');
                }
                if !index::line(&name).is_none_or(&mut *line) {
                    break;
                }
            }
        }
    }
    lost.map_or(Ok(()), |why| Err(damaged("a part of this dump", why)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_filtered_by_whole_names() {
        let fits = |below: &[u8], deep, line: &[u8]| Filter::new(&PathBytes::new(below), deep).fits(line);
        for (below, deep, line, expected) in [
            (&b""[..], false, &b"/"[..], false),
            (b"", false, b"/a", true),
            (b"", false, b"/a/", true),
            (b"", false, b"/a/b", false),
            (b"", true, b"/a/b", true),
            (b"a", false, b"/a/", false),
            (b"a", false, b"/a/b/", true),
            (b"a", false, b"/ab", false),
            (b"a", false, b"/a/b/c", false),
            (b"a", true, b"/a/b/c", true),
            (b"\xc3\xa4", false, b"/\\303\\244/x", true),
            (b"\xc3\xa4", false, b"/\xc3\xa4/x", true),
            (b"a\nb", false, b"/a\\nb/x", true),
        ] {
            assert_eq!(fits(below, deep, line), expected, "{} in {}", line.escape_ascii(), below.escape_ascii());
        }
    }
}
