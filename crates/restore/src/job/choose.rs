//! How much of a dump is fetched.

use wire::restore::{MAX_PATHS, PathBytes, What};

use super::Outcome;
use crate::place::{Target, There};
use crate::resolve::path::{below, cover};
use crate::resolve::plan::{Part, Plan};

/// Decides what of a dump is asked for; nothing when it need not be read.
///
/// Few members are asked for by name. Many are covered by directories above them; and when these get to the disk's own directory, or the whole disk is wished
/// for, the whole dump comes, whose checksum is a proof.
pub(super) fn what(part: &Part, is_everything: bool) -> Option<What> {
    if part.is_empty() {
        return None;
    }
    let by_name = part.dirs.values().filter(|dir| !dir.itself).map(|dir| dir.names.len()).sum::<usize>() <= MAX_PATHS;
    if is_everything && !by_name {
        return Some(What::All);
    }
    let mut paths: Vec<PathBytes> = part.whole.keys().cloned().collect();
    for (path, dir) in &part.dirs {
        if dir.itself || (!by_name && !dir.names.is_empty()) {
            paths.push(path.clone());
        } else {
            paths.extend(dir.names.missing().map(|name| below(path, name)));
        }
    }
    let paths = cover(paths, MAX_PATHS);
    if paths.iter().any(|path| path.as_bytes().is_empty()) { Some(What::All) } else { Some(What::Members(paths)) }
}

pub(super) fn is_whole(what: &What) -> bool {
    matches!(what, What::All)
}

/// Returns how many files are wanted, if that is known.
pub(super) fn files(part: &Part) -> Option<u64> {
    let is_known = part.dirs.values().all(|dir| !part.names_are_whole || !dir.itself) && (!part.names_are_whole || part.whole.is_empty());
    let names = part.dirs.values().map(|dir| dir.names.len()).sum::<usize>() + part.whole.len();
    is_known.then(|| u64::try_from(names).unwrap_or(u64::MAX))
}

/// Takes out of the plan what is there already and will be kept.
pub(super) fn passed_over(plan: &mut Plan, target: &mut Target, outcome: &mut Outcome) {
    if target.rules().overwrite {
        return;
    }
    let Plan { places, parts, .. } = plan;
    for part in parts {
        let mut was_begun = false;
        part.whole.retain(|_, whole| {
            let at = &places[whole.to].path;
            let is_kept = matches!(target.is_there(at), Ok(Some(There::File { .. } | There::Other)));
            if is_kept {
                outcome.kept_as_it_is(at.clone());
            }
            !is_kept
        });
        for dir in part.dirs.values_mut() {
            let at = &places[dir.to].path;
            if !matches!(target.is_there(at), Ok(Some(There::Directory))) {
                continue;
            }
            if !at.as_bytes().is_empty() {
                (dir.itself, was_begun) = (false, true);
            }
            dir.names.retain(|name| {
                let at = below(at, name);
                let is_kept = matches!(target.is_there(&at), Ok(Some(There::File { .. } | There::Other)));
                if is_kept {
                    was_begun = true;
                    outcome.kept_as_it_is(at);
                }
                !is_kept
            });
        }
        // The target itself is always there, and no reason to read a dump again.
        for dir in part.dirs.values_mut().filter(|dir| was_begun && places[dir.to].path.as_bytes().is_empty()) {
            dir.itself = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::nameset::NameSet;
    use crate::resolve::plan::{Taken, Whole};

    fn path(path: &str) -> PathBytes {
        PathBytes::new(path.as_bytes())
    }

    fn part(whole: &[&str], dirs: &[(&str, bool, usize)]) -> Part {
        let mut part = Part::default();
        part.whole.extend(whole.iter().map(|one| (path(one), Whole { to: 0, is_met: false })));
        for (dir, itself, count) in dirs {
            let mut names = NameSet::default();
            (0..*count).for_each(|name| names.add(name.to_string().as_bytes()));
            names.seal();
            part.dirs.insert(path(dir), Taken { to: 0, itself: *itself, names });
        }
        part
    }

    fn members(members: &[&str]) -> Option<What> {
        Some(What::Members(members.iter().map(|one| path(one)).collect()))
    }

    #[test]
    fn as_little_is_asked_for_as_can_be_named() {
        for (case, part, is_everything, asked) in [
            ("nothing", part(&[], &[]), true, None),
            ("no names any more", part(&[], &[("a", false, 0)]), true, None),
            ("a file", part(&["a/b"], &[]), false, members(&["a/b"])),
            ("some names", part(&[], &[("a", false, 2)]), true, members(&["a/0", "a/1"])),
            ("a directory and all in it", part(&[], &[("a", true, 2), ("a/b", true, 1)]), false, members(&["a"])),
            ("many names", part(&[], &[("a", false, 200), ("b", false, 200)]), false, members(&["a", "b"])),
            ("many names of everything", part(&[], &[("a", false, 200), ("b", false, 200)]), true, Some(What::All)),
            ("everything", part(&[""], &[]), true, Some(What::All)),
        ] {
            assert_eq!(what(&part, is_everything), asked, "{case}");
        }
    }
}
