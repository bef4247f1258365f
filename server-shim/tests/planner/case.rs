//! A history, as curinfo and the catalog have it, and what is wanted of it.

use std::fs;
use std::path::Path;

use amanda::admin::Place;
use amanda::chains::{Bases, Restorable};
use amanda::curinfo::{self, Dumped, Info};
use amanda::dle::Dle;
use amanda::tapelist::{Tape, Tapelist};
use asyncamanda_shim::engine::embedded::plan::{Known, ground};
use asyncamanda_shim::engine::embedded::planner::{Candidate, DiskRules, Presence, SiteRules, overwritten_in};
use asyncamanda_shim::engine::embedded::stamp;

pub const DAY: i64 = 86_400;

/// What becomes of a disk: a level, or none.
pub type Level = Option<u8>;

/// A disk with its history.
pub struct Case {
    pub dle: Dle,
    pub dumptype: &'static str,
    /// Days ago, level, KiB.
    dumps: &'static [(i64, u8, i64)],
    command: u32,
    /// The dump of so many days ago is gone, and Amanda does not know.
    lost: Option<i64>,
    /// Where the two differ: what Amanda does, what we do, and the words for it in docs/planner.md.
    pub differs: Option<(Level, Level, &'static str)>,
}

/// A disk `host/name`; the host is the last number of a loopback address.
pub fn case(name: &str, dumptype: &'static str, dumps: &'static [(i64, u8, i64)]) -> Case {
    let (host, disk) = name.split_once('/').expect("host/disk");
    let dle = Dle::new(format!("127.0.0.{host}"), format!("/{disk}"));
    Case { dle, dumptype, dumps, command: 0, lost: None, differs: None }
}

impl Case {
    pub fn asked(self, command: u32) -> Self {
        Self { command, ..self }
    }

    pub fn lost(self, days: i64) -> Self {
        Self { lost: Some(days), ..self }
    }

    pub fn differs(self, theirs: Level, ours: Level, why: &'static str) -> Self {
        Self { differs: Some((theirs, ours, why)), ..self }
    }

    /// What curinfo has.
    pub fn info(&self, now: i64) -> Info {
        let mut info = Info::default();
        for &(days, level, kb) in self.dumps {
            let date = now - days * DAY;
            // Compression to three fifths, at a rate of its own for each level.
            info.dumped(Dumped {
                level,
                orig_kb: kb,
                kb: kb * 3 / 5,
                date,
                secs: (kb / (3_000 + 700 * i64::from(level))).max(1),
                compressed: true,
            });
            info.taped(level, &label(days), 1);
        }
        info.command = self.command;
        info
    }

    /// What the catalog has.
    pub fn catalog(&self, now: i64) -> Vec<Restorable> {
        let mut whole: Vec<Restorable> = Vec::new();
        for &(days, level, _) in self.dumps {
            let places = vec![vec![Place::Volume { label: label(days).into_bytes(), file: 1 }]];
            let mut bases = Vec::new();
            for below in (0..level).rev() {
                bases.extend(whole.iter().rfind(|dump| dump.level == below).map(|dump| dump.datestamp.clone()));
            }
            whole.push(Restorable { level, datestamp: stamp::of(now - days * DAY), places, bases: Bases::Complete(bases) });
        }
        let Some(lost) = self.lost.map(|days| stamp::of(now - days * DAY)) else { return whole };
        let gone = whole.iter().position(|dump| dump.datestamp == lost).map(|at| whole.remove(at)).expect("a dump of then");
        for dump in &mut whole {
            if matches!(&dump.bases, Bases::Complete(bases) if bases.contains(&lost)) {
                dump.bases = Bases::Missing { level: gone.level };
            }
        }
        whole
    }

    pub fn write(&self, infofile: &Path, now: i64) {
        if self.dumps.is_empty() {
            return;
        }
        let path = infofile.join(curinfo::path(&self.dle));
        fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        fs::write(path, self.info(now).print()).expect("written");
    }
}

/// A disk with what is read of it.
pub struct Read<'a> {
    pub case: &'a Case,
    info: Info,
    dumps: Vec<Restorable>,
    rules: DiskRules,
}

impl<'a> Read<'a> {
    pub fn of(case: &'a Case, rules: DiskRules, now: i64) -> Self {
        Self { case, info: case.info(now), dumps: case.catalog(now), rules }
    }

    pub fn candidate(&self, site: &SiteRules, tapelist: &Tapelist, datestamp: &str) -> Candidate<'_> {
        let overwritten = |level: u8| {
            let place = self.info.stats.get(&level)?.place.as_ref()?;
            overwritten_in(tapelist, &place.label, site.tapecycle, site.runtapes)
        };
        Candidate {
            dle: &self.case.dle,
            info: &self.info,
            ground: ground(&Known { dumps: &self.dumps, info: &self.info, moment: &stamp::seconds }, datestamp, site.now),
            rules: self.rules,
            presence: Presence::Always,
            said: &[],
            full_overwritten_in: overwritten(0),
            level_1_overwritten_in: overwritten(1),
        }
    }
}

/// The volume of the run of so many days ago.
fn label(days: i64) -> String {
    format!("L{days:03}")
}

/// One volume a day for so many days.
pub fn tapelist(config: &str, days: i64, now: i64) -> Tapelist {
    let mut list = Tapelist::default();
    (1..=days).for_each(|ago| list.put(Tape::new(stamp::of(now - ago * DAY), label(ago), config)));
    list
}
