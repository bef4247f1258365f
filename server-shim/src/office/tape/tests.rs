use super::*;

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
        current: None,
        labels_itself,
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
