//! Whatever is asked for: limits are never passed, what can run does run, and nothing is left over.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_000;

fn task(host: usize) -> Task {
    Task { host, network: 0, spindle: None, bytes: 10, seconds: 10, kps: 10, priority: 0, not_before: 0, holding: HoldingUse::Auto }
}

fn limits() -> Limits {
    Limits { in_parallel: 4, hosts: vec![1, 2], networks: vec![100, 100], ..Limits::default() }
}

/// Begins all that may begin, and returns it.
fn begin(limits: &Limits, tasks: &[Task], state: &mut State) -> Vec<(usize, Place)> {
    let mut begun = Vec::new();
    while let Step::Start(task, place) = next(limits, tasks, state, NOW) {
        state.started(tasks, task, place);
        begun.push((task, place));
    }
    begun
}

fn begun(limits: &Limits, tasks: &[Task]) -> Vec<usize> {
    begin(limits, tasks, &mut State::new(tasks.len(), vec![1_000], 1_000)).into_iter().map(|(task, _)| task).collect()
}

#[test]
fn a_host_has_as_many_dumps_at_once_as_maxdumps_says() {
    assert_eq!(begun(&limits(), &[task(0), task(0), task(1), task(1), task(1)]), [0, 2, 3]);
    let none = Limits { hosts: Vec::new(), in_parallel: 0, ..limits() };
    assert_eq!(begun(&none, &[task(0), task(1)]), [0], "nothing is taken for one");
}

#[test]
fn two_disks_of_a_host_on_one_spindle_are_never_dumped_at_once() {
    let on = |host, spindle| Task { spindle, ..task(host) };
    let limits = Limits { hosts: vec![9, 9], ..limits() };
    assert_eq!(begun(&limits, &[on(0, Some(1)), on(0, Some(1)), on(0, Some(2)), on(1, Some(1))]), [0, 2, 3]);
    assert_eq!(begun(&limits, &[on(0, None), on(0, None)]), [0, 1]);
}

#[test]
fn a_network_carries_what_it_may_and_one_dump_always() {
    let wide = |network, kps| Task { network, kps, ..task(1) };
    let limits = Limits { hosts: vec![9, 9], ..limits() };
    assert_eq!(begun(&limits, &[wide(0, 500), wide(0, 1), wide(1, 60), wide(1, 60), wide(1, 40)]), [0, 2, 4]);
}

#[test]
fn nothing_begins_before_its_time() {
    let tasks = [Task { not_before: NOW + 60, ..task(0) }, Task { not_before: NOW + 30, ..task(1) }];
    let state = State::new(2, vec![1_000], 1_000);
    assert_eq!(next(&limits(), &tasks, &state, NOW), Step::Wait(Some(NOW + 30)));
    assert_eq!(next(&limits(), &tasks, &state, NOW + 30), Step::Start(1, Place::Holding(0)));
}

#[test]
fn dumpers_choose_by_priority_and_then_by_their_letters() {
    let tasks = [
        Task { bytes: 30, seconds: 1, kps: 5, ..task(0) },
        Task { bytes: 10, seconds: 3, kps: 4, ..task(0) },
        Task { bytes: 20, seconds: 2, kps: 6, ..task(0) },
    ];
    for (letters, first) in [("s", 1), ("S", 0), ("t", 0), ("T", 1), ("b", 1), ("B", 2), ("?", 1), ("", 0)] {
        let limits = Limits { letters: Letters::of(letters), ..limits() };
        assert_eq!(begun(&limits, &tasks)[0], first, "{letters}");
        let urgent = [&tasks[..], &[Task { priority: 1, bytes: 15, seconds: 15, kps: 5, ..task(0) }]].concat();
        assert_eq!(begun(&limits, &urgent)[0], 3, "{letters}");
    }
    // The second dumper has a letter of its own.
    let limits = Limits { letters: Letters::of("sS"), hosts: vec![9], ..limits() };
    assert_eq!(begun(&limits, &tasks), [1, 0, 2]);
}

#[test]
fn where_there_is_no_room_a_dump_goes_beside_the_volumes_or_is_refused() {
    let of = |holding| Task { holding, bytes: 100, ..task(0) };
    for (case, holding, holdings, beside, expected) in [
        ("room", HoldingUse::Auto, &[100][..], 100, Step::Start(0, Place::Holding(0))),
        ("never", HoldingUse::Never, &[100], 100, Step::Start(0, Place::Beside)),
        ("never, and no room", HoldingUse::Never, &[100], 99, Step::Refuse(0)),
        ("no room", HoldingUse::Auto, &[99], 100, Step::Start(0, Place::Beside)),
        ("no holding disk", HoldingUse::Auto, &[], 100, Step::Start(0, Place::Beside)),
        ("no room anywhere", HoldingUse::Auto, &[99], 99, Step::Refuse(0)),
        ("required", HoldingUse::Required, &[99], 100, Step::Refuse(0)),
        ("required, and room", HoldingUse::Required, &[99, 100], 0, Step::Start(0, Place::Holding(1))),
    ] {
        assert_eq!(next(&limits(), &[of(holding)], &State::new(1, holdings.to_vec(), beside), NOW), expected, "{case}");
    }
}

#[test]
fn a_dump_waits_for_room_that_another_may_give_back() {
    let tasks = [Task { bytes: 60, ..task(0) }, Task { bytes: 60, holding: HoldingUse::Required, ..task(1) }];
    let mut state = State::new(2, vec![100], 0);
    assert_eq!(begin(&limits(), &tasks, &mut state), [(0, Place::Holding(0))]);
    assert_eq!(next(&limits(), &tasks, &state, NOW), Step::Wait(None));
    let mut smaller = state.clone();
    smaller.ended(&tasks, 0, 40);
    assert_eq!(next(&limits(), &tasks, &smaller, NOW), Step::Start(1, Place::Holding(0)));
    state.ended(&tasks, 0, 41);
    assert_eq!(next(&limits(), &tasks, &state, NOW), Step::Refuse(1));
}

#[test]
fn a_dump_that_came_to_nothing_may_begin_again() {
    let tasks = [task(0)];
    let mut state = State::new(1, vec![10], 0);
    assert_eq!(begin(&limits(), &tasks, &mut state).len(), 1);
    state.again(&tasks, 0);
    assert_eq!(begin(&limits(), &tasks, &mut state).len(), 1);
    state.ended(&tasks, 0, 10);
    assert_eq!(next(&limits(), &tasks, &state, NOW), Step::Done);
}

fn any_task() -> impl Strategy<Value = Task> {
    let holding = prop_oneof![Just(HoldingUse::Auto), Just(HoldingUse::Never), Just(HoldingUse::Required)];
    let spindle = proptest::option::of(0..2_i64);
    (0..3_usize, 0..2_usize, spindle, 0..120_u64, 0..50_u64, 0..150_u64, 0..3_i64, 0..40_i64, holding).prop_map(
        |(host, network, spindle, bytes, seconds, kps, priority, later, holding)| Task {
            host,
            network,
            spindle,
            bytes,
            seconds,
            kps,
            priority,
            not_before: NOW + later - 20,
            holding,
        },
    )
}

/// What runs, as an onlooker counts it.
#[derive(Default)]
struct Onlooker(BTreeMap<usize, Place>);

impl Onlooker {
    /// Says what a limit would say against this dump beside those that run; nothing but room is left out.
    fn objects(&self, limits: &Limits, tasks: &[Task], task: usize, now: i64) -> bool {
        let one = &tasks[task];
        let beside = || self.0.keys().map(|other| &tasks[*other]);
        let on_host = beside().filter(|other| other.host == one.host);
        let on_network = beside().filter(|other| other.network == one.network);
        let kps: u64 = on_network.clone().map(|other| other.kps).sum();
        self.0.len() >= limits.in_parallel
            || on_host.clone().count() >= limits.hosts[one.host] as usize
            || on_host.clone().any(|other| one.spindle.is_some() && other.spindle == one.spindle)
            || (on_network.count() > 0 && kps + one.kps > limits.networks[one.network])
            || one.not_before > now
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn limits_hold_what_can_run_runs_and_nothing_is_left_over(
        tasks in proptest::collection::vec(any_task(), 0..14),
        hosts in proptest::collection::vec(1..4_u32, 3),
        networks in proptest::collection::vec(20..200_u64, 2),
        holdings in proptest::collection::vec(0..250_u64, 0..3),
        in_parallel in 1..5_usize,
        beside in 0..300_u64,
        order in "[sStTbB]{0,4}",
        ends in proptest::collection::vec((0..100_usize, 0..3_u64, any::<bool>()), 60),
    ) {
        let limits = Limits { in_parallel, letters: Letters::of(&order), hosts, networks };
        let mut state = State::new(tasks.len(), holdings.clone(), beside);
        let mut now = NOW;
        let mut onlooker = Onlooker::default();
        let mut free = holdings;
        let mut free_beside = beside;
        let (mut over, mut retried) = (vec![false; tasks.len()], vec![false; tasks.len()]);
        let mut ends = ends.into_iter().cycle();
        for _ in 0..10_000 {
            match next(&limits, &tasks, &state, now) {
                Step::Start(task, place) => {
                    prop_assert!(!over[task] && !onlooker.0.contains_key(&task), "begun twice");
                    prop_assert!(!onlooker.objects(&limits, &tasks, task, now), "a limit is passed");
                    let room = match place { Place::Holding(at) => &mut free[at], Place::Beside => &mut free_beside };
                    prop_assert!(*room >= tasks[task].bytes, "there is no such room");
                    *room -= tasks[task].bytes;
                    let fits = match tasks[task].holding {
                        HoldingUse::Never => place == Place::Beside,
                        HoldingUse::Required => place != Place::Beside,
                        HoldingUse::Auto => true,
                    };
                    prop_assert!(fits, "not where its dumptype says");
                    onlooker.0.insert(task, place);
                    state.started(&tasks, task, place);
                }
                Step::Refuse(task) => {
                    let room = match tasks[task].holding {
                        HoldingUse::Never => free_beside,
                        HoldingUse::Required => free.iter().copied().max().unwrap_or(0),
                        HoldingUse::Auto => free.iter().copied().max().unwrap_or(0).max(free_beside),
                    };
                    prop_assert!(room < tasks[task].bytes.max(1), "refused with room");
                    over[task] = true;
                    state.ended(&tasks, task, 0);
                }
                Step::Wait(until) => {
                    for task in (0..tasks.len()).filter(|task| !over[*task] && !onlooker.0.contains_key(task)) {
                        let has_room = match tasks[task].holding {
                            HoldingUse::Never => free_beside >= tasks[task].bytes,
                            _ => free.iter().any(|free| *free >= tasks[task].bytes.max(1)),
                        };
                        prop_assert!(!has_room || onlooker.objects(&limits, &tasks, task, now), "{task} could run");
                    }
                    if onlooker.0.is_empty() {
                        prop_assert!(until.is_some_and(|until| until > now), "nothing goes on, and nothing begins");
                        now = until.unwrap_or(now);
                        continue;
                    }
                    // One of those that run ends, smaller or larger than expected, or comes to nothing.
                    let (which, size, fails) = ends.next().expect("it cycles");
                    let task = *onlooker.0.keys().nth(which % onlooker.0.len()).expect("one runs");
                    let place = onlooker.0.remove(&task).expect("it runs");
                    let again = fails && !retried[task];
                    let used = if again { 0 } else { tasks[task].bytes * size / 2 };
                    let room = match place { Place::Holding(at) => &mut free[at], Place::Beside => &mut free_beside };
                    *room = (*room + tasks[task].bytes).saturating_sub(used);
                    if again {
                        retried[task] = true;
                        state.again(&tasks, task);
                    } else {
                        over[task] = true;
                        state.ended(&tasks, task, used);
                    }
                }
                Step::Done => {
                    prop_assert!(over.iter().all(|over| *over), "something is left over");
                    return Ok(());
                }
            }
        }
        prop_assert!(false, "it never ends");
    }
}
