//! Tables of single runs. A month of them is in [`month`], what holds of all in [`any`].

mod any;
mod month;

use amanda::admin::Place;
use amanda::chains::{Bases, Restorable};
use amanda::conf::Strategy;
use amanda::curinfo::{Dumped, FORCE_BUMP, FORCE_FULL, FORCE_LEVEL_1, FORCE_NO_BUMP, Info};
use amanda::dle::Dle;
use amanda::tapelist::{Tape, Tapelist};

use super::*;
use crate::engine::embedded::plan::{self, Known};

const DAY: i64 = 86_400;
const TODAY: i64 = 1_000;

const SITE: SiteRules = SiteRules {
    now: TODAY * DAY,
    dumpcycle: 14,
    runs_per_cycle: 10,
    tapecycle: 15,
    runtapes: 1,
    tape_kb: 10_000_000,
    most_kb: None,
    mark_kb: 1,
    block_kb: 32,
    waiting_kb: 0,
    waiting_full_kb: 0,
};

const RULES: DiskRules = DiskRules {
    strategy: Strategy::Standard,
    skip_full: false,
    skip_incr: false,
    levels: plan::Rules { full_only: false, dumpcycle: 14, bumpdays: 2, bumpsize: 10_240, bumppercent: 0, bumpmult: 1.5 },
    // So that one disk is looked at alone.
    maxpromoteday: 0,
    priority: 1,
    compresses: false,
    comprate: [0.5; 2],
    may_split: true,
};

/// In these tests a datestamp is a day, ten digits long.
fn moment(stamp: &str) -> Option<i64> {
    stamp.parse::<i64>().ok().map(|day| day * DAY)
}

fn stamp(day: i64) -> String {
    format!("{day:010}")
}

/// A disk with what it went through.
#[derive(Debug)]
struct Machine {
    dle: Dle,
    info: Info,
    dumps: Vec<Restorable>,
    rules: DiskRules,
    presence: Presence,
    full_overwritten_in: Option<u32>,
}

impl Machine {
    fn new(name: &str, rules: DiskRules) -> Self {
        let (host, disk) = name.split_once(':').expect("host:disk");
        Self {
            dle: Dle::new(host, disk),
            info: Info::default(),
            dumps: Vec::new(),
            rules,
            presence: Presence::Always,
            full_overwritten_in: None,
        }
    }

    /// One with these dumps: the day, the level, KiB.
    fn with(name: &str, rules: DiskRules, dumps: &[(i64, u8, i64)]) -> Self {
        let mut machine = Self::new(name, rules);
        dumps.iter().for_each(|&(day, level, kb)| machine.dumped(day, level, kb));
        machine
    }

    fn dumped(&mut self, day: i64, level: u8, kb: i64) {
        let mut bases: Vec<String> = Vec::new();
        for below in (0..level).rev() {
            bases.extend(self.dumps.iter().rfind(|dump| dump.level == below).map(|dump| dump.datestamp.clone()));
        }
        let places = vec![vec![Place::Holding("/x".into())]];
        self.dumps.push(Restorable { level, datestamp: stamp(day), places, bases: Bases::Complete(bases) });
        self.info.dumped(Dumped { level, orig_kb: kb, kb, date: day * DAY, secs: 10, compressed: false });
    }

    fn candidate(&self, day: i64) -> Candidate<'_> {
        let known = Known { dumps: &self.dumps, info: &self.info, moment: &moment };
        Candidate {
            dle: &self.dle,
            info: &self.info,
            ground: plan::ground(&known, &stamp(day), day * DAY),
            rules: self.rules,
            presence: self.presence,
            said: &[],
            full_overwritten_in: self.full_overwritten_in,
            level_1_overwritten_in: None,
        }
    }
}

fn scheduled(site: &SiteRules, machines: &[Machine]) -> Schedule {
    let day = site.now / DAY;
    let candidates: Vec<_> = machines.iter().map(|machine| machine.candidate(day)).collect();
    schedule(site, &candidates)
}

fn one(machine: Machine) -> (Verdict, Vec<Line>) {
    let mut schedule = scheduled(&SITE, &[machine]);
    (schedule.verdicts.remove(0), schedule.lines)
}

fn planned(verdict: &Verdict) -> &Planned {
    match verdict {
        Verdict::Dump(planned) => planned,
        other => panic!("not dumped: {other:?}"),
    }
}

fn levels(schedule: &Schedule) -> Vec<Option<u8>> {
    let level = |verdict: &Verdict| if let Verdict::Dump(planned) = verdict { Some(planned.level) } else { None };
    schedule.verdicts.iter().map(level).collect()
}

#[test]
fn each_history_has_its_level_and_its_reason() {
    let large = 20_000;
    for (case, dumps, level, words) in [
        ("no history", &[][..], 0, "no dump of it yet"),
        ("after a full one", &[(999, 0, 500)], 1, "the last dump was a full one"),
        ("the cycle is over", &[(986, 0, 500), (999, 1, 5)], 0, "14 days old"),
        ("tomorrow", &[(987, 0, 500), (999, 1, 5)], 1, "due tomorrow"),
        ("small incremental dumps stay", &[(990, 0, 500), (998, 1, 5), (999, 1, 9)], 1, "small"),
        ("the next one saves enough", &[(990, 0, 500_000), (996, 1, 5_000), (997, 1, large), (998, 1, large)], 2, "saves"),
        ("large and young stays", &[(990, 0, 500), (999, 1, large)], 1, "1 run of 2 (bumpdays)"),
    ] {
        let (verdict, _) = one(Machine::with("h:/d", RULES, dumps));
        let planned = planned(&verdict);
        assert_eq!(planned.level, level, "{case}: {}", planned.reason);
        assert!(planned.reason.contains(words), "{case}: {}", planned.reason);
        assert_eq!(planned.base.is_some(), level > 0, "{case}");
    }
}

#[test]
fn commands_are_followed_where_the_dumptype_has_it() {
    let dumps = [(990, 0, 500), (998, 1, 5), (999, 2, 5)];
    let only = |strategy| DiskRules { strategy, ..RULES };
    for (command, rules, level) in [
        (FORCE_FULL, RULES, 0),
        (FORCE_LEVEL_1, RULES, 1),
        (FORCE_BUMP, RULES, 3),
        (FORCE_NO_BUMP, RULES, 2),
        (FORCE_FULL, only(Strategy::NoFull), 1),
        (FORCE_FULL, only(Strategy::IncrOnly), 2),
        (FORCE_LEVEL_1, only(Strategy::NoInc), 0),
        (FORCE_BUMP, only(Strategy::NoInc), 0),
        (0, only(Strategy::NoInc), 0),
        (0, only(Strategy::Hanoi), 2),
    ] {
        let mut machine = Machine::with("h:/d", rules, &dumps);
        machine.info.command = command;
        assert_eq!(planned(&one(machine).0).level, level, "{command} {rules:?}");
    }
}

#[test]
fn what_is_left_out_says_so() {
    let skip_full = DiskRules { skip_full: true, ..RULES };
    let skip_incr = DiskRules { skip_incr: true, ..RULES };
    let incronly = DiskRules { strategy: Strategy::IncrOnly, ..RULES };
    let skipped = |level, elsewhere| move |verdict: &Verdict| matches!(verdict, Verdict::Skipped { level: of, full_made_elsewhere, .. } if (*of, *full_made_elsewhere) == (level, elsewhere));
    assert!(skipped(0, true)(&one(Machine::with("h:/d", skip_full, &[(980, 0, 500)])).0));
    assert_eq!(planned(&one(Machine::with("h:/d", skip_full, &[(990, 0, 500)])).0).level, 1);
    assert!(skipped(1, false)(&one(Machine::with("h:/d", skip_incr, &[(990, 0, 500)])).0));
    assert_eq!(planned(&one(Machine::with("h:/d", skip_incr, &[(980, 0, 500)])).0).level, 0);
    let (verdict, lines) = one(Machine::new("h:/d", incronly));
    assert!(matches!(verdict, Verdict::Failed { level: 1, .. }), "{verdict:?}");
    assert!(lines.iter().any(|line| matches!(line, Line::Fail { level: 1, .. })), "{lines:?}");
}

#[test]
fn nothing_is_built_on_what_is_not_certain() {
    let mut machine = Machine::with("h:/d", RULES, &[(990, 0, 500), (998, 1, 5), (999, 2, 5)]);
    machine.dumps[2].bases = Bases::Missing { level: 1 };
    let (verdict, _) = one(machine);
    assert_eq!((planned(&verdict).level, planned(&verdict).reason.contains("is gone")), (0, true));
}

#[test]
fn a_full_dump_is_made_before_the_last_one_is_overwritten() {
    for (runs, level) in [(Some(0), 0), (Some(1), 0), (Some(2), 1), (None, 1)] {
        let mut machine = Machine::with("h:/d", RULES, &[(995, 0, 500)]);
        machine.full_overwritten_in = runs;
        assert_eq!(planned(&one(machine).0).level, level, "{runs:?}");
    }
}

#[test]
fn without_room_full_dumps_wait_and_then_the_least_important_goes() {
    let site = SiteRules { tape_kb: 2_500_000, ..SITE };
    let due = |name: &str, priority: i64, day: i64| {
        Machine::with(name, DiskRules { priority, ..RULES }, &[(day, 0, 1_000_000), (999, 1, 100_000)])
    };
    let machines = [due("a:/1", 1, 986), due("b:/1", 1, 985), due("c:/1", 1, 984), due("d:/1", 1, 983)];
    let schedule = scheduled(&site, &machines);
    // The one with the oldest full dump is overdue for longest, and is preserved; the youngest ones wait.
    assert_eq!(levels(&schedule), [Some(1), Some(1), Some(0), Some(0)]);
    assert_eq!(planned(&schedule.verdicts[0]).moved, Some(Moved::Delayed));
    assert!(planned(&schedule.verdicts[0]).reason.contains("no room"), "{:?}", schedule.verdicts[0]);
    assert!(schedule.balance.total_kb <= 2_500_000, "{:?}", schedule.balance);
    assert_eq!(schedule.lines.iter().filter(|line| matches!(line, Line::Delayed { .. })).count(), 2);
    let tiny = scheduled(&SiteRules { tape_kb: 1_400_000, ..SITE }, &machines);
    assert_eq!(levels(&tiny), [Some(1), Some(1), Some(1), Some(0)]);
    // A new disk is made before all that can wait.
    let mut with_new = vec![Machine::new("n:/1", RULES)];
    with_new.extend(machines);
    let schedule = scheduled(&SiteRules { tape_kb: 1_900_000, ..SITE }, &with_new);
    assert_eq!(levels(&schedule)[0], Some(0));
}

#[test]
fn a_dump_that_is_larger_than_a_volume_is_not_tried() {
    let site = SiteRules { tape_kb: 900_000, ..SITE };
    let (small, large) = ([(980, 0, 1_000_000), (999, 1, 100_000)], [(980, 0, 1_000_000), (999, 1, 950_000)]);
    let whole = DiskRules { may_split: false, ..RULES };
    let levels = |site: &SiteRules, rules, dumps: &[(i64, u8, i64)]| levels(&scheduled(site, &[Machine::with("h:/d", rules, dumps)]))[0];
    assert_eq!(levels(&site, RULES, &small), Some(1));
    assert_eq!(levels(&site, RULES, &large), None);
    assert_eq!(levels(&SiteRules { runtapes: 2, ..site }, RULES, &large), Some(0));
    assert_eq!(levels(&SiteRules { runtapes: 2, ..site }, whole, &small), Some(1));
}

#[test]
fn a_full_dump_of_a_crowded_day_is_made_early() {
    let early = DiskRules { maxpromoteday: 10_000, ..RULES };
    let due_at = |name: &str, day: i64| Machine::with(name, early, &[(day, 0, 1_000), (999, 1, 10)]);
    let machines = [due_at("a:/1", 990), due_at("b:/1", 992), due_at("b:/2", 992), due_at("c:/1", 993)];
    let schedule = scheduled(&SITE, &machines);
    let fulls: Vec<_> = schedule.verdicts.iter().filter(|verdict| planned(verdict).level == 0).collect();
    assert_eq!(fulls.len(), 1, "{schedule:?}");
    assert_eq!(planned(&schedule.verdicts[1]).moved, Some(Moved::Promoted { days: 6 }), "{schedule:?}");
    let degraded = planned(&schedule.verdicts[1]).degraded.as_ref().expect("what it had had");
    assert_eq!((degraded.level, degraded.base.as_deref()), (1, Some(stamp(992).as_str())));
    // What hosts that call in have brought counts.
    let brought = SiteRules { waiting_full_kb: 1_000, ..SITE };
    assert!(levels(&scheduled(&brought, &machines)).iter().all(|level| *level == Some(1)));
    // A host that is away has its share, and nobody fills it.
    let mut away = due_at("laptop:/", 990);
    away.presence = Presence::Away;
    let mut with_away: Vec<Machine> = machines.into_iter().collect();
    with_away.push(away);
    let schedule = scheduled(&SITE, &with_away);
    assert!(matches!(schedule.verdicts[4], Verdict::Skipped { .. }));
    assert!(schedule.balance.balanced_kb > 499.0, "{:?}", schedule.balance);
}

#[test]
fn volumes_are_counted_as_amanda_counts_them() {
    let mut tapelist = Tapelist::default();
    for number in 1..=5 {
        tapelist.put(Tape::new(format!("2026110{number}020000"), format!("L{number}"), "daily"));
    }
    for (label, tapecycle, runtapes, runs) in
        [("L5", 5, 1, Some(4)), ("L1", 5, 1, Some(0)), ("L1", 9, 1, Some(4)), ("L3", 5, 2, Some(1)), ("other", 5, 1, Some(1))]
    {
        assert_eq!(overwritten_in(&tapelist, label, tapecycle, runtapes), runs, "{label} {tapecycle} {runtapes}");
    }
    tapelist.put(Tape { reuse: false, ..Tape::new("20261101020000", "L1", "daily") });
    assert_eq!(overwritten_in(&tapelist, "L1", 5, 1), None);
    let now = crate::engine::embedded::stamp::seconds("20261106020000").expect("a moment");
    assert_eq!(runs_per_cycle(None, 14, 15, 1, &tapelist, now), 14);
    assert_eq!(runs_per_cycle(None, 3, 15, 1, &tapelist, now), 2);
    assert_eq!(runs_per_cycle(Some(10), 14, 15, 1, &tapelist, now), 10);
    assert_eq!(runs_per_cycle(None, 14, 15, 1, &Tapelist::default(), now), 14);
}
