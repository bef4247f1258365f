//! From what is wanted to what of which dump: one level at a time, from the highest one down.
//!
//! GNU tar notes in every incremental dump what every directory had in it. So the highest dump says what was there: `Y`, it has it; `N`, it is as it
//! was in the dump below; `D`, a directory that the same dump has a list of. What no list names was deleted.

use wire::restore::{MAX_PATHS, PathBytes};

use super::nameset::NameSet;
use super::path::{behind, below, cover, split};
use super::plan::{Part, PlaceId, Plan, Taken, Whole};
use super::records::{Records, Verdict};
use super::wanted::Wanted;
use crate::dumpdir::Code;

const NOT_THERE: &str = "it was not there then";
const CONTRADICTION: &str = "the dumps contradict each other about it";
const TWICE: &str = "the dumps say that it was two directories";
const LEFT_OUT: &str = "no dump has it: it was left out, or could not be read";

/// What is wanted of the dump of one level and of those below it.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// Wished for, and nobody knows yet what it is.
    pub things: Vec<Need>,
    /// Directories with everything in them.
    pub trees: Vec<Need>,
    /// Names in directories.
    pub names: Vec<(Need, NameSet)>,
}

/// Something that is wanted.
#[derive(Debug)]
pub(crate) struct Need {
    /// Its path in the dump, or those that it may have: the likeliest first, at least one.
    pub paths: Vec<PathBytes>,
    /// Where it goes.
    pub to: PlaceId,
}

impl Need {
    pub fn new(path: PathBytes, to: PlaceId) -> Self {
        Self { paths: vec![path], to }
    }
}

impl Needs {
    pub fn is_empty(&self) -> bool {
        self.things.is_empty() && self.trees.is_empty() && self.names.is_empty()
    }

    fn all(&self) -> impl Iterator<Item = &Need> {
        self.things.iter().chain(&self.trees).chain(self.names.iter().map(|(need, _)| need))
    }

    /// Says whether something may have several paths.
    pub fn is_open(&self) -> bool {
        self.all().any(|need| need.paths.len() > 1)
    }

    /// Returns whose lists must be known to go on, and whether those of all directories below as well.
    pub fn question(&self) -> (Vec<PathBytes>, bool) {
        let deep: Vec<PathBytes> = self.things.iter().chain(&self.trees).flat_map(|need| need.paths.iter().cloned()).collect();
        let flat = self.names.iter().flat_map(|(need, _)| need.paths.iter().cloned());
        let is_deep = !deep.is_empty() || self.names.len() > MAX_PATHS;
        (cover_if(is_deep, deep.into_iter().chain(flat).collect()), is_deep)
    }

    /// Returns whose lists tell which path something has, when nothing else is to be known.
    pub fn open_question(&self) -> Vec<PathBytes> {
        let open = self.all().filter(|need| need.paths.len() > 1).flat_map(|need| need.paths.iter().cloned());
        cover_if(false, open.collect())
    }

    /// Takes the paths of directories as this dump's list has them for those that they have in this dump; whether some differ.
    pub fn follow(&mut self, records: &Records) -> bool {
        let needs = self.things.iter_mut().chain(&mut self.trees).chain(self.names.iter_mut().map(|(need, _)| need));
        let mut differs = false;
        for path in needs.flat_map(|need| &mut need.paths) {
            let now = records.now(path);
            differs |= now != *path;
            *path = now;
        }
        differs
    }

    /// Decides which path each has.
    pub fn settle(&mut self, records: &Records) {
        let none = NameSet::default();
        let others = self.things.iter_mut().chain(&mut self.trees).map(|need| (need, &none));
        for (need, names) in others.chain(self.names.iter_mut().map(|(need, names)| (need, &*names))) {
            if need.paths.len() > 1 {
                let chosen = records.choose(&need.paths, names).unwrap_or_else(|| need.paths[0].clone());
                need.paths = vec![chosen];
            }
        }
    }

    /// Returns which directories' lists are needed.
    pub fn wanted(&self) -> Wanted {
        let named = self.names.iter().flat_map(|(need, _)| &need.paths);
        Wanted::new(named, self.things.iter().chain(&self.trees).flat_map(|need| &need.paths))
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
    let mut step = Step {
        records,
        topmost: None,
        plan,
        part,
        below: Needs::default(),
        trees: needs.trees.into_iter().filter_map(settled).collect(),
        name,
    };
    let mut things: Vec<_> = needs.things.into_iter().filter_map(settled).collect();
    // Those of one directory one behind the other: its list is read once for them.
    things.sort_by(|(one, _), (other, _)| split(one.as_bytes()).cmp(&split(other.as_bytes())));
    for (path, to) in things {
        step.thing(path, to);
    }
    for (need, names) in needs.names {
        if let Some((path, to)) = settled(need) {
            step.names(&path, to, names);
        }
    }
    while let Some((path, to)) = step.trees.pop() {
        step.tree(&path, to);
    }
    step.below
}

/// Decides what level 0 gives: everything that is left.
pub(crate) fn bottom(needs: Needs, plan: &mut Plan, part: &mut Part) {
    part.names_are_whole = true;
    for (path, to) in needs.things.into_iter().chain(needs.trees).filter_map(settled) {
        match part.whole.entry(path) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(Whole { to, is_met: false });
            }
            std::collections::hash_map::Entry::Occupied(_) => plan.missing.push((plan.places[to].path.clone(), TWICE)),
        }
    }
    for (need, names) in needs.names {
        if let Some((path, to)) = settled(need) {
            take(plan, part, path, to, false, names);
        }
    }
}

/// Returns the path that was decided on.
fn settled(need: Need) -> Option<(PathBytes, PlaceId)> {
    need.paths.into_iter().next().map(|path| (path, need.to))
}

struct Step<'a> {
    records: &'a Records,
    /// The directories that lie in no other one, when that is known.
    topmost: Option<Vec<&'a PathBytes>>,
    plan: &'a mut Plan,
    part: &'a mut Part,
    below: Needs,
    trees: Vec<(PathBytes, PlaceId)>,
    /// The dump, for people.
    name: &'a str,
}

impl Step<'_> {
    fn thing(&mut self, path: PathBytes, to: PlaceId) {
        if self.records.get(&path).is_some() {
            return self.trees.push((path, to));
        }
        match self.records.verdict(&path) {
            Some(Verdict::NotThere) => self.plan.missing.push((path, NOT_THERE)),
            Some(Verdict::Here) => {
                self.part.whole.insert(path, Whole { to, is_met: false });
            }
            Some(Verdict::Below) => self.thing_below(path, to),
            None if self.some_of(&path, to) => {}
            None => self.by_itself(path, to),
        }
    }

    /// Nobody says whether this dump has it: a file that was named to tar by itself comes when it did change, and is newer than what dumps below have.
    fn by_itself(&mut self, path: PathBytes, to: PlaceId) {
        if !path.as_bytes().is_empty() {
            self.part.whole.insert(path.clone(), Whole { to, is_met: true });
        }
        self.thing_below(path, to);
    }

    fn thing_below(&mut self, path: PathBytes, to: PlaceId) {
        match self.records.before(&path) {
            paths if paths.is_empty() => self.plan.missing.push((path, LEFT_OUT)),
            paths => self.below.things.push(Need { paths, to }),
        }
    }

    fn tree(&mut self, path: &PathBytes, to: PlaceId) {
        let Some(dumpdir) = self.records.get(path) else {
            if path.as_bytes().is_empty() && self.some_of(path, to) {
                return;
            }
            // Itself may be there all the same.
            take(self.plan, self.part, path.clone(), to, true, NameSet::default());
            match self.records.before(path) {
                paths if paths.is_empty() => self.plan.missing.push((path.clone(), LEFT_OUT)),
                paths => {
                    self.plan.remarks.push(format!("{} was not read for {}: it comes as it was before.", shown(path), self.name));
                    self.below.trees.push(Need { paths, to });
                }
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
        let paths = match self.records.before(path) {
            // Of a new directory everything is in the dump. Whatever this is, it may be found under the same name.
            paths if paths.is_empty() => vec![path.clone()],
            paths => paths,
        };
        self.below.names.push((Need { paths, to }, names));
    }

    /// A directory above what is dumped, when only some names of the disk are: no dump has it, and all that it had. Says whether there is any of it.
    fn some_of(&mut self, path: &PathBytes, to: PlaceId) -> bool {
        if self.records.has_root() {
            return false;
        }
        let dirs: Vec<PathBytes> = self
            .topmost
            .get_or_insert_with(|| self.records.topmost())
            .iter()
            .filter(|dir| dir.is_in(path))
            .map(|dir| (*dir).clone())
            .collect();
        let files = self.records.beside(path).to_vec();
        if dirs.is_empty() && files.is_empty() {
            return false;
        }
        self.plan.remarks.push(format!(
            "Only some names of {} are in {}: a file that was named by itself comes as it was last dumped, even when it was deleted since.",
            shown(path),
            self.name
        ));
        let place = |plan: &mut Plan, one: &PathBytes| {
            let at = below(&plan.places[to].path, behind(one, path).unwrap_or_default());
            plan.place(at)
        };
        for dir in dirs {
            let to = place(self.plan, &dir);
            self.trees.push((dir, to));
        }
        for file in files {
            let to = place(self.plan, &file);
            self.by_itself(file, to);
        }
        true
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
        b"" => "the disk".to_owned(),
        path => format!("{:?}", String::from_utf8_lossy(path)),
    }
}
