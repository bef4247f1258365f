//! What a directory had in it when it was dumped, as GNU tar notes it in an incremental archive.
//!
//! ```text
//! record    a code, a name, NUL
//! dumpdir   records, in the order of names; one more NUL at the end
//! Y name    a file that is in this archive
//! N name    a file that is not: it did not change since the dump below
//! D name    a directory; it has a dumpdir of its own
//! R old     a directory was renamed, from this path …
//! T new     … to this one; always behind an R. One of the two is empty where a temporary directory stands in
//! X name    makes that temporary directory, whose name this is a beginning of: two directories have changed names
//! ```
//!
//! R, T and X stand in the dumpdir of the disk's own directory, with paths as members have them. The format is described in GNU tar's manual, "Dumpdir". Nothing here takes
//! memory: a dumpdir is looked through where it lies.

use wire::restore::MAX_PATH_BYTES;

/// Why bytes are no dumpdir.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DumpdirError {
    /// A record has a code that this program does not know.
    #[error("byte {at} of a directory's list is a code that is not known, {code:#04x}")]
    Code {
        /// Where in the dumpdir.
        at: usize,
        /// The code.
        code: u8,
    },
    /// No NUL where one must be.
    #[error("a directory's list is cut off at byte {at}")]
    Cut {
        /// Where the last record begins.
        at: usize,
    },
    /// What stands there is no file's name, or too long for a path.
    #[error("byte {at} of a directory's list begins a name that no file can have")]
    Name {
        /// Where the record begins.
        at: usize,
    },
    /// A rename has only one of its two paths.
    #[error("byte {at} of a directory's list begins half a rename")]
    Half {
        /// Where the record begins.
        at: usize,
    },
    /// Bytes behind the end.
    #[error("a directory's list has something behind its end at byte {at}")]
    Behind {
        /// Where.
        at: usize,
    },
}

/// What is said about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// In this archive.
    Here,
    /// In the dump below, unchanged.
    Unchanged,
    /// A directory.
    Directory,
}

/// One entry of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Where it is.
    pub code: Code,
    /// Its name: no `/` in it, never `.` or `..`.
    pub name: &'a [u8],
}

/// What was done to directories since the dump below, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move<'a> {
    /// A temporary directory is needed.
    Temporary(&'a [u8]),
    /// A directory got another path. Paths are those of members, without a `/` at the end; an empty one is the temporary directory.
    Rename {
        /// Its path until then.
        from: &'a [u8],
        /// Its path since then.
        to: &'a [u8],
    },
}

/// A dumpdir that is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dumpdir<'a>(&'a [u8]);

impl<'a> Dumpdir<'a> {
    /// Looks through the body of a dumpdir.
    ///
    /// # Errors
    /// When it is none, or has a name that no file can have: what it says is then worth nothing.
    pub fn parse(body: &'a [u8]) -> Result<Self, DumpdirError> {
        let mut records = Records { rest: body, at: 0 };
        let mut half = None;
        while let Some((at, code, name)) = records.take()? {
            if (code == b'T') != half.take().is_some() {
                return Err(DumpdirError::Half { at });
            }
            let fits = match code {
                b'Y' | b'N' | b'D' => !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/'),
                b'X' => !name.is_empty(),
                b'R' | b'T' => true,
                code => return Err(DumpdirError::Code { at, code }),
            };
            if !fits || name.len() > MAX_PATH_BYTES {
                return Err(DumpdirError::Name { at });
            }
            half = (code == b'R').then_some(at);
        }
        match half {
            Some(at) => Err(DumpdirError::Half { at }),
            None => Ok(Self(body)),
        }
    }

    /// Returns what is in the directory, in the order that it was written in: by name, as GNU tar does.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'a>> + use<'a> {
        self.records().filter_map(|(code, name)| {
            let code = match code {
                b'Y' => Code::Here,
                b'N' => Code::Unchanged,
                b'D' => Code::Directory,
                _ => return None,
            };
            Some(Entry { code, name })
        })
    }

    /// Returns what was done to directories. Only the disk's own directory has any.
    pub fn moves(&self) -> impl Iterator<Item = Move<'a>> + use<'a> {
        let mut records = self.records();
        std::iter::from_fn(move || {
            loop {
                match records.next()? {
                    (b'X', name) => return Some(Move::Temporary(name)),
                    (b'R', from) => return records.next().map(|(_, to)| Move::Rename { from, to }),
                    _ => {}
                }
            }
        })
    }

    fn records(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let mut records = Records { rest: self.0, at: 0 };
        std::iter::from_fn(move || records.take().ok().flatten().map(|(_, code, name)| (code, name)))
    }
}

/// Where a record begins, its code, its name.
type Record<'a> = (usize, u8, &'a [u8]);

struct Records<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    /// Takes a record; nothing at the end.
    fn take(&mut self) -> Result<Option<Record<'a>>, DumpdirError> {
        let at = self.at;
        let Some((&code, rest)) = self.rest.split_first() else { return Ok(None) };
        if code == 0 {
            // The end. An archive's blocks are filled with zeros, and nothing else may follow.
            return match rest.iter().position(|byte| *byte != 0) {
                Some(behind) => Err(DumpdirError::Behind { at: at + 1 + behind }),
                None => Ok(None),
            };
        }
        let end = memchr::memchr(0, rest).ok_or(DumpdirError::Cut { at })?;
        self.rest = &rest[end + 1..];
        self.at = at + end + 2;
        Ok(Some((at, code, &rest[..end])))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn files_and_directories_are_told_apart() {
        let body = b"Ya\0Nb \n\0Dc\0Y\xff\0\0";
        let entries: Vec<_> = Dumpdir::parse(body).unwrap().entries().map(|entry| (entry.code, entry.name)).collect();
        let expected: [(Code, &[u8]); 4] = [(Code::Here, b"a"), (Code::Unchanged, b"b \n"), (Code::Directory, b"c"), (Code::Here, b"\xff")];
        assert_eq!(entries, expected);
    }

    #[test]
    fn renames_come_in_order_and_may_need_a_temporary_directory() {
        let body = b"Da\0X./tar.XXXXXX\0R./a\0T\0R./b\0T./a\0R\0T./b\0\0";
        let moves: Vec<_> = Dumpdir::parse(body).unwrap().moves().collect();
        let rename = |from, to| Move::Rename { from, to };
        assert_eq!(moves, [Move::Temporary(b"./tar.XXXXXX"), rename(b"./a", b""), rename(b"./b", b"./a"), rename(b"", b"./b")]);
    }

    #[test]
    fn what_is_no_dumpdir_is_said_to_be_none() {
        use DumpdirError::*;
        let tables: [(&[u8], DumpdirError); 12] = [
            (b"Qa\0\0", Code { at: 0, code: b'Q' }),
            (b"Ya\0Yb", Cut { at: 3 }),
            (b"Y", Cut { at: 0 }),
            (b"Y\0\0", Name { at: 0 }),
            (b"Y..\0\0", Name { at: 0 }),
            (b"D.\0\0", Name { at: 0 }),
            (b"Ya/b\0\0", Name { at: 0 }),
            (b"X\0\0", Name { at: 0 }),
            (b"Ra\0Yb\0\0", Half { at: 3 }),
            (b"Ya\0Tb\0\0", Half { at: 3 }),
            (b"Ya\0Rb\0\0", Half { at: 3 }),
            (b"Ya\0\0\0Yb\0\0", Behind { at: 5 }),
        ];
        for (body, error) in tables {
            assert_eq!(Dumpdir::parse(body), Err(error), "{:?}", String::from_utf8_lossy(body));
        }
        let long = [&b"Y"[..], &vec![b'x'; MAX_PATH_BYTES + 1], b"\0\0"].concat();
        assert_eq!(Dumpdir::parse(&long), Err(Name { at: 0 }));
    }

    #[test]
    fn an_empty_directory_has_a_dumpdir() {
        for body in [&b""[..], b"\0", b"\0\0\0"] {
            assert_eq!(Dumpdir::parse(body).unwrap().entries().count(), 0);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_dumpdir_or_not(body in proptest::collection::vec(prop_oneof![Just(0_u8), Just(b'Y'), Just(b'R'), Just(b'T'), any::<u8>()], 0..64)) {
            if let Ok(dumpdir) = Dumpdir::parse(&body) {
                let records = dumpdir.entries().count() + dumpdir.moves().count();
                prop_assert!(records * 2 <= body.len());
            }
        }
    }
}
