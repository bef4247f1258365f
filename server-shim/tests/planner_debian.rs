//! Debian's own planner, and ours, on the same histories: the same levels, sizes, priorities and degraded levels, or a difference that
//! docs/planner.md explains.
//!
//! It needs root and Debian's amanda-server and amanda-client, and does nothing where they are not. Where they are is said on standard
//! error. The real planner asks each host's client what it can do, so hosts are loopback addresses with `auth "local"`; it takes all sizes
//! from curinfo, and asks for no dump.

#[path = "planner/case.rs"]
mod case;
#[path = "planner/real.rs"]
mod real;

use amanda::curinfo::{FORCE_BUMP, FORCE_FULL, FORCE_LEVEL_1, FORCE_NO_BUMP};
use case::{Case, case};
use real::{Config, judged};

/// All that is explained.
const DOCS: &str = include_str!("../../docs/planner.md");

const LOST: &str = "What may be built on is certain";
const CHANCE: &str = "A full dump before the last one is overwritten";
const HANOI: &str = "hanoi is standard";
const CYCLES: &str = "A disk with a cycle of its own";
const FORCED_NEW: &str = "A new disk is not dropped for one that was forced";
const CROWD: &str = "A crowded day is thinned out";
const SKIP_FORCED: &str = "force-level-1 with skip-full";

/// Dumptypes: what stands between the braces. None is promoted where nothing else is said.
const DUMPTYPES: &[(&str, &str)] = &[
    ("d", "maxpromoteday 0"),
    ("none", "maxpromoteday 0\n compress none"),
    ("early", ""),
    ("early3", "maxpromoteday 3"),
    ("noinc", "strategy noinc"),
    ("nofull", "strategy nofull"),
    ("incronly", "strategy incronly"),
    ("hanoi", "strategy hanoi\n maxpromoteday 0"),
    ("skipfull", "skip-full yes\n maxpromoteday 0"),
    ("skipincr", "skip-incr yes\n maxpromoteday 0"),
    ("high", "priority high\n maxpromoteday 0"),
    ("low", "priority low\n maxpromoteday 0"),
    ("week", "dumpcycle 7\n maxpromoteday 0"),
    ("month", "dumpcycle 28\n maxpromoteday 0"),
    ("eager", "bumpsize 1 mb\n bumpdays 1\n bumpmult 1\n maxpromoteday 0"),
    ("percent", "bumppercent 10\n maxpromoteday 0"),
    ("whole", "allow-split no\n maxpromoteday 0"),
    ("always", "dumpcycle 0\n maxpromoteday 0"),
];

/// Each disk by itself: nothing is short, nothing is promoted.
fn alone() -> Vec<Case> {
    const STEADY: &[(i64, u8, i64)] = &[(6, 0, 400_000), (5, 1, 4_000), (4, 1, 5_000), (3, 1, 6_000), (2, 1, 7_000), (1, 1, 8_000)];
    const GROWN: &[(i64, u8, i64)] = &[(6, 0, 400_000), (5, 1, 40_000), (4, 1, 50_000), (3, 1, 60_000), (2, 1, 70_000), (1, 1, 80_000)];
    const SECOND: &[(i64, u8, i64)] = &[
        (20, 0, 400_000),
        (19, 1, 30_000),
        (18, 1, 60_000),
        (17, 2, 1_000),
        (6, 0, 400_000),
        (5, 1, 30_000),
        (4, 1, 60_000),
        (1, 2, 1_500),
    ];
    vec![
        case("2/new", "d", &[]),
        case("2/after-full", "d", &[(1, 0, 300_000)]),
        case("2/two-fulls", "d", &[(2, 0, 300_000), (1, 0, 310_000)]),
        case("2/steady", "d", STEADY),
        case("2/due-today", "d", &[(14, 0, 500_000), (1, 1, 9_000)]),
        case("2/due-tomorrow", "d", &[(13, 0, 500_000), (1, 1, 9_000)]),
        case("2/overdue", "d", &[(17, 0, 500_000), (1, 1, 9_000)]),
        case("2/long-overdue", "high", &[(19, 0, 500_000), (18, 1, 9_000)]),
        case("3/grown", "d", GROWN),
        case("3/grown-and-young", "d", &[(2, 0, 400_000), (1, 1, 80_000)]),
        case(
            "3/grown-and-known",
            "d",
            &[
                (20, 0, 400_000),
                (19, 1, 60_000),
                (18, 1, 70_000),
                (17, 2, 3_000),
                (6, 0, 400_000),
                (5, 1, 60_000),
                (4, 1, 70_000),
                (3, 1, 70_000),
            ],
        ),
        case("3/bumped", "d", SECOND),
        case("3/eager", "eager", GROWN),
        case("3/eager-steady", "eager", STEADY),
        case("3/percent", "percent", GROWN),
        case("3/percent-steady", "percent", STEADY),
        case(
            "3/level-3",
            "eager",
            &[(9, 0, 400_000), (8, 1, 90_000), (7, 1, 90_000), (6, 2, 50_000), (5, 2, 50_000), (4, 3, 20_000), (3, 3, 21_000)],
        ),
        case("4/forced", "d", STEADY).asked(FORCE_FULL),
        case("4/forced-1", "d", SECOND).asked(FORCE_LEVEL_1),
        case("4/forced-1-overdue", "d", &[(17, 0, 500_000), (1, 1, 9_000)]).asked(FORCE_LEVEL_1),
        case("4/bump", "d", STEADY).asked(FORCE_BUMP),
        case("4/bump-after-full", "d", &[(1, 0, 300_000)]).asked(FORCE_BUMP),
        case("4/bump-overdue", "d", &[(17, 0, 500_000), (1, 1, 9_000)]).asked(FORCE_BUMP),
        case("4/no-bump", "d", GROWN).asked(FORCE_NO_BUMP),
        case("4/no-bump-after-full", "d", &[(1, 0, 300_000)]).asked(FORCE_NO_BUMP),
        case("5/noinc", "noinc", &[(2, 0, 200_000), (1, 0, 210_000)]),
        case("5/noinc-new", "noinc", &[]),
        case("5/noinc-forced-1", "noinc", &[(1, 0, 210_000)]).asked(FORCE_LEVEL_1),
        case("5/nofull", "nofull", &[(9, 0, 200_000), (2, 1, 2_000), (1, 1, 2_500)]),
        case("5/nofull-forced", "nofull", &[(9, 0, 200_000), (2, 1, 2_000), (1, 1, 2_500)]).asked(FORCE_FULL),
        case("5/nofull-new", "nofull", &[]),
        case("5/incronly", "incronly", &[(18, 0, 200_000), (2, 1, 2_000), (1, 1, 2_500)]),
        case("5/incronly-new", "incronly", &[]),
        case("5/hanoi", "hanoi", &[(3, 0, 200_000), (2, 1, 2_000), (1, 1, 2_500)]),
        case("5/hanoi-due", "hanoi", &[(15, 0, 200_000), (2, 1, 2_000), (1, 1, 2_500)]).differs(Some(1), Some(0), HANOI),
        case("6/skip-full", "skipfull", &[(15, 0, 200_000), (1, 1, 2_500)]),
        case("6/skip-full-not-due", "skipfull", &[(9, 0, 200_000), (1, 1, 2_500)]),
        case("6/skip-full-tomorrow", "skipfull", &[(13, 0, 200_000), (1, 1, 2_500)]),
        case("6/skip-full-forced-1", "skipfull", &[(9, 0, 200_000), (1, 1, 2_500)]).asked(FORCE_LEVEL_1).differs(
            None,
            Some(1),
            SKIP_FORCED,
        ),
        case("6/skip-incr", "skipincr", &[(9, 0, 200_000)]),
        case("6/skip-incr-due", "skipincr", &[(15, 0, 200_000)]),
        case("7/week", "week", &[(7, 0, 200_000), (1, 1, 2_500)]),
        case("7/month", "month", &[(16, 0, 200_000), (1, 1, 2_500)]),
        case("7/always", "always", &[(1, 0, 200_000)]),
        case("7/none", "none", STEADY),
        case("7/lost-full", "d", STEADY).lost(6).differs(Some(1), Some(0), LOST),
        case("7/lost-last", "d", SECOND).lost(1).differs(Some(2), Some(0), LOST),
    ]
}

/// More is due than the volume takes.
fn short() -> Vec<Case> {
    vec![
        case("2/a", "d", &[(14, 0, 500_000), (1, 1, 9_000)]),
        case("2/b", "d", &[(15, 0, 500_000), (1, 1, 9_000)]),
        case("2/c", "low", &[(16, 0, 400_000), (1, 1, 9_000)]),
        case("3/d", "high", &[(14, 0, 300_000), (1, 1, 9_000)]),
        case("3/e", "low", &[(14, 0, 350_000), (1, 1, 30_000)]),
        case("3/f", "high", &[(6, 0, 350_000), (1, 1, 30_000)]),
        case("3/small", "d", &[(14, 0, 20_000), (1, 1, 2_000)]),
        case("3/new", "d", &[]),
        case("4/large", "d", &[(14, 0, 1_700_000), (1, 1, 9_000)]),
        case("4/large-incr", "d", &[(6, 0, 1_700_000), (1, 1, 1_690_000)]),
        case("4/forced", "d", &[(6, 0, 100_000), (1, 1, 2_000)]).asked(FORCE_FULL),
    ]
}

/// Incremental dumps have to go, too.
fn very_short() -> Vec<Case> {
    vec![
        case("2/a", "low", &[(6, 0, 200_000), (2, 1, 60_000), (1, 1, 60_000)]),
        case("2/b", "d", &[(6, 0, 200_000), (2, 1, 50_000), (1, 1, 50_000)]),
        case("2/c", "high", &[(6, 0, 200_000), (2, 1, 30_000), (1, 1, 30_000)]).differs(Some(1), None, FORCED_NEW),
        case("3/forced", "d", &[(6, 0, 60_000), (1, 1, 2_000)]).asked(FORCE_FULL),
        case("3/forced-low", "low", &[(6, 0, 50_000), (1, 1, 2_000)]).asked(FORCE_FULL),
        case("3/new", "low", &[]).differs(None, Some(0), FORCED_NEW),
    ]
}

/// Too little is due. No two are alike, since of equals the one whose host answers first comes first for Amanda.
fn quiet() -> Vec<Case> {
    vec![
        case("2/a", "early", &[(4, 0, 100_000), (1, 1, 3_900)]),
        case("2/b", "early", &[(6, 0, 120_000), (1, 1, 3_800)]),
        case("2/c", "early", &[(6, 0, 110_000), (1, 1, 3_700)]),
        case("3/d", "early", &[(6, 0, 130_000), (1, 1, 3_600)]),
        case("3/e", "early", &[(9, 0, 90_000), (1, 1, 3_500)]),
        case("3/f", "early3", &[(9, 0, 140_000), (1, 1, 3_400)]),
        case("3/g", "early3", &[(12, 0, 140_000), (1, 1, 3_300)]),
        case("4/h", "early", &[(1, 0, 95_000)]),
        case("4/i", "early", &[(1, 0, 85_000)]),
        case("4/j", "early", &[(1, 0, 105_000)]),
        case("4/k", "week", &[(3, 0, 105_000), (1, 1, 1_000)]),
    ]
}

/// What a cycle of its own counts for.
fn cycles() -> Vec<Case> {
    vec![
        case("2/large", "month", &[(15, 0, 1_400_000), (1, 1, 3_900)]),
        case("2/a", "early", &[(6, 0, 30_000), (1, 1, 3_800)]).differs(Some(1), Some(0), CYCLES),
        case("3/b", "early", &[(6, 0, 31_000), (1, 1, 3_700)]),
        case("3/c", "early", &[(6, 0, 29_000), (1, 1, 3_600)]),
    ]
}

/// Tomorrow has far more than its share.
fn crowded() -> Vec<Case> {
    vec![
        case("2/a", "early", &[(13, 0, 100_000), (1, 1, 3_900)]),
        case("2/b", "early", &[(13, 0, 70_000), (1, 1, 3_800)]).differs(Some(1), Some(0), CROWD),
        case("2/c", "early", &[(13, 0, 98_000), (1, 1, 3_700)]),
        case("2/d", "early", &[(13, 0, 97_000), (1, 1, 3_600)]),
        case("2/e", "early", &[(13, 0, 96_000), (1, 1, 3_500)]),
        case("3/f", "early", &[(1, 0, 101_000)]),
        case("3/g", "early", &[(1, 0, 102_000)]),
        case("3/h", "early", &[(1, 0, 103_000)]),
        case("3/i", "early", &[(1, 0, 104_000)]),
        case("3/j", "early", &[(1, 0, 105_000)]),
    ]
}

/// Nothing is due, and a day to come has two.
fn hills() -> Vec<Case> {
    vec![
        case("2/a", "early", &[(4, 0, 100_000), (1, 1, 3_900)]),
        case("2/b", "early", &[(6, 0, 120_000), (1, 1, 3_800)]),
        case("3/c", "early", &[(6, 0, 150_000), (1, 1, 3_700)]),
    ]
}

/// The last full dump is on the oldest volumes.
fn old() -> Vec<Case> {
    vec![
        case("2/this-run", "d", &[(13, 0, 100_000), (1, 1, 3_000)]).differs(Some(1), Some(0), CHANCE),
        case("2/next-run", "d", &[(12, 0, 100_000), (1, 1, 3_000)]).differs(Some(1), Some(0), CHANCE),
        case("2/later", "d", &[(11, 0, 100_000), (1, 1, 3_000)]),
        case("2/level-1", "d", &[(11, 0, 100_000), (10, 1, 70_000), (9, 2, 3_000), (1, 2, 3_000)]),
        case("2/level-1-gone", "week", &[(13, 0, 100_000), (12, 1, 70_000), (1, 2, 3_000)]),
    ]
}

#[test]
fn debians_planner_and_ours_plan_the_same_or_it_is_explained() {
    let configs = [
        Config { name: "alone", length: "20000 mbytes", more: "", tapes: 20, cases: alone() },
        Config { name: "short", length: "1000 mbytes", more: "", tapes: 14, cases: short() },
        Config { name: "parts", length: "500 mbytes", more: "runtapes 2", tapes: 14, cases: short() },
        Config { name: "most", length: "9000 mbytes", more: "maxdumpsize 700 mbytes", tapes: 14, cases: short() },
        Config { name: "very-short", length: "60 mbytes", more: "", tapes: 14, cases: very_short() },
        Config { name: "quiet", length: "20000 mbytes", more: "", tapes: 14, cases: quiet() },
        Config { name: "guessed", length: "20000 mbytes", more: "runspercycle -1", tapes: 14, cases: quiet() },
        Config { name: "cycles", length: "20000 mbytes", more: "", tapes: 20, cases: cycles() },
        Config { name: "crowded", length: "20000 mbytes", more: "", tapes: 20, cases: crowded() },
        Config { name: "hills", length: "20000 mbytes", more: "runspercycle 1000", tapes: 14, cases: hills() },
        Config { name: "old", length: "20000 mbytes", more: "tapecycle 13", tapes: 13, cases: old() },
    ];
    if !real::is_there() {
        return;
    }
    let said = std::thread::scope(|scope| {
        let judged: Vec<_> = configs.iter().map(|config| scope.spawn(|| judged(config, DUMPTYPES))).collect();
        judged.into_iter().map(|judged| judged.join().expect("judged")).collect::<Vec<_>>()
    });
    let histories: usize = configs.iter().map(|config| config.cases.len()).sum();
    assert!(histories >= 90, "{histories}");
    for config in &configs {
        for (.., why) in config.cases.iter().filter_map(|case| case.differs) {
            assert!(DOCS.contains(&format!("**{why}**")), "docs/planner.md does not explain {why:?}");
        }
    }
    let said = said.concat();
    assert!(said.is_empty(), "{}", said.join("\n"));
}
