use super::*;
use amanda::admin::Place;
use proptest::prelude::*;

const DAY: i64 = 86_400;
const RULES: Rules = Rules { length: 1_000, period: 7 * DAY, most: 4, can_label: true, only_adds: false, now: 100 * DAY };

fn volume(standing: Standing, bytes: u64, first: i64, last: i64) -> Volume {
    Volume { standing, bytes, files: 3, first: first * DAY, last: last * DAY }
}

const EMPTY: Volume = Volume { standing: Standing::Empty, bytes: 0, files: 0, first: 0, last: 0 };

#[test]
fn runs_share_a_volume_for_its_period_and_then_go_on() {
    use Standing::{Kept, Locked, Reusable};
    let current = volume(Kept, 100, 95, 99);
    for (case, volumes, bytes, expected) in [
        ("the first volume", &[EMPTY][..], 10, Choice::Append(0)),
        ("the current one", &[volume(Kept, 100, 60, 70), current, EMPTY], 10, Choice::Append(1)),
        ("filled to its end", &[current], 900, Choice::Append(0)),
        ("no room on it", &[current], 901, Choice::New),
        ("its period is over", &[volume(Kept, 100, 93, 99)], 10, Choice::New),
        ("its period is over, and there is an empty one", &[volume(Kept, 100, 93, 99), EMPTY], 10, Choice::Append(1)),
        ("the oldest is taken", &[volume(Reusable, 9, 10, 20), volume(Reusable, 9, 2, 9), volume(Kept, 9, 80, 90)], 10, Choice::Erase(1)),
        ("a locked one is left alone", &[volume(Locked, 9, 10, 20)], 10, Choice::New),
        ("longer than a volume: one of its own", &[current], 5_000, Choice::New),
        ("longer than a volume: an empty one", &[current, EMPTY], 5_000, Choice::Append(1)),
        ("longer than a volume: an old one", &[current, volume(Reusable, 9, 2, 9)], 5_000, Choice::Erase(1)),
        (
            "a full period gives way",
            &[volume(Kept, 500, 60, 70), volume(Kept, 500, 70, 80), volume(Kept, 999, 80, 90), volume(Kept, 999, 90, 91)],
            10,
            Choice::Append(1),
        ),
        (
            "all are full",
            &[volume(Kept, 999, 60, 70), volume(Kept, 999, 70, 80), volume(Kept, 999, 80, 90), volume(Kept, 999, 90, 91)],
            10,
            Choice::Nowhere,
        ),
        (
            "all are full but one that is locked",
            &[volume(Kept, 999, 60, 70), volume(Kept, 999, 70, 80), volume(Kept, 999, 80, 90), volume(Locked, 0, 90, 91)],
            10,
            Choice::Nowhere,
        ),
        ("a clock that went back", &[volume(Kept, 100, 300, 300)], 10, Choice::Append(0)),
    ] {
        assert_eq!(choose(volumes, &RULES, bytes), expected, "{case}");
    }
    let many = Volume { files: MANY_FILES, ..current };
    assert_eq!(choose(&[many], &RULES, 10), Choice::New, "many files");
    assert_eq!(choose(&[many], &Rules { can_label: false, ..RULES }, 10), Choice::Append(0), "and no label left");
}

#[test]
fn after_a_pause_volumes_are_added_before_any_is_erased() {
    let rules = Rules { only_adds: true, ..RULES };
    let old = volume(Standing::Reusable, 9, 2, 9);
    let kept = volume(Standing::Kept, 999, 60, 70);
    for (case, volumes, expected) in [
        ("there may be more", &[old, kept][..], Choice::New),
        ("there may not", &[kept, kept, old, kept], Choice::Erase(2)),
        ("an empty one", &[old, EMPTY], Choice::Append(1)),
    ] {
        assert_eq!(choose(volumes, &rules, 10), expected, "{case}");
    }
    assert_eq!(choose(&[old], &Rules { can_label: false, ..rules }, 10), Choice::Erase(0), "no label left");
}

fn dump(day: i64, level: u8, bases: Bases) -> Restorable {
    Restorable { level, datestamp: format!("{day:04}"), places: vec![vec![Place::Holding("/x".into())]], bases }
}

fn complete(days: &[i64]) -> Bases {
    Bases::Complete(days.iter().map(|day| format!("{day:04}")).collect())
}

/// What is kept on this day, with ten days of retention; a datestamp is a day.
fn kept(disks: &[(&str, Vec<Restorable>)], listed: &[&str], today: i64) -> Vec<(String, i64, u8)> {
    let chains = disks.iter().map(|(name, dumps)| (Dle::new("h", *name), dumps.clone())).collect();
    let is_young = |stamp: &str| stamp.parse::<i64>().map_or(true, |day| day + 10 > today);
    let is_past = |stamp: &str| stamp.parse::<i64>().is_ok_and(|day| day <= today);
    let keys = needed(&chains, &|dle: &Dle| listed.iter().any(|name| dle.disk == *name), &is_young, &is_past);
    keys.into_iter().map(|(dle, stamp, level)| (dle.disk.into_string().unwrap_or_default(), stamp.parse().unwrap_or(-1), level)).collect()
}

#[test]
fn what_is_young_and_what_it_builds_on_is_kept() {
    let month = vec![
        dump(1, 0, complete(&[])),
        dump(2, 1, complete(&[1])),
        dump(5, 0, complete(&[])),
        dump(6, 1, complete(&[5])),
        dump(9, 1, complete(&[5])),
        dump(12, 2, complete(&[9, 5])),
        dump(14, 0, complete(&[])),
    ];
    let of = |days: &[(i64, u8)]| days.iter().map(|(day, level)| ("/a".to_owned(), *day, *level)).collect::<Vec<_>>();
    for (case, today, expected) in [
        ("everything is young", 10, of(&[(1, 0), (2, 1), (5, 0), (6, 1), (9, 1), (12, 2), (14, 0)])),
        ("a base stays with what builds on it", 16, of(&[(5, 0), (9, 1), (12, 2), (14, 0)])),
        ("one that nothing builds on goes", 20, of(&[(5, 0), (9, 1), (12, 2), (14, 0)])),
        ("the last state stays", 24, of(&[(14, 0)])),
        ("whatever its age", 9_000, of(&[(14, 0)])),
    ] {
        let kept: Vec<_> = kept(&[("/a", month.clone())], &["/a"], today);
        let mut expected = expected;
        if case.starts_with("a base") {
            expected.retain(|(_, day, _)| *day != 6);
        }
        assert_eq!(kept, expected, "{case}");
    }
    assert_eq!(kept(&[("/a", month)], &[], 24), [], "a disk that is listed no more");
}

#[test]
fn each_disk_keeps_its_own() {
    let short = vec![dump(20, 0, complete(&[])), dump(21, 1, complete(&[20]))];
    let long = vec![dump(1, 0, complete(&[])), dump(21, 1, complete(&[1]))];
    let kept = kept(&[("/a", short), ("/b", long)], &["/a"], 25);
    let days: Vec<_> = kept.iter().map(|(disk, day, _)| (disk.as_str(), *day)).collect();
    assert_eq!(days, [("/a", 20), ("/a", 21), ("/b", 1), ("/b", 21)]);
}

#[test]
fn what_cannot_be_restored_for_certain_is_kept_while_there_is_nothing_better() {
    let doubtful = Bases::Doubtful { bases: vec!["0001".to_owned()], broken: "0002".to_owned() };
    let dumps = vec![dump(1, 0, complete(&[])), dump(3, 1, doubtful)];
    let days = |dumps: Vec<Restorable>| kept(&[("/a", dumps)], &["/a"], 90).iter().map(|(_, day, _)| *day).collect::<Vec<_>>();
    assert_eq!(days(dumps.clone()), [1]);
    assert_eq!(days(vec![dump(3, 1, Bases::Missing { level: 0 })]), [3]);
    assert_eq!(days(vec![dumps[1].clone()]), [1, 3]);
}

#[test]
fn a_dump_of_a_clock_that_was_ahead_is_not_the_last_state() {
    let dumps = vec![dump(1, 0, complete(&[])), dump(500, 0, complete(&[]))];
    let days: Vec<_> = kept(&[("/a", dumps)], &["/a"], 90).iter().map(|(_, day, _)| *day).collect();
    assert_eq!(days, [1, 500], "the one of the future is young");
    let only = vec![dump(500, 0, complete(&[]))];
    assert_eq!(kept(&[("/a", only)], &["/a"], 90).len(), 1);
}

#[test]
fn of_a_disk_with_nothing_certain_the_newest_damaged_dumps_are_kept() {
    let key = |disk: &str, day: i64, level| (Dle::new("h", disk), format!("{day:04}"), level);
    let all = [key("/a", 1, 0), key("/a", 2, 1), key("/a", 5, 0), key("/b", 1, 0), key("/c", 1, 0)];
    let chains = BTreeMap::from([(Dle::new("h", "/b"), vec![dump(1, 0, complete(&[]))])]);
    let kept = last_resort(&all, &chains, &|dle: &Dle| dle.disk != "/c");
    assert_eq!(kept, BTreeSet::from([key("/a", 2, 1), key("/a", 5, 0)]));
}

#[test]
fn a_volume_is_erased_as_a_whole_or_not_at_all() {
    let key = |day: i64| (Dle::new("h", "/a"), format!("{day:04}"), 0);
    let is_young = |stamp: &str| stamp > "0050";
    let needed = BTreeSet::from([key(7)]);
    for (days, expected) in [(&[1, 2][..], true), (&[1, 7], false), (&[1, 60], false), (&[], true)] {
        let keys: Vec<_> = days.iter().map(|day| key(*day)).collect();
        assert_eq!(may_erase(&keys, &needed, &is_young), expected, "{days:?}");
    }
}

proptest! {
    /// Whatever the volumes are like: nothing that is kept or locked is erased, and nothing is put where it does not fit beside others.
    #[test]
    fn no_choice_takes_what_is_kept(
        volumes in prop::collection::vec((0u8..4, 0u64..1_200, 0i64..110, 0i64..10, 0usize..1_500), 0..6),
        bytes in 1u64..1_500,
        can_label: bool,
    ) {
        let standings = [Standing::Empty, Standing::Reusable, Standing::Kept, Standing::Locked];
        let volumes: Vec<_> = volumes
            .into_iter()
            .map(|(standing, bytes, first, more, files)| match standings[usize::from(standing)] {
                Standing::Empty => EMPTY,
                standing => Volume { standing, bytes, files, first: first * DAY, last: (first + more) * DAY },
            })
            .collect();
        let rules = Rules { can_label, ..RULES };
        match choose(&volumes, &rules, bytes) {
            Choice::Append(at) => prop_assert!(
                volumes[at].standing == Standing::Empty || (volumes[at].standing == Standing::Kept && volumes[at].bytes + bytes <= rules.length)
            ),
            Choice::Erase(at) => prop_assert_eq!(volumes[at].standing, Standing::Reusable),
            Choice::New => prop_assert!(can_label && volumes.len() < rules.most),
            Choice::Nowhere => {
                prop_assert!(volumes.iter().all(|volume| matches!(volume.standing, Standing::Kept | Standing::Locked)));
                prop_assert!(!can_label || volumes.len() >= rules.most);
            }
        }
    }
}
