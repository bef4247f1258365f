//! What became of each disk, for people who want to know no more.

use amanda::dle::Dle;
use amanda::run_log::said::Word;

use super::run::{Disk, Half, Run, Try};

/// What became of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Its dump is on a volume.
    Volume,
    /// Its dump is on the holding disk.
    Holding,
    /// It was left out on purpose, for this reason.
    LeftOut(String),
    /// There is no new dump of it, for this reason.
    Not(String),
}

/// An earlier dump that was to go to a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flushed {
    /// Whose.
    pub dle: Dle,
    /// When it was made.
    pub datestamp: String,
    /// Why it did not; `None` when it did.
    pub failed: Option<String>,
}

/// Returns what became of the disks that were to be dumped.
pub fn fates(run: &Run) -> Vec<(Dle, Fate)> {
    let own = |disk: &Disk| disk.dumps.contains_key(&run.datestamp);
    // What was only flushed has a dump of another day.
    let dumped = run.disks.iter().filter(|(_, disk)| own(disk) || disk.dumps.is_empty());
    dumped.map(|(dle, disk)| (dle.clone(), fate(run, disk))).collect()
}

fn fate(run: &Run, disk: &Disk) -> Fate {
    if let Some(last) = disk.dumps.get(&run.datestamp).and_then(|tries| tries.last()) {
        return of_try(last);
    }
    if let Some(why) = &disk.skipped {
        return Fate::LeftOut(why.clone());
    }
    let refused = disk.planner.as_ref().or(disk.driver.as_ref());
    Fate::Not(refused.map_or_else(|| "the run said nothing about it".to_owned(), |half| half.reason.clone()))
}

fn of_try(last: &Try) -> Fate {
    let is = |half: Option<&Half>, word| half.is_some_and(|half| half.is(&[word]));
    let (dumper, chunker, taper) = (last.dumper.as_ref(), last.chunker.as_ref(), last.taper.as_ref());
    let dumped = dumper.is_some_and(|half| half.is(&[Word::Success, Word::Strange]));
    match (dumped, is(taper, Word::Done), is(chunker, Word::Success)) {
        (true, true, _) => Fate::Volume,
        (true, false, true) => Fate::Holding,
        _ => {
            let failed = [dumper, chunker, taper].into_iter().flatten().find(|half| half.is(&[Word::Fail, Word::Partial]));
            let why = failed.map(|half| half.reason.clone()).filter(|why| !why.is_empty());
            Fate::Not(why.unwrap_or_else(|| "it was not finished".to_owned()))
        }
    }
}

/// Returns what became of earlier dumps that were to go to volumes.
pub fn flushed(run: &Run) -> Vec<Flushed> {
    let mut all = Vec::new();
    for (dle, disk) in &run.disks {
        for (datestamp, tries) in disk.dumps.iter().filter(|(datestamp, _)| **datestamp != run.datestamp) {
            let Some(taper) = tries.iter().rev().find_map(|attempt| attempt.taper.as_ref()).filter(|taper| !taper.vault) else { continue };
            let failed = (!taper.is(&[Word::Done])).then(|| taper.reason.clone());
            all.push(Flushed { dle: dle.clone(), datestamp: datestamp.clone(), failed });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use amanda::run_log::said::said;

    const BEGUN: &str = "START planner date 20261122023901\nDISK planner h /d\n";

    #[test]
    fn a_disk_has_one_fate() {
        let dumped = "SUCCESS dumper h /d 20261122023901 0 1:2 1:2 [sec 1.0 kb 2 kps 2.0 orig-kb 10]\n";
        let stored = "SUCCESS chunker h /d 20261122023901 0 1:2 [sec 1.0 kb 2 kps 2.0]\n";
        let taped = "DONE taper ST:s POOL:p h /d 20261122023901 1 0 1:2 1:2 1:2 [sec 1.0 bytes 4096 kps 2.0 orig-kb 9]\n";
        let not = |why: &str| Fate::Not(why.to_owned());
        for (case, log, expected) in [
            ("on a volume", format!("{dumped}{stored}{taped}"), Fate::Volume),
            ("straight to a volume", format!("{dumped}{taped}"), Fate::Volume),
            ("on the holding disk", format!("{dumped}{stored}"), Fate::Holding),
            ("failed", "FAIL dumper h /d 20261122023901 0 [gone]\n".to_owned(), not("gone")),
            ("refused", "FAIL planner h /d 20261122023901 0 \"[no answer]\"\n".to_owned(), not("no answer")),
            ("never heard of", String::new(), not("the run said nothing about it")),
            ("cut off", dumped.to_owned(), not("it was not finished")),
        ] {
            let run = Run::of(&said(format!("{BEGUN}{log}").as_bytes()));
            assert_eq!(fates(&run), [(Dle::new("h", "/d"), expected)], "{case}");
        }
    }
}
