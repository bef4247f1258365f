//! Names in one directory, in little memory: a dump has a hundred thousand of them.

/// A set of names, and which of them have been met.
#[derive(Debug, Default, Clone)]
pub(crate) struct NameSet {
    /// All names, one behind the other.
    bytes: Vec<u8>,
    /// Where each name ends, and whether it was met.
    names: Vec<Name>,
    is_sorted: bool,
}

#[derive(Debug, Clone, Copy)]
struct Name {
    start: u32,
    length: u16,
    met: bool,
}

impl NameSet {
    /// Adds a name; one that is too long for any file is left out.
    pub fn add(&mut self, name: &[u8]) {
        let (Ok(start), Ok(length)) = (u32::try_from(self.bytes.len()), u16::try_from(name.len())) else { return };
        self.is_sorted = self.names.is_empty() || (self.is_sorted && self.names.last().is_some_and(|last| self.name(*last) < name));
        self.bytes.extend_from_slice(name);
        self.names.push(Name { start, length, met: false });
    }

    /// Makes it ready to be looked into; what was added twice is there once.
    pub fn seal(&mut self) {
        if !self.is_sorted {
            let mut names = std::mem::take(&mut self.names);
            names.sort_unstable_by(|one, other| self.name(*one).cmp(self.name(*other)));
            names.dedup_by(|one, other| self.name(*one) == self.name(*other));
            self.names = names;
            self.is_sorted = true;
        }
        self.bytes.shrink_to_fit();
        self.names.shrink_to_fit();
    }

    /// Says that a name was met; whether it is in the set.
    pub fn meet(&mut self, name: &[u8]) -> bool {
        let found = self.find(name);
        if let Some(index) = found {
            self.names[index].met = true;
        }
        found.is_some()
    }

    /// Says whether a name is in the set.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.find(name).is_some()
    }

    /// Says whether a name is in the set and has not been met.
    pub fn is_missing(&self, name: &[u8]) -> bool {
        self.find(name).is_some_and(|index| !self.names[index].met)
    }

    /// Returns the names that have not been met.
    pub fn missing(&self) -> impl Iterator<Item = &[u8]> {
        self.names.iter().filter(|name| !name.met).map(|name| self.name(*name))
    }

    /// Keeps only names of which this says so.
    pub fn retain(&mut self, mut is_kept: impl FnMut(&[u8]) -> bool) {
        let mut names = std::mem::take(&mut self.names);
        names.retain(|name| is_kept(self.name(*name)));
        self.names = names;
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        debug_assert!(self.is_sorted || self.is_empty(), "the set was sealed");
        self.names.binary_search_by(|other| self.name(*other).cmp(name)).ok()
    }

    fn name(&self, name: Name) -> &[u8] {
        let start = name.start as usize;
        &self.bytes[start..start + usize::from(name.length)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_there_once_and_met_or_missing() {
        let mut set = NameSet::default();
        for name in [&b"b"[..], b"a", b"c", b"a", b"\xff"] {
            set.add(name);
        }
        set.seal();
        assert!(set.meet(b"a") && set.meet(b"\xff") && set.meet(b"a") && !set.meet(b"d"));
        assert_eq!(set.missing().collect::<Vec<_>>(), [b"b", b"c"]);
        assert_eq!((set.len(), set.contains(b"c"), set.contains(b"")), (4, true, false));
    }
}
