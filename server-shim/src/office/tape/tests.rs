use super::*;
use crate::engine::embedded::volumes::cycle::{Next, Passed, Scan};

fn volumes(wanted: &[Option<&str>], slots: &[(u32, Content)], labels_itself: bool) -> Volumes {
    let slot = |label: &str| slots.iter().find(|(_, content)| *content == Content::Volume(label.to_owned())).map(|(slot, _)| *slot);
    let volume = |label: &str| Volume {
        label: label.to_owned(),
        written: "20261122023901".to_owned(),
        slot: slot(label),
        kept: (label == "B").then_some(Kept::Tapes),
        after: (label == "B").then_some(1),
        until: None,
    };
    Volumes {
        wanted: Wanted { volumes: wanted.iter().map(|label| label.map(str::to_owned)).collect(), labelled: vec![] },
        volumes: ["B", "A"].map(volume).to_vec(),
        slots: Some(slots.iter().cloned().collect()),
        unlisted: BTreeSet::new(),
        is_lost: false,
        current: None,
        labels_itself,
        choice: None,
    }
}

fn held(label: &str) -> Content {
    Content::Volume(label.to_owned())
}

#[test]
fn a_volume_that_is_wanted_and_not_there_is_found() {
    let found = |volumes: &Volumes| volumes.findings().into_iter().map(|finding| (finding.serious, finding.what)).collect::<Vec<_>>();
    assert_eq!(found(&volumes(&[Some("A")], &[(1, held("A")), (2, held("B"))], false)), []);
    let absent = "the next run wants volume A, and it is in no slot".to_owned();
    assert_eq!(found(&volumes(&[Some("A")], &[(2, held("B"))], false)), [(true, absent.clone())]);
    assert_eq!(found(&volumes(&[Some("A")], &[(1, Content::Nothing)], true)), [(false, absent)]);
    assert_eq!(
        found(&volumes(&[None], &[(2, held("B"))], false)),
        [(true, "the next run wants a new volume, and there is none that it may label".to_owned())]
    );
    assert_eq!(found(&volumes(&[None], &[(1, Content::Nothing)], true)), []);
}

#[test]
fn foreign_and_broken_volumes_are_found_too() {
    let found = volumes(&[Some("A")], &[(1, held("A")), (2, held("X")), (3, Content::Odd("why".into()))], false).findings();
    let words: Vec<_> = found.iter().map(|finding| (finding.serious, finding.what.as_str())).collect();
    assert_eq!(
        words,
        [
            (false, "the volume in slot 3 cannot be used: why"),
            (false, "the volume X in slot 2 is not in the list of volumes: no run writes to it"),
        ]
    );
}

#[test]
fn a_label_that_two_slots_have_is_found() {
    let found = volumes(&[Some("A")], &[(1, held("A")), (2, held("A"))], false).findings();
    assert_eq!(found.first().map(|finding| finding.what.as_str()), Some("slots 1 and 2 have both a volume A"));
}

#[test]
fn what_the_next_run_writes_to_is_said_with_its_slot() {
    for (wanted, slots, labels_itself, expected) in [
        (vec![Some("A")], vec![(3, held("A"))], false, "The next run writes to A (slot 3)."),
        (vec![Some("A"), Some("B")], vec![(3, held("A"))], false, "The next run writes to A (slot 3). For the next run put in B."),
        (vec![None], vec![(2, Content::Nothing)], true, "The next run labels a new volume by itself, in slot 2."),
        (vec![None], vec![], true, "For the next run put in a new volume: the run labels it by itself, and no slot is free."),
        (vec![None], vec![], false, "For the next run put in a new volume, and label it: asyncamanda-shim label CONFIG LABEL."),
    ] {
        assert_eq!(volumes(&wanted, &slots, labels_itself).next().join(" "), expected);
    }
}

#[test]
fn when_a_volume_may_be_overwritten_is_said() {
    let volumes = volumes(&[], &[], false);
    let said: Vec<_> = volumes.volumes.iter().map(Volume::when).collect();
    assert_eq!(said, ["when 1 more volume has been written", "may be overwritten"]);
}

/// The same volumes, with what the engine chooses: the office's look puts it into what is wanted.
fn chosen(mut volumes: Volumes, next: Option<(u32, &str, bool)>, expected: Option<&str>, passed: Vec<Passed>) -> Volumes {
    let next = next.map(|(slot, label, is_new)| Next { slot, label: label.to_owned(), is_new });
    let choice = Choice::from(Scan { next, passed, expected: expected.map(str::to_owned) });
    choice.put_right(&mut volumes.wanted, false);
    volumes.choice = Some(choice);
    volumes
}

fn needed() -> Passed {
    Passed::Needed("A".to_owned(), "the newest state of h:/d that can be restored".to_owned())
}

#[test]
fn a_volume_that_the_engine_does_not_overwrite_is_not_promised() {
    let all = [(1, held("A")), (2, held("B"))];
    let refused = chosen(volumes(&[Some("A")], &all, false), None, Some("A"), vec![needed(), Passed::Active(2, "B".to_owned())]);
    assert_eq!(refused.wanted.volumes, [None]);
    assert_eq!(refused.next(), ["For the next run put in a new volume, and label it: asyncamanda-shim label CONFIG LABEL."]);
    let found = refused.findings();
    assert_eq!(
        found.iter().map(|finding| (finding.serious, finding.what.as_str())).collect::<Vec<_>>(),
        [(
            true,
            "there is no volume that the next run may write to: Volume A is not overwritten: it is needed for the newest state of h:/d that can be restored"
        )]
    );
    assert!(found[0].mend.starts_with("add a volume and label it: asyncamanda-shim label"), "{}", found[0].mend);
    assert_eq!(refused.refusal()[0], format!("Look at the volumes: {}.", found[0].what));

    let other = chosen(volumes(&[Some("A")], &all, false), Some((2, "B", false)), Some("A"), vec![needed()]);
    assert_eq!(other.next(), ["The next run writes to B (slot 2)."]);
    assert_eq!(other.findings().iter().map(|finding| finding.serious).collect::<Vec<_>>(), [false]);
    assert_eq!(other.refusal(), Vec::<String>::new());
}

#[test]
fn the_engines_volume_comes_first_and_the_others_stay() {
    let all = [(1, held("A")), (2, held("B")), (3, Content::Nothing)];
    let said = |wanted: &[Option<&str>], next, passed| chosen(volumes(wanted, &all, true), next, Some("A"), passed).next().join(" ");
    for (wanted, next, passed, expected) in [
        (vec![Some("A")], (1, "A", false), vec![], "The next run writes to A (slot 1)."),
        (vec![Some("A"), Some("B")], (1, "A", false), vec![], "The next run writes to A (slot 1) and B (slot 2)."),
        (vec![Some("A"), Some("B")], (2, "B", false), vec![], "The next run writes to B (slot 2) and A (slot 1)."),
        (vec![None], (3, "C", true), vec![], "The next run labels a new volume by itself: C, in slot 3."),
        (
            vec![Some("A"), Some("B")],
            (3, "C", true),
            vec![needed()],
            "The next run labels a new volume by itself: C, in slot 3. The next run writes to B (slot 2).",
        ),
        (
            vec![Some("A"), Some("B")],
            (2, "B", false),
            vec![needed()],
            "The next run writes to B (slot 2). The next run labels a new volume by itself, in slot 3.",
        ),
    ] {
        assert_eq!(said(&wanted, Some(next), passed), expected, "{wanted:?}");
    }
}

#[test]
fn a_volume_that_is_in_no_slot_is_serious_when_the_engine_finds_no_other() {
    let absent = || vec![Passed::Absent("A".to_owned())];
    let none = chosen(volumes(&[Some("A")], &[(2, held("B"))], false), None, Some("A"), absent());
    assert_eq!(none.next(), ["For the next run put in A."]);
    let found = none.findings();
    assert!(found[0].serious && found[0].what.ends_with(": Label 'A' not found") && found[0].mend.starts_with("put A in"), "{found:?}");
    let other = chosen(volumes(&[Some("A")], &[(3, Content::Nothing)], true), Some((3, "C", true)), Some("A"), absent()).findings();
    assert!(!other[0].serious && other[0].what == "the next run wants volume A, and it is in no slot: another one is taken", "{other:?}");
}

#[test]
fn what_is_there_is_not_promised_when_the_engine_cannot_use_it() {
    let odd = vec![Passed::Odd(1, "why".to_owned())];
    let refused = chosen(volumes(&[Some("A")], &[(1, held("A"))], true), None, Some("A"), odd);
    assert_eq!(refused.next(), Vec::<String>::new());
    let found = refused.findings();
    assert!(found.len() == 1 && found[0].serious && found[0].what.ends_with("Slot 1 is a volume in error: why"), "{found:?}");
    assert!(found[0].mend.starts_with("see to the slots that are in error, or put in another volume"), "{found:?}");
}

#[test]
fn nobody_is_told_to_wipe_a_volume_with_dumps() {
    let all = [(1, held("A")), (2, held("X"))];
    let mend = |volumes: &Volumes| volumes.findings().into_iter().map(|finding| finding.mend).collect::<Vec<_>>();
    let empty = volumes(&[Some("A")], &all, false);
    assert!(mend(&empty)[0].contains("--force"));
    let full = Volumes { unlisted: [2].into(), ..empty };
    assert_eq!(mend(&full), ["take it out, or asyncamanda-shim reindex CONFIG if it is yours: there are dumps on it"]);
}

#[test]
fn a_tapelist_that_is_lost_is_one_serious_finding() {
    let found = Volumes {
        volumes: Vec::new(),
        is_lost: true,
        unlisted: [1].into(),
        ..chosen(volumes(&[None], &[(1, held("A")), (2, held("B"))], false), None, None, vec![Passed::Unlisted(1, "A".to_owned())])
    };
    assert_eq!(found.next(), Vec::<String>::new());
    assert_eq!(found.refusal().len(), 2);
    let found = found.findings();
    assert!(found.len() == 1 && found[0].serious && found[0].what.contains("is lost") && found[0].what.ends_with("(A, B)"), "{found:?}");
    assert!(found[0].mend.contains("reindex CONFIG") && !found[0].mend.contains("--force"), "{found:?}");
}
