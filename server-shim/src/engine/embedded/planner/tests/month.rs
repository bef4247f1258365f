//! Months of weekdays, from a cold start, under a simulated clock.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// A run of a month.
#[derive(Debug, Clone, Default)]
struct Run {
    day: i64,
    full_kb: i64,
    total_kb: i64,
    /// `L0 L1 .. L-`, in the order of the disks.
    levels: String,
}

fn is_weekday(day: i64) -> bool {
    // The first of January 1970 was a Thursday.
    !matches!((day + 4).rem_euclid(7), 0 | 6)
}

/// Runs so many days. `sizes` are the disks' full dumps, in KiB; an incremental dump has a hundredth for each day since the full one.
fn runs(site: &SiteRules, machines: &mut [Machine], sizes: &[i64], days: i64, is_run: impl Fn(i64) -> bool) -> Vec<Run> {
    let mut runs = Vec::new();
    for day in (TODAY..TODAY + days).filter(|day| is_run(*day)) {
        let site = SiteRules { now: day * DAY, ..*site };
        let schedule = scheduled(&site, machines);
        let mut run = Run { day, ..Run::default() };
        for ((machine, verdict), size) in machines.iter_mut().zip(&schedule.verdicts).zip(sizes) {
            let Verdict::Dump(planned) = verdict else {
                run.levels.push_str(" -");
                continue;
            };
            let full = machine.dumps.iter().rfind(|dump| dump.level == 0).and_then(|full| moment(&full.datestamp));
            let since = full.map_or(0, |full| days_between(full, day * DAY));
            let kb = if planned.level == 0 { *size } else { (size / 100 * since).max(1) };
            machine.dumped(day, planned.level, kb);
            let _ = write!(run.levels, " {}", planned.level);
            run.total_kb += kb;
            run.full_kb += if planned.level == 0 { kb } else { 0 };
        }
        runs.push(run);
    }
    runs
}

fn days_between(from: i64, to: i64) -> i64 {
    (to - from) / DAY
}

/// The most days that a disk went without a full dump.
fn longest(machine: &Machine, last_day: i64) -> i64 {
    let fulls = machine.dumps.iter().filter(|dump| dump.level == 0).filter_map(|dump| moment(&dump.datestamp));
    let fulls: Vec<i64> = fulls.chain([last_day * DAY]).collect();
    fulls.windows(2).map(|pair| days_between(pair[0], pair[1])).max().unwrap_or(i64::MAX)
}

fn told(runs: &[Run]) -> String {
    runs.iter().fold(String::new(), |mut text, run| {
        let _ = writeln!(text, "day {} full {:>8} all {:>8}  {}", run.day - TODAY, run.full_kb, run.total_kb, run.levels);
        text
    })
}

/// The largest run beside the mean of all, in full dumps, after the first run: on that everything is new.
fn spread(runs: &[Run]) -> (i64, i64) {
    let later = runs.get(1..).unwrap_or_default();
    let count = i64::try_from(later.len().max(1)).unwrap_or(1);
    (later.iter().map(|run| run.full_kb).max().unwrap_or(0), later.iter().map(|run| run.full_kb).sum::<i64>() / count)
}

/// The disks of the example site, with sizes of such an office in MiB.
const OFFICE: [(&str, i64); 8] = [
    ("firewall:/var/log", 600),
    ("server:/home", 900),
    ("server:/shared", 1_000),
    ("server:/repository", 800),
    ("server:/usr/local", 700),
    ("server:/etc", 500),
    ("server:/var", 900),
    ("server:/var/lib/amanda/dumps", 600),
];

fn office() -> (Vec<Machine>, Vec<i64>) {
    let rules = DiskRules { maxpromoteday: 10_000, ..RULES };
    let machines = OFFICE.iter().map(|(name, _)| Machine::new(name, rules)).collect();
    (machines, OFFICE.iter().map(|(_, mb)| mb * 1024).collect())
}

#[test]
fn a_small_office_spreads_its_full_dumps_over_the_weekdays() {
    let (mut machines, sizes) = office();
    let site = SiteRules { tape_kb: 15_000 * 1024, tapecycle: 12, ..SITE };
    let runs = runs(&site, &mut machines, &sizes, 70, is_weekday);
    assert_eq!(runs[0].full_kb, sizes.iter().sum::<i64>(), "what has no dump is dumped at once");
    let (most, mean) = spread(&runs);
    assert!(most <= 2 * mean, "{most} > 2 * {mean}\n{}", told(&runs));
    for machine in &machines {
        assert!(longest(machine, TODAY + 69) <= 14, "{}\n{}", machine.dle, told(&runs));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_disk_goes_longer_than_its_cycle_without_a_full_dump(
        sizes in prop::collection::vec(500_000i64..1_000_000, 1..30),
        hosts in 1usize..5,
        weeks in 1i64..3,
        weekdays: bool,
    ) {
        let levels = plan::Rules { dumpcycle: u32::try_from(weeks * 7).unwrap_or(7), ..RULES.levels };
        let rules = DiskRules { maxpromoteday: 10_000, levels, ..RULES };
        let mut machines: Vec<Machine> =
            (0..sizes.len()).map(|number| Machine::new(&format!("h{}:/d{number}", number % hosts), rules)).collect();
        let runs_per_cycle = if weekdays { weeks * 5 } else { weeks * 7 };
        let site = SiteRules { dumpcycle: weeks * 7, runs_per_cycle, tape_kb: 100_000_000, ..SITE };
        let runs = runs(&site, &mut machines, &sizes, 45, |day| !weekdays || is_weekday(day));
        for machine in &machines {
            prop_assert!(longest(machine, TODAY + 44) <= weeks * 7, "{}\n{}", machine.dle, told(&runs));
        }
        // Where there are fewer disks than runs, one alone is more than the mean.
        let (most, mean) = spread(&runs);
        let largest = sizes.iter().copied().max().unwrap_or(0);
        prop_assert!(most <= (2 * mean).max(largest), "{most}, mean {mean}, largest {largest}\n{}", told(&runs));
    }
}

#[test]
fn without_room_for_all_the_most_urgent_ones_have_their_turn() {
    let (mut machines, sizes) = office();
    // A volume takes two full dumps and some incremental ones.
    let site = SiteRules { tape_kb: 2_500 * 1024, tapecycle: 12, ..SITE };
    for machine in &mut machines {
        machine.dumped(TODAY - 13, 0, 1);
    }
    for (machine, size) in machines.iter_mut().zip(&sizes) {
        machine.dumps.clear();
        machine.info = Info::default();
        machine.dumped(TODAY - 13, 0, *size);
    }
    let runs = runs(&site, &mut machines, &sizes, 40, is_weekday);
    for run in &runs {
        assert!(run.total_kb <= site.tape_kb, "{}", told(&runs));
    }
    for machine in &machines {
        // Eight full dumps that are due at once take some days more.
        assert!(longest(machine, TODAY + 39) <= 21, "{}\n{}", machine.dle, told(&runs));
    }
}
