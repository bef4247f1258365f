//! Which members of which dump go where: what resolving comes to.

use std::collections::HashMap;

use wire::restore::PathBytes;

use super::nameset::NameSet;
use super::path::{below, split};

/// A path below the target, by number.
pub(crate) type PlaceId = usize;

/// Everything that is to be restored.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Where directories and what was wished for go.
    pub places: Vec<Place>,
    /// What each dump of the chain gives, level 0 first.
    pub parts: Vec<Part>,
    /// The whole disk is wished for.
    pub is_everything: bool,
    /// What cannot be restored, and why.
    pub missing: Vec<(PathBytes, &'static str)>,
    /// What is not as one may think, sentences.
    pub remarks: Vec<String>,
}

/// A place below the target.
#[derive(Debug)]
pub(crate) struct Place {
    /// Its path below the target; empty for the target itself.
    pub path: PathBytes,
    /// Something of a dump has gone there: what lower dumps have for it is older.
    pub is_filled: bool,
}

/// What one dump gives.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// These and everything below them. Above level 0 a file each.
    pub whole: HashMap<PathBytes, Whole>,
    /// Of these directories, some.
    pub dirs: HashMap<PathBytes, Taken>,
    /// A name in a set may be a directory's, and then everything in it is wanted: so it is at level 0, where nothing else is asked.
    pub names_are_whole: bool,
}

/// Something that is wanted with all that is in it.
#[derive(Debug)]
pub(crate) struct Whole {
    pub to: PlaceId,
    /// Something of it was met.
    pub is_met: bool,
}

/// A directory of which something is wanted.
#[derive(Debug)]
pub(crate) struct Taken {
    pub to: PlaceId,
    /// The directory itself, for its owner, mode and times.
    pub itself: bool,
    /// Files in it.
    pub names: NameSet,
}

/// Where a member goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Goes {
    /// Its path below the target.
    pub to: PathBytes,
    /// Its place, when it has one of its own.
    pub place: Option<PlaceId>,
}

impl Plan {
    /// Makes a place.
    pub fn place(&mut self, path: PathBytes) -> PlaceId {
        self.places.push(Place { path, is_filled: false });
        self.places.len() - 1
    }
}

impl Part {
    /// Says whether this dump need not be read.
    pub fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.dirs.values().all(|dir| !dir.itself && dir.names.is_empty())
    }

    /// Returns where a member goes; nothing when nobody wants it.
    pub fn goes(&self, places: &[Place], path: &PathBytes, is_directory: bool) -> Option<Goes> {
        let own = |place: PlaceId| Goes { to: places[place].path.clone(), place: Some(place) };
        match self.find(path, is_directory)? {
            Found::Itself(place) => Some(own(place)),
            Found::Below(dir, base) => {
                let rest = &path.as_bytes()[base..];
                let rest = rest.strip_prefix(b"/").unwrap_or(rest);
                Some(Goes { to: below(&places[dir].path, rest), place: None })
            }
        }
    }

    /// Notes that a member came, so that it is not missed.
    pub fn meet(&mut self, path: &PathBytes) {
        if let Some(whole) = self.whole.get_mut(path) {
            whole.is_met = true;
            return;
        }
        let mut rest = path.as_bytes();
        while let Some((above, name)) = split(rest) {
            let dir = PathBytes::new(above);
            if let Some(whole) = self.whole.get_mut(&dir) {
                whole.is_met = true;
                return;
            }
            if self.dirs.get_mut(&dir).is_some_and(|dir| dir.names.meet(name)) || !self.names_are_whole {
                return;
            }
            rest = above;
        }
    }

    fn find(&self, path: &PathBytes, is_directory: bool) -> Option<Found> {
        if let Some(whole) = self.whole.get(path) {
            return Some(Found::Itself(whole.to));
        }
        if let Some(dir) = self.dirs.get(path).filter(|dir| dir.itself && is_directory) {
            return Some(Found::Itself(dir.to));
        }
        let mut rest = path.as_bytes();
        while let Some((above, name)) = split(rest) {
            let dir = PathBytes::new(above);
            if let Some(whole) = self.whole.get(&dir) {
                return Some(Found::Below(whole.to, above.len()));
            }
            let is_wanted = self.names_are_whole || (!is_directory && rest.len() == path.as_bytes().len());
            if let Some(dir) = self.dirs.get(&dir).filter(|dir| is_wanted && dir.names.contains(name)) {
                return Some(Found::Below(dir.to, above.len()));
            }
            rest = above;
        }
        None
    }
}

/// Why a member is wanted.
enum Found {
    /// It has a place of its own.
    Itself(PlaceId),
    /// It lies in something that has, whose path is so long.
    Below(PlaceId, usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str) -> PathBytes {
        PathBytes::new(path.as_bytes())
    }

    fn names(names: &[&str]) -> NameSet {
        let mut set = NameSet::default();
        names.iter().for_each(|name| set.add(name.as_bytes()));
        set.seal();
        set
    }

    fn met(plan: &mut Plan, member: &str, is_directory: bool) -> Option<String> {
        let goes = plan.parts[0].goes(&plan.places, &path(member), is_directory)?;
        plan.parts[0].meet(&path(member));
        Some(String::from_utf8_lossy(goes.to.as_bytes()).into_owned())
    }

    #[test]
    fn a_member_goes_where_it_is_wanted_or_nowhere() {
        let mut plan = Plan::default();
        let (all, dir) = (plan.place(path("new/all")), plan.place(path("dir")));
        let mut part = Part::default();
        part.whole.insert(path("old/all"), Whole { to: all, is_met: false });
        part.dirs.insert(path("old/dir"), Taken { to: dir, itself: true, names: names(&["f", "sub"]) });
        plan.parts.push(part);
        for (member, is_directory, to) in [
            ("old/all", true, Some("new/all")),
            ("old/all/x/y", false, Some("new/all/x/y")),
            ("old/allx", false, None),
            ("old/dir", true, Some("dir")),
            ("old/dir", false, None),
            ("old/dir/f", false, Some("dir/f")),
            ("old/dir/f", true, None),
            ("old/dir/g", false, None),
            ("old/dir/sub/x", false, None),
            ("old", true, None),
            ("", true, None),
        ] {
            assert_eq!(met(&mut plan, member, is_directory).as_deref(), to, "{member}");
        }
        plan.parts[0].names_are_whole = true;
        assert_eq!(met(&mut plan, "old/dir/sub", true).as_deref(), Some("dir/sub"));
        assert_eq!(met(&mut plan, "old/dir/sub/x/y", false).as_deref(), Some("dir/sub/x/y"));
        assert!(plan.parts[0].dirs[&path("old/dir")].names.missing().next().is_none());
    }

    #[test]
    fn everything_may_be_wanted() {
        let mut plan = Plan::default();
        let to = plan.place(PathBytes::default());
        plan.parts.push(Part::default());
        plan.parts[0].whole.insert(PathBytes::default(), Whole { to, is_met: false });
        assert_eq!(met(&mut plan, "", true).as_deref(), Some(""));
        assert_eq!(met(&mut plan, "a/b", false).as_deref(), Some("a/b"));
    }
}
