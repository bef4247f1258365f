use super::*;
use amanda::admin::Place;
use amanda::curinfo::Dumped;

const RULES: Rules = Rules { full_only: false, dumpcycle: 14, bumpdays: 2, bumpsize: 10_240, bumppercent: 0, bumpmult: 1.5 };
const NOW: i64 = 1_000 * DAY;

/// In these tests a datestamp is a day, ten digits long.
fn moment(stamp: &str) -> Option<i64> {
    stamp.parse::<i64>().ok().map(|day| day * DAY)
}

fn stamp(day: i64) -> String {
    format!("{day:010}")
}

fn restorable(day: i64, level: u8, bases: Bases) -> Restorable {
    Restorable { level, datestamp: stamp(day), places: vec![vec![Place::Holding("/x".into())]], bases }
}

/// Dumps as they were made, `(day, level, KiB)`; all of them whole.
fn made(dumps: &[(i64, u8, i64)]) -> (Vec<Restorable>, Info) {
    let mut info = Info::default();
    let mut whole: Vec<Restorable> = Vec::new();
    for &(day, level, kb) in dumps {
        let mut bases = Vec::new();
        for below in (0..level).rev() {
            bases.extend(dumps.iter().rfind(|dump| dump.1 == below && dump.0 < day).map(|dump| stamp(dump.0)));
        }
        whole.push(restorable(day, level, Bases::Complete(bases)));
        info.dumped(Dumped { level, orig_kb: kb, kb: kb / 2, date: day * DAY, secs: 1, compressed: true });
    }
    whole.sort_by(|one, other| one.datestamp.cmp(&other.datestamp));
    (whole, info)
}

fn planned(dumps: &[Restorable], info: &Info, rules: Rules) -> Plan {
    plan(&Known { dumps, info, moment: &moment }, &rules, &stamp(1_000), NOW)
}

#[test]
fn each_history_has_its_level_and_its_reason() {
    let large = 20_000;
    for (case, dumps, level, words) in [
        ("no history", &[][..], 0, "no dump of it yet"),
        ("after a full one", &[(999, 0, 500)], 1, "not older than dumpcycle"),
        ("the cycle is over", &[(986, 0, 500), (999, 1, 5)], 0, "14 days old"),
        ("the cycle is nearly over", &[(987, 0, 500), (999, 1, 5)], 1, "small"),
        ("small incremental dumps stay", &[(990, 0, 500), (991, 1, 5), (999, 1, 9)], 1, "small"),
        ("large and old goes on", &[(990, 0, 500), (991, 1, 5), (999, 1, large)], 2, "20000 KiB"),
        ("large and young stays", &[(990, 0, 500), (999, 1, large)], 1, "younger than bumpdays"),
        ("the next level is dearer", &[(990, 0, 500), (991, 1, large), (992, 2, 12_000), (999, 2, 12_000)], 2, "small"),
        ("and worth it in the end", &[(990, 0, 500), (991, 1, large), (992, 2, 15_400), (999, 2, 15_400)], 3, "worth it"),
        ("level 9 stays", &[(980, 0, 500), (991, 0, 9), (992, 1, 9)], 1, "small"),
        ("a dump of the future", &[(990, 0, 500), (1_100, 1, 5)], 0, "ahead"),
        ("and a full one after it", &[(990, 0, 500), (1_100, 1, 5), (999, 0, 500)], 1, "not older"),
        ("a full dump of the future", &[(1_100, 0, 5)], 0, "ahead"),
    ] {
        let (dumps, info) = made(dumps);
        let plan = planned(&dumps, &info, RULES);
        assert_eq!(plan.level, level, "{case}: {}", plan.reason);
        assert!(plan.reason.contains(words), "{case}: {}", plan.reason);
    }
}

#[test]
fn a_plan_names_what_the_dump_will_build_on() {
    let (dumps, mut info) = made(&[(985, 0, 500), (990, 0, 500), (998, 1, 5), (999, 2, 5)]);
    for (command, base) in [(FORCE_FULL, None), (FORCE_LEVEL_1, Some(990)), (FORCE_BUMP, Some(999)), (FORCE_NO_BUMP, Some(998))] {
        info.command = command;
        assert_eq!(planned(&dumps, &info, RULES).base, base.map(stamp), "{command}");
    }
}

#[test]
fn the_highest_level_is_nine() {
    let mut dumps = vec![(990, 0, 500_000)];
    dumps.extend((1..=9).map(|level| (990 + i64::from(level), level, 400_000)));
    let (dumps, info) = made(&dumps);
    let plan = planned(&dumps, &info, Rules { bumpdays: 0, ..RULES });
    assert_eq!((plan.level, plan.reason.contains("highest")), (9, true));
}

#[test]
fn what_is_asked_for_is_done() {
    let (dumps, mut info) = made(&[(990, 0, 500), (998, 1, 5), (999, 2, 5)]);
    for (command, level) in [(FORCE_FULL, 0), (FORCE_LEVEL_1, 1), (FORCE_BUMP, 3), (FORCE_NO_BUMP, 2), (0, 2)] {
        info.command = command;
        assert_eq!(planned(&dumps, &info, RULES).level, level, "{command}");
    }
    assert_eq!(planned(&dumps, &info, Rules { full_only: true, ..RULES }).level, 0);
    assert_eq!(planned(&dumps, &info, Rules { dumpcycle: 0, ..RULES }).level, 0);
}

#[test]
fn nothing_is_built_on_what_is_not_certain() {
    let (dumps, info) = made(&[(990, 0, 500), (998, 1, 5), (999, 2, 5)]);
    let mut missing = dumps.clone();
    missing[2].bases = Bases::Missing { level: 1 };
    let mut doubtful = dumps.clone();
    doubtful[2].bases = Bases::Doubtful { bases: vec![stamp(998), stamp(990)], broken: stamp(995) };
    for (case, dumps, words) in [
        ("the base is gone", &missing[..], "is gone"),
        ("a base is in doubt", &doubtful, "not whole"),
        ("the last one is gone", &dumps[..2], "of level 2, is gone"),
    ] {
        let plan = planned(dumps, &info, RULES);
        assert_eq!(plan.level, 0, "{case}");
        assert!(plan.reason.contains(words), "{case}: {}", plan.reason);
    }
    // Without any memory the volumes alone count.
    assert_eq!(planned(&dumps, &Info::default(), RULES).level, 2);
}

#[test]
fn percents_count_where_they_are_said() {
    let (dumps, info) = made(&[(990, 0, 100_000), (991, 1, 5), (999, 1, 5_000)]);
    assert_eq!(planned(&dumps, &info, Rules { bumppercent: 5, ..RULES }).level, 2);
    assert_eq!(planned(&dumps, &info, Rules { bumppercent: 6, ..RULES }).level, 1);
}

#[test]
fn sizes_are_expected_from_the_history() {
    let (dumps, info) = made(&[(990, 0, 500), (991, 1, 6), (999, 1, 20_000)]);
    let plan = planned(&dumps, &info, RULES);
    assert_eq!((plan.level, plan.estimate), (2, Some(Estimate { raw: 20_000 * 1024, stored: 10_000 * 1024 })));
    let (dumps, info) = made(&[(980, 0, 500)]);
    assert_eq!(planned(&dumps, &info, RULES).estimate, Some(Estimate { raw: 500 * 1024, stored: 250 * 1024 }));
    let (dumps, info) = made(&[(999, 0, 500)]);
    assert_eq!(planned(&dumps, &info, RULES).estimate, None);
}
