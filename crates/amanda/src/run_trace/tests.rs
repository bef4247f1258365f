//! Real traces (without their `state time` lines), cut and altered.

use proptest::prelude::*;

use super::*;

const FULL: &[u8] = include_bytes!("../../tests/fixtures/trace.full");
const KILLED_CHUNKER: &[u8] = include_bytes!("../../tests/fixtures/trace.killed-chunker");
const DUMPER_RETRIED: &[u8] = include_bytes!("../../tests/fixtures/trace.killed-dumper-retried");
const KILLED_PLANNER: &[u8] = include_bytes!("../../tests/fixtures/trace.killed-planner");
const KILLED_DRIVER: &[u8] = include_bytes!("../../tests/fixtures/trace.killed-driver");
const PLANNER_FAILED: &[u8] = include_bytes!("../../tests/fixtures/trace.planner-failed");
const DIRECT_TO_TAPE: &[u8] = include_bytes!("../../tests/fixtures/trace.direct-to-tape");
const TAPED: &[u8] = include_bytes!("../../tests/fixtures/trace.taped");
const FLUSH: &[u8] = include_bytes!("../../tests/fixtures/trace.flush");

fn home() -> Dle {
    Dle::new("127.0.0.4", "/srv/aafx/src/home docs")
}

fn data() -> Dle {
    Dle::new("127.0.0.5", "/srv/aafx/src/data")
}

/// The trace up to and with the first line that has this text.
fn until(trace: &[u8], text: &str) -> Trace {
    let found = memchr::memmem::find(trace, text.as_bytes()).expect("the fixture has the text");
    let end = memchr::memchr(b'\n', &trace[found..]).expect("the fixture's lines end");
    Trace::parse(&trace[..=found + end])
}

#[test]
fn a_dump_goes_through_its_states() {
    let holding = vec![OsString::from("/srv/aafx/fx1/hold/20261122023017/127.0.0.4._srv_aafx_src_home docs.0")];
    for (text, phase, state) in [
        ("setting up estimates for 127.0.0.5", Phase::Estimating, DleState::Estimating),
        ("got result for host 127.0.0.4", Phase::Estimating, DleState::Estimated { level: 0, kb: 102_400 }),
        ("DUMP 127.0.0.5", Phase::Dumping, DleState::Waiting { level: 0, kb: 51_200 }),
        ("chunker0: SHM-WRITE", Phase::Dumping, DleState::Dumping { level: 0, since: 1.167, holding: holding.clone() }),
        ("from dumper0: DONE", Phase::Dumping, DleState::Dumping { level: 0, since: 1.167, holding }),
        ("from chunker0: DONE", Phase::Dumping, DleState::Dumped { kb: 1 }),
        ("driver: FINISHED", Phase::Finished, DleState::Dumped { kb: 1 }),
    ] {
        let run = until(FULL, text);
        assert_eq!((run.phase(), run.state(&home())), (phase, Some(&state)), "{text}");
    }
    let run = Trace::parse(FULL);
    assert_eq!(run.datestamp.as_deref(), Some("20261122023017"));
    assert_eq!((run.lost.as_deref(), run.disks().count()), (None, 2));
}

#[test]
fn a_dead_chunker_leaves_the_run_lost() {
    let run = Trace::parse(KILLED_CHUNKER);
    assert_eq!(run.lost.as_deref(), Some("chunker0 died while dumping 127.0.0.5:/srv/aafx/src/data"));
    assert_eq!(run.phase(), Phase::Dumping);
    assert!(matches!(run.state(&data()), Some(DleState::Failed { .. })));
    assert_eq!(run.state(&home()), Some(&DleState::Dumped { kb: 1 }));
    assert!((run.seconds - 4.861).abs() < 1e-6);
}

#[test]
fn a_dead_dumper_is_replaced() {
    let dead = until(DUMPER_RETRIED, "(eof)");
    assert!(matches!(dead.state(&data()), Some(DleState::Failed { reason }) if reason.starts_with("dumper0 died")));
    assert!(dead.lost.as_deref().is_some_and(|lost| lost.starts_with("dumper0 died")), "{:?}", dead.lost);
    let run = Trace::parse(DUMPER_RETRIED);
    assert_eq!((run.lost.as_deref(), run.phase()), (None, Phase::Finished));
    assert_eq!(run.state(&data()), Some(&DleState::Dumped { kb: 3907 }));
}

#[test]
fn a_dead_planner_shows_when_the_driver_ends_without_a_schedule() {
    assert_eq!(Trace::parse(KILLED_PLANNER).lost.as_deref(), Some("the planner ended without a schedule"));
}

#[test]
fn a_dead_driver_leaves_the_dump_where_it_was() {
    let run = Trace::parse(KILLED_DRIVER);
    assert!(matches!(run.state(&data()), Some(DleState::Dumping { .. })));
    assert_eq!(run.phase(), Phase::Finished, "amdump itself has ended");
}

#[test]
fn a_disk_that_cannot_be_estimated_fails_with_the_planners_reason() {
    let run = Trace::parse(PLANNER_FAILED);
    let state = run.state(&Dle::new("127.0.0.6", "/srv/aafx/src/missing"));
    assert!(matches!(state, Some(DleState::Failed { reason }) if reason.contains("runtar exited with status 2")), "{state:?}");
}

#[test]
fn dumps_reach_volumes_directly_later_or_by_a_flush() {
    let direct = until(DIRECT_TO_TAPE, "taper0: SHM-WRITE worker0-0 00-00002");
    assert_eq!(direct.state(&home()), Some(&DleState::Written));
    assert!(matches!(direct.state(&data()), Some(DleState::Dumping { holding, .. }) if holding.is_empty()));
    let later = until(TAPED, "FILE-WRITE worker0-0 00-00004");
    assert_eq!((later.phase(), later.state(&home())), (Phase::Writing, Some(&DleState::Writing)));
    let flush = until(FLUSH, "FILE-WRITE worker0-0 00-00001");
    assert_eq!((flush.phase(), flush.state(&home())), (Phase::Writing, Some(&DleState::Writing)));
    for (case, trace) in [("direct", DIRECT_TO_TAPE), ("later", TAPED), ("flush", FLUSH)] {
        let run = Trace::parse(trace);
        assert_eq!((run.phase(), run.state(&home())), (Phase::Finished, Some(&DleState::Written)), "{case}");
    }
}

#[test]
fn a_dump_that_runs_over_into_another_holding_disk_has_both_files() {
    let run = Trace::parse(
        b"driver: send-cmd time 1.0 to chunker0: SHM-WRITE 00-00001 /hd1/x.0 h feat /d 0 20261122 100 GNUTAR 1 |;\n\
          driver: send-cmd time 2.0 to chunker0: CONTINUE 00-00001 /hd2/x.0 100 200\n",
    );
    let Some(DleState::Dumping { holding, .. }) = run.state(&Dle::new("h", "/d")) else { panic!("it is dumping") };
    assert_eq!(holding, &["/hd1/x.0", "/hd2/x.0"]);
}

proptest! {
    #[test]
    fn it_does_not_matter_in_which_pieces_a_trace_comes(cut in 0..DUMPER_RETRIED.len()) {
        let mut run = Trace::default();
        run.feed(&DUMPER_RETRIED[..cut]);
        run.feed(&DUMPER_RETRIED[cut..]);
        let whole = Trace::parse(DUMPER_RETRIED);
        prop_assert_eq!(run.state(&data()), whole.state(&data()));
    }
}
