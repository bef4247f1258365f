//! From what is wanted to what of which dump: one level at a time, from the highest one down.
//!
//! GNU tar notes in every incremental dump what every directory had in it. So the highest dump says what was there: `Y`, it has it; `N`, it is as it
//! was in the dump below; `D`, a directory that the same dump has a list of. What no list names was deleted.

use wire::restore::{MAX_PATHS, PathBytes};

use super::nameset::NameSet;
use super::path::{below, cover};
use super::plan::{Part, PlaceId, Plan, Taken, Whole};
use super::records::{Records, Verdict};
use crate::dumpdir::Code;

const NOT_THERE: &str = "it was not there then";
const CONTRADICTION: &str = "the dumps contradict each other about it";
const TWICE: &str = "the dumps say that it was two directories";
const LEFT_OUT: &str = "no dump has it: it was left out, or could not be read";

/// What is wanted of the dump of one level and of those below it. Paths are as that dump has them.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// Wished for, and nobody knows yet what it is.
    pub things: Vec<(PathBytes, PlaceId)>,
    /// Directories with everything in them.
    pub trees: Vec<(PathBytes, PlaceId)>,
    /// Names in directories.
    pub names: Vec<(PathBytes, PlaceId, NameSet)>,
}

impl Needs {
    pub fn is_empty(&self) -> bool {
        self.things.is_empty() && self.trees.is_empty() && self.names.is_empty()
    }

    /// Returns whose lists must be known to go on, and whether those of all directories below as well.
    pub fn question(&self) -> (Vec<PathBytes>, bool) {
        let deep: Vec<PathBytes> = self.things.iter().chain(&self.trees).map(|(path, _)| path.clone()).collect();
        let flat = self.names.iter().map(|(path, _, _)| path.clone());
        let is_deep = !deep.is_empty() || self.names.len() > MAX_PATHS;
        (cover_if(is_deep, deep.into_iter().chain(flat).collect()), is_deep)
    }

    /// Says whether a directory's list is needed.
    pub fn wants(&self, path: &PathBytes, names: &std::collections::HashSet<&PathBytes>) -> bool {
        let wished = |(thing, _): &(PathBytes, PlaceId)| path.is_in(thing) || thing.is_in(path);
        names.contains(path) || self.things.iter().chain(&self.trees).any(wished)
    }
}

/// Fewest paths when what is below them comes along; the same ones otherwise.
fn cover_if(is_deep: bool, mut paths: Vec<PathBytes>) -> Vec<PathBytes> {
    if is_deep {
        return cover(paths, MAX_PATHS);
    }
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// Decides what the dump with these lists gives, and returns what the ones below it must give.
pub(crate) fn level(records: &Records, needs: Needs, plan: &mut Plan, part: &mut Part, name: &str) -> Needs {
    let mut step = Step { records, plan, part, below: Needs::default(), trees: needs.trees, name };
    for (path, to) in needs.things {
        step.thing(path, to);
    }
    for (path, to, names) in needs.names {
        step.names(&path, to, names);
    }
    while let Some((path, to)) = step.trees.pop() {
        step.tree(&path, to);
    }
    step.below
}

/// Decides what level 0 gives: everything that is left.
pub(crate) fn bottom(needs: Needs, plan: &mut Plan, part: &mut Part) {
    part.names_are_whole = true;
    for (path, to) in needs.things.into_iter().chain(needs.trees) {
        match part.whole.entry(path) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(Whole { to, is_met: false });
            }
            std::collections::hash_map::Entry::Occupied(_) => plan.missing.push((plan.places[to].path.clone(), TWICE)),
        }
    }
    for (path, to, names) in needs.names {
        take(plan, part, path, to, false, names);
    }
}

struct Step<'a> {
    records: &'a Records,
    plan: &'a mut Plan,
    part: &'a mut Part,
    below: Needs,
    trees: Vec<(PathBytes, PlaceId)>,
    /// The dump, for people.
    name: &'a str,
}

impl Step<'_> {
    fn thing(&mut self, path: PathBytes, to: PlaceId) {
        if self.records.get(&path).is_some() || (path.as_bytes().is_empty() && !self.records.topmost().is_empty()) {
            return self.trees.push((path, to));
        }
        match self.records.verdict(&path) {
            Some(Verdict::NotThere) => self.plan.missing.push((path, NOT_THERE)),
            Some(Verdict::Here) => {
                self.part.whole.insert(path, Whole { to, is_met: false });
            }
            Some(Verdict::Below) | None => match self.records.before(&path) {
                Some(before) => self.below.things.push((before, to)),
                None => self.plan.missing.push((path, LEFT_OUT)),
            },
        }
    }

    fn tree(&mut self, path: &PathBytes, to: PlaceId) {
        let Some(dumpdir) = self.records.get(path) else {
            if path.as_bytes().is_empty() && !self.records.has_root() {
                return self.some_of_the_disk(to);
            }
            // Itself may be there all the same.
            take(self.plan, self.part, path.clone(), to, true, NameSet::default());
            match self.records.before(path) {
                Some(before) => {
                    self.plan.remarks.push(format!("{} was not read for {}: it comes as it was before.", shown(path), self.name));
                    self.below.trees.push((before, to));
                }
                None => self.plan.missing.push((path.clone(), LEFT_OUT)),
            }
            return;
        };
        let (mut here, mut unchanged) = (NameSet::default(), NameSet::default());
        for entry in dumpdir.entries() {
            match entry.code {
                Code::Here => here.add(entry.name),
                Code::Unchanged => unchanged.add(entry.name),
                Code::Directory => {
                    let inner = below(&self.plan.places[to].path, entry.name);
                    let inner = self.plan.place(inner);
                    self.trees.push((below(path, entry.name), inner));
                }
            }
        }
        here.seal();
        take(self.plan, self.part, path.clone(), to, true, here);
        self.pass_on(path, to, unchanged);
    }

    fn names(&mut self, path: &PathBytes, to: PlaceId, names: NameSet) {
        let Some(dumpdir) = self.records.get(path) else {
            return self.pass_on(path, to, names);
        };
        let mut names = names;
        let (mut here, mut unchanged) = (NameSet::default(), NameSet::default());
        for entry in dumpdir.entries().filter(|entry| names.contains(entry.name)).collect::<Vec<_>>() {
            names.meet(entry.name);
            match entry.code {
                Code::Here => here.add(entry.name),
                Code::Unchanged => unchanged.add(entry.name),
                // The dump above could not read it, or was told to leave it out.
                Code::Directory => {
                    let inner = below(&self.plan.places[to].path, entry.name);
                    let inner = self.plan.place(inner);
                    let dir = below(path, entry.name);
                    self.plan.remarks.push(format!(
                        "{} was left out later, or could not be read: it comes as {} has it.",
                        shown(&dir),
                        self.name
                    ));
                    self.trees.push((dir, inner));
                }
            }
        }
        self.plan.missing.extend(names.missing().map(|name| (below(path, name), CONTRADICTION)));
        here.seal();
        take(self.plan, self.part, path.clone(), to, false, here);
        self.pass_on(path, to, unchanged);
    }

    /// Asks the dump below for what did not change since.
    fn pass_on(&mut self, path: &PathBytes, to: PlaceId, mut names: NameSet) {
        names.seal();
        if names.is_empty() {
            return;
        }
        match self.records.before(path) {
            Some(before) => self.below.names.push((before, to, names)),
            None => self.plan.missing.extend(names.missing().map(|name| (below(path, name), LEFT_OUT))),
        }
    }

    /// The disk's own directory, of a disk of which only some names are dumped.
    fn some_of_the_disk(&mut self, to: PlaceId) {
        self.plan.remarks.push(format!("Only some directories of the disk are in {}: files beside them do not come.", self.name));
        for top in self.records.topmost().into_iter().cloned().collect::<Vec<_>>() {
            let inner = below(&self.plan.places[to].path, top.as_bytes());
            let inner = self.plan.place(inner);
            self.trees.push((top, inner));
        }
    }
}

fn take(plan: &mut Plan, part: &mut Part, path: PathBytes, to: PlaceId, itself: bool, names: NameSet) {
    if !itself && names.is_empty() {
        return;
    }
    match part.dirs.entry(path) {
        std::collections::hash_map::Entry::Vacant(entry) => {
            entry.insert(Taken { to, itself, names });
        }
        std::collections::hash_map::Entry::Occupied(_) => plan.missing.push((plan.places[to].path.clone(), TWICE)),
    }
}

/// A path for a sentence.
fn shown(path: &PathBytes) -> String {
    match path.as_bytes() {
        b"" => "The disk's own directory".to_owned(),
        path => format!("{:?}", String::from_utf8_lossy(path)),
    }
}
