//! Extended headers of the posix format: records of names and values, which take the place of what the next header says.

use super::sparse::{Extent, MAX_EXTENTS};

/// What the values of one member may take beside its dumpdir and its map: attributes, ACLs, names.
const MAX_VALUES: usize = 1 << 20;

/// A list of records that is none, or has a value without which the member means something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wrong(pub &'static str);

/// What extended headers say about the next member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Extension {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    pub uname: Option<Vec<u8>>,
    pub gname: Option<Vec<u8>>,
    pub mtime: Option<(i64, u32)>,
    pub atime: Option<(i64, u32)>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub acl_access: Option<Vec<u8>>,
    pub acl_default: Option<Vec<u8>>,
    pub dumpdir: Option<Vec<u8>>,
    pub sparse: Sparse,
    /// What the values of this member took so far.
    taken: usize,
}

/// What they say about a file with holes: GNU tar's formats 0.0, 0.1 and 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Sparse {
    /// 1 for the format that has its map in front of the data.
    pub major: u64,
    pub name: Option<Vec<u8>>,
    /// How long the file is.
    pub size: Option<u64>,
    pub map: Vec<Extent>,
    /// Format 0.0: where the extent begins whose length comes next.
    offset: Option<u64>,
}

impl Extension {
    /// Reads the records of a header that stands for all members behind it, as far as it may: what makes a member another one is passed over.
    pub fn global(&mut self, body: &[u8]) -> Result<(), Wrong> {
        each(body, |key, value| match key {
            b"uid" | b"gid" | b"uname" | b"gname" | b"mtime" | b"atime" => self.record(key, value),
            _ => Ok(()),
        })
    }

    /// Reads the records of a header for the next member.
    pub fn local(&mut self, body: &[u8]) -> Result<(), Wrong> {
        each(body, |key, value| {
            if key != b"GNU.dumpdir" && !key.starts_with(b"GNU.sparse.") {
                self.taken = self.taken.saturating_add(key.len()).saturating_add(value.len());
            }
            if self.taken > MAX_VALUES {
                return Err(Wrong("a member has more extended attributes and ACLs than can be kept"));
            }
            self.record(key, value)
        })
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<(), Wrong> {
        // No value takes back what a global header said.
        let text = || (!value.is_empty()).then(|| value.to_vec());
        match key {
            b"path" => self.path = text(),
            b"linkpath" => self.link = text(),
            b"size" => self.size = Some(number(value).ok_or(Wrong("a size is no number"))?),
            b"uid" => self.uid = number(value),
            b"gid" => self.gid = number(value),
            b"uname" => self.uname = text(),
            b"gname" => self.gname = text(),
            b"mtime" => self.mtime = time(value),
            b"atime" => self.atime = time(value),
            b"GNU.dumpdir" => self.dumpdir = Some(value.to_vec()),
            b"SCHILY.acl.access" => self.acl_access = text(),
            b"SCHILY.acl.default" => self.acl_default = text(),
            // The system has a NUL behind it.
            b"RHT.security.selinux" => self.xattrs.push((b"security.selinux".to_vec(), [value, b"\0"].concat())),
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattrs.push((plain(name), value.to_vec()));
                } else if let Some(word) = key.strip_prefix(b"GNU.sparse.") {
                    self.sparse.record(word, value)?;
                }
            }
        }
        Ok(())
    }
}

impl Sparse {
    fn record(&mut self, word: &[u8], value: &[u8]) -> Result<(), Wrong> {
        let wrong = Wrong("the map of a file with holes has no sense");
        match word {
            b"major" => self.major = number(value).filter(|major| *major <= 1).ok_or(wrong)?,
            b"name" => self.name = Some(value.to_vec()),
            b"size" | b"realsize" => self.size = Some(number(value).ok_or(wrong)?),
            b"offset" => self.offset = Some(number(value).ok_or(wrong)?),
            b"numbytes" => {
                let offset = self.offset.take().ok_or(wrong)?;
                self.push(Extent { offset, length: number(value).ok_or(wrong)? })?;
            }
            b"map" => {
                self.map.clear();
                let mut numbers = value.split(|byte| *byte == b',').map(number);
                while let Some(offset) = numbers.next() {
                    let extent = offset.zip(numbers.next().flatten()).map(|(offset, length)| Extent { offset, length });
                    self.push(extent.ok_or(wrong)?)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn push(&mut self, extent: Extent) -> Result<(), Wrong> {
        if self.map.len() == MAX_EXTENTS {
            return Err(Wrong("a file has more holes than can be kept"));
        }
        self.map.push(extent);
        Ok(())
    }
}

/// Takes records apart: a length with itself in it, a blank, a name, `=`, a value, a line feed.
fn each(mut body: &[u8], mut record: impl FnMut(&[u8], &[u8]) -> Result<(), Wrong>) -> Result<(), Wrong> {
    let wrong = Wrong("an extended header has no sense");
    while body.first().is_some_and(|byte| *byte != 0) {
        let blank = body.iter().take(20).position(|byte| *byte == b' ').ok_or(wrong)?;
        let length = number(&body[..blank]).and_then(|length| usize::try_from(length).ok()).ok_or(wrong)?;
        let (whole, rest) = body.split_at_checked(length).ok_or(wrong)?;
        let pair = whole.get(blank + 1..).and_then(|pair| pair.strip_suffix(b"\n")).ok_or(wrong)?;
        let equals = memchr::memchr(b'=', pair).ok_or(wrong)?;
        record(&pair[..equals], &pair[equals + 1..])?;
        body = rest;
    }
    Ok(())
}

/// Reads a decimal number.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Reads seconds since 1970 with a fraction; `-1.25` is three quarters of a second after second -2.
fn time(value: &[u8]) -> Option<(i64, u32)> {
    let (negative, value) = value.strip_prefix(b"-").map_or((false, value), |value| (true, value));
    let (seconds, fraction) = match memchr::memchr(b'.', value) {
        Some(point) => (&value[..point], &value[point + 1..]),
        None => (value, &b""[..]),
    };
    let seconds = i64::try_from(number(seconds)?).ok()?;
    let nanoseconds = (0..9).try_fold(0_u32, |sum, at| match fraction.get(at) {
        None => Some(sum * 10),
        Some(digit) => digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0')),
    })?;
    match (negative, nanoseconds) {
        (false, _) => Some((seconds, nanoseconds)),
        (true, 0) => Some((-seconds, 0)),
        (true, _) => Some((-seconds - 1, 1_000_000_000 - nanoseconds)),
    }
}

/// Takes back what GNU tar does to `=` and `%` in the name of an attribute.
fn plain(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&byte, behind)) = rest.split_first() {
        let (byte, behind) = match behind {
            [b'3', b'D', behind @ ..] if byte == b'%' => (b'=', behind),
            [b'2', b'5', behind @ ..] if byte == b'%' => (b'%', behind),
            _ => (byte, behind),
        };
        plain.push(byte);
        rest = behind;
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(pairs: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (key, value) in pairs {
            let without = key.len() + value.len() + 3;
            let mut length = without + 1;
            while length != without + length.to_string().len() {
                length += 1;
            }
            body.extend_from_slice(format!("{length} {key}=").as_bytes());
            body.extend_from_slice(value);
            body.push(b'\n');
        }
        body
    }

    fn extension(pairs: &[(&str, &[u8])]) -> Result<Extension, Wrong> {
        let mut extension = Extension::default();
        extension.local(&records(pairs)).map(|()| extension)
    }

    #[test]
    fn values_may_have_any_bytes() {
        let dumpdir = b"Ya=\n\0Nb\0\0";
        let read = extension(&[("path", b"./a\nb=\xff"), ("GNU.dumpdir", dumpdir), ("SCHILY.xattr.user.a%3Db%25", b"1\n2\0")]).unwrap();
        assert_eq!(read.path.as_deref(), Some(&b"./a\nb=\xff"[..]));
        assert_eq!(read.dumpdir.as_deref(), Some(&dumpdir[..]));
        assert_eq!(read.xattrs, [(b"user.a=b%".to_vec(), b"1\n2\0".to_vec())]);
    }

    #[test]
    fn times_have_nanoseconds_and_may_be_before_1970() {
        for (value, read) in [
            ("12", Some((12, 0))),
            ("12.5", Some((12, 500_000_000))),
            ("12.0000000019", Some((12, 1))),
            ("-1", Some((-1, 0))),
            ("-1.25", Some((-2, 750_000_000))),
            ("9223372036854775807.9", Some((i64::MAX, 900_000_000))),
            ("9223372036854775808", None),
            ("", None),
            ("1.x", None),
            ("0x1", None),
        ] {
            assert_eq!(time(value.as_bytes()), read, "{value}");
        }
    }

    #[test]
    fn maps_of_all_formats_are_read() {
        let extents = vec![Extent { offset: 0, length: 5 }, Extent { offset: 1024, length: 0 }];
        let pairs = [
            ("GNU.sparse.offset", &b"0"[..]),
            ("GNU.sparse.numbytes", b"5"),
            ("GNU.sparse.offset", b"1024"),
            ("GNU.sparse.numbytes", b"0"),
        ];
        assert_eq!(extension(&pairs).unwrap().sparse.map, extents);
        assert_eq!(extension(&[("GNU.sparse.map", b"0,5,1024,0")]).unwrap().sparse.map, extents);
        for pairs in
            [("GNU.sparse.map", &b"0,5,1024"[..]), ("GNU.sparse.map", b""), ("GNU.sparse.numbytes", b"1"), ("GNU.sparse.major", b"2")]
        {
            assert!(extension(&[pairs]).is_err(), "{pairs:?}");
        }
    }

    #[test]
    fn records_that_are_none_are_refused() {
        for body in
            ["9 path=a", "x path=a\n", "0 path=a\n", "3 \n", "99 path=a\n", "11 path=a\n\n?", "7 path\n", "123456789012345678901 a=b\n"]
        {
            assert!(Extension::default().local(body.as_bytes()).is_err(), "{body:?}");
        }
        assert_eq!(Extension::default().local(b"10 path=a\n\0\0"), Ok(()));
    }

    #[test]
    fn attributes_of_one_member_are_limited_over_all_its_headers() {
        let half = vec![b'x'; MAX_VALUES / 2];
        let mut read = Extension::default();
        read.local(&records(&[("SCHILY.xattr.user.a", &half), ("GNU.dumpdir", &vec![b'y'; MAX_VALUES])])).unwrap();
        assert!(read.local(&records(&[("SCHILY.acl.access", &half)])).is_err());
    }

    #[test]
    fn a_global_header_makes_no_member_another_one() {
        let mut global = Extension::default();
        global.global(&records(&[("path", b"./x"), ("size", b"9"), ("uname", b"me"), ("GNU.sparse.map", b"0,1")])).unwrap();
        assert_eq!(global, Extension { uname: Some(b"me".to_vec()), ..Extension::default() });
    }
}
