//! Whose a file becomes.

use std::collections::HashMap;

use nix::unistd::{Group, User, getegid, geteuid, getgroups};

/// So many names are looked up; an archive may name millions, and each can be a question to a directory service.
const MAX_NAMES: usize = 4096;

/// Users and groups of this machine.
#[derive(Debug)]
pub(super) struct Owners {
    by_name: bool,
    names: HashMap<(bool, Vec<u8>), Option<u32>>,
    me: u32,
    my_groups: Vec<u32>,
}

impl Owners {
    /// `by_name`: an owner is who has this name here, and the number counts where nobody has it. GNU tar does the same.
    pub(super) fn new(by_name: bool) -> Self {
        let mut my_groups: Vec<u32> = getgroups().unwrap_or_default().into_iter().map(nix::unistd::Gid::as_raw).collect();
        my_groups.push(getegid().as_raw());
        Self { by_name, names: HashMap::new(), me: geteuid().as_raw(), my_groups }
    }

    /// Returns the number of the user (`is_user`) or group that an archive names.
    pub(super) fn of(&mut self, is_user: bool, (number, name): &(u32, Vec<u8>)) -> u32 {
        if !self.by_name || name.is_empty() {
            return *number;
        }
        self.named(is_user, name).unwrap_or(*number)
    }

    /// Returns the number that a name has here.
    pub(super) fn named(&mut self, is_user: bool, name: &[u8]) -> Option<u32> {
        if let Some(known) = self.names.get(&(is_user, name.to_vec())) {
            return *known;
        }
        if self.names.len() >= MAX_NAMES {
            return None;
        }
        let text = std::str::from_utf8(name).ok().filter(|text| !text.contains('\0'));
        let number = text.and_then(|text| match is_user {
            true => User::from_name(text).ok().flatten().map(|user| user.uid.as_raw()),
            false => Group::from_name(text).ok().flatten().map(|group| group.gid.as_raw()),
        });
        self.names.insert((is_user, name.to_vec()), number);
        number
    }

    pub(super) fn is_me(&self, user: u32) -> bool {
        user == self.me
    }

    pub(super) fn is_my_group(&self, group: u32) -> bool {
        self.my_groups.contains(&group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_before_a_number_and_a_number_where_nobody_has_the_name() {
        let mut owners = Owners::new(true);
        assert_eq!(owners.of(true, &(4711, b"root".to_vec())), 0);
        assert_eq!(owners.of(false, &(4711, b"root".to_vec())), 0);
        for name in [&b"nobody-has-this-name"[..], b"", b"a\0b", b"\xff"] {
            assert_eq!(owners.of(true, &(4711, name.to_vec())), 4711);
        }
        assert_eq!(Owners::new(false).of(true, &(4711, b"root".to_vec())), 4711);
    }

    #[test]
    fn the_names_that_are_remembered_have_an_end() {
        let mut owners = Owners::new(true);
        for number in 0..MAX_NAMES {
            owners.names.insert((true, number.to_le_bytes().to_vec()), None);
        }
        assert_eq!(owners.named(true, b"root"), None);
        assert_eq!(owners.names.len(), MAX_NAMES);
    }
}
