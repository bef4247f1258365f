//! The names in a dump's index. Amanda writes them to a file as they come and shows them to whoever browses it.

use super::Caught;

/// The longest name: a path of 4096 bytes, each of them spelled as `\ooo`.
pub const MAX_NAME: usize = 4 * 4096 + 2;

/// All names of one dump.
const MAX_TOTAL: u64 = 2 << 30;

/// An index, as far as it came.
#[derive(Debug, Default)]
pub struct Names {
    /// So much of the last name came.
    long: usize,
    total: u64,
}

impl Names {
    /// Looks at a piece of it. tar spells out what is no plain character, and each name begins at the disk's root.
    pub fn take(&mut self, piece: &[u8]) -> Result<(), Caught> {
        self.total += piece.len() as u64;
        if self.total > MAX_TOTAL {
            return Err(Caught::new(format!("the laptop's index has more than {} GiB", MAX_TOTAL >> 30)));
        }
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let (name, whole) = part.strip_suffix(b"\n").map_or((part, false), |name| (name, true));
            if self.long == 0 && name.first() != Some(&b'/') {
                return Err(Caught::new("the laptop's index has a name that does not begin with a slash"));
            }
            if name.iter().any(|byte| *byte < b' ') {
                return Err(Caught::new("the laptop's index has a control character in a name"));
            }
            self.long += name.len();
            if self.long > MAX_NAME {
                return Err(Caught::new(format!("the laptop's index has a name of more than {MAX_NAME} bytes")));
            }
            if whole {
                self.long = 0;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_tar_prints_and_have_a_total() {
        let long = format!("/{}", "x".repeat(MAX_NAME));
        for (index, words) in [
            ("/\n/a b\\n\\\\\n/grün/\n/no end", None),
            ("", None),
            ("a\n", Some("does not begin with a slash")),
            ("/a\n\n/b\n", Some("does not begin with a slash")),
            ("/a\n../b\n", Some("does not begin with a slash")),
            ("/a\t\n", Some("a control character")),
            ("/a\x1b[2J\n", Some("a control character")),
            ("/a\0", Some("a control character")),
            (&long, Some("a name of more than")),
        ] {
            for piece in [1, 3, 100_000] {
                let mut names = Names::default();
                let caught = index.as_bytes().chunks(piece).find_map(|piece| names.take(piece).err()).map(|caught| caught.to_string());
                assert_eq!(caught.is_some(), words.is_some(), "{index}: {caught:?}");
                assert!(caught.unwrap_or_default().contains(words.unwrap_or_default()), "{index}");
            }
        }
        let mut names = Names { long: 0, total: MAX_TOTAL - 3 };
        assert_eq!(names.take(b"/a\n"), Ok(()));
        assert!(names.take(b"/").expect_err("one too many").to_string().contains("more than 2 GiB"));
    }
}
