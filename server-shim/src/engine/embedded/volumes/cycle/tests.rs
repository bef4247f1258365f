use super::*;

use std::collections::{BTreeMap, BTreeSet};

/// `(label, datestamp)`, with the words that a tapelist has behind them.
fn tapelist(lines: &[(&str, &str, &str)]) -> Tapelist {
    let text: String = lines.iter().map(|(date, label, rest)| format!("{date} {label} {rest}\n")).collect();
    Tapelist::parse(text.as_bytes()).expect("a tapelist")
}

fn slots(contents: &[(u32, &str)]) -> Vec<Slot> {
    let content = |label: &str| match label {
        "" => Content::Empty,
        "?" => Content::NotAmandas,
        label => match (label.strip_prefix('!'), label.strip_prefix('?')) {
            (Some(why), _) => Content::Odd(why.to_owned()),
            (_, Some(why)) => Content::Unreadable(why.to_owned()),
            _ => Content::Labelled(label.to_owned()),
        },
    };
    contents.iter().map(|(number, label)| Slot { number: *number, content: content(label) }).collect()
}

fn is_ifh(label: &str) -> bool {
    label.strip_prefix("ifh").is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn rules(tapecycle: usize) -> Rules<'static> {
    Rules {
        tapecycle,
        config: "ifh",
        storage: "ifh",
        pool: "ifh",
        is_label: &is_ifh,
        autolabel: Autolabel::default(),
        new_label: None,
        needed: &|_| None,
        from: 1,
    }
}

fn take(slot: u32, label: &str) -> Option<Next> {
    Some(Next { slot, label: label.to_owned(), is_new: false })
}

#[test]
fn twelve_labels_rotate_through_a_month_of_weekdays() {
    let labels: Vec<String> = (1..=12).map(|number| format!("ifh{number:02}")).collect();
    let mut tapes = Tapelist::default();
    labels.iter().for_each(|label| tapes.put(Tape::new("0", label, "ifh")));
    let shelf: Vec<_> = (1..).zip(&labels).map(|(number, label)| (number, label.as_str())).collect();
    let slots = slots(&shelf);
    let mut current = 1;
    let mut order = Vec::new();
    for day in 1..=60u32 {
        let scan = next(&tapes, &slots, &BTreeSet::new(), &Rules { from: current, ..rules(12) });
        let taken = scan.next.expect("a volume for each day");
        assert!(scan.passed.iter().all(|passed| !passed.is_news()), "{:?}", scan.passed);
        tapes.put(Tape::new(format!("202611{day:02}220000"), &taken.label, "ifh"));
        current = taken.slot;
        order.push(taken.label);
    }
    for (day, label) in order.iter().enumerate() {
        assert_eq!(*label, labels[day % 12], "day {day}");
    }
    // None is overwritten before eleven others were.
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    for (day, label) in order.iter().enumerate() {
        assert!(last.insert(label, day).is_none_or(|before| day - before == 12));
    }
}

#[test]
fn nothing_is_overwritten_before_there_are_as_many_as_tapecycle_says() {
    let tapes = tapelist(&[("20261103", "ifh03", "reuse"), ("20261102", "ifh02", "reuse"), ("20261101", "ifh01", "reuse")]);
    let shelf = slots(&[(1, "ifh01"), (2, "ifh02"), (3, "ifh03")]);
    let none = BTreeSet::new();
    for (tapecycle, expected) in [(4, None), (3, take(1, "ifh01")), (2, take(1, "ifh01")), (1, take(1, "ifh01"))] {
        assert_eq!(next(&tapes, &shelf, &none, &rules(tapecycle)).next, expected, "tapecycle {tapecycle}");
    }
    // What was tried comes next to nothing; with two kept there is a second.
    assert_eq!(next(&tapes, &shelf, &BTreeSet::from([1]), &rules(2)).next, take(2, "ifh02"));
    assert_eq!(next(&tapes, &shelf, &BTreeSet::from([1]), &rules(3)).next, None);
}

#[test]
fn a_volume_that_a_restore_needs_is_passed_over_and_the_next_oldest_taken() {
    let tapes = tapelist(&[("20261103", "ifh03", "reuse"), ("20261102", "ifh02", "reuse"), ("20261101", "ifh01", "reuse")]);
    let shelf = slots(&[(1, "ifh01"), (2, "ifh02"), (3, "ifh03")]);
    let needed = |label: &str| (label == "ifh01").then(|| "amandahost:/etc".to_owned());
    let scan = next(&tapes, &shelf, &BTreeSet::new(), &Rules { needed: &needed, ..rules(2) });
    assert_eq!(scan.next, take(2, "ifh02"));
    assert_eq!(scan.passed, [Passed::Needed("ifh01".to_owned(), "amandahost:/etc".to_owned())]);
    // It is one of the two that are left alone, so the next oldest gives way.
    let scan = next(&tapes, &shelf, &BTreeSet::new(), &Rules { needed: &needed, ..rules(3) });
    assert_eq!((scan.next, scan.expected.as_deref()), (take(2, "ifh02"), Some("ifh01")));
    let scan = next(&tapes, &shelf, &BTreeSet::new(), &Rules { needed: &needed, ..rules(4) });
    assert_eq!((scan.next, scan.expected.as_deref()), (None, None));
    let all = |label: &str| Some(label.to_owned());
    let scan = next(&tapes, &shelf, &BTreeSet::new(), &Rules { needed: &all, ..rules(2) });
    assert_eq!((scan.next, scan.expected.as_deref()), (None, Some("ifh01")));
    let words: Vec<_> = scan.passed.iter().filter(|passed| passed.is_news()).map(ToString::to_string).collect();
    assert_eq!(words, ["Volume ifh01 is not overwritten: it is needed for ifh01"]);
}

#[test]
fn what_is_in_the_slots_decides_where_the_oldest_is_not() {
    let tapes = tapelist(&[
        ("20261104", "ifh04", "reuse"),
        ("20261103", "ifh03", "reuse"),
        ("20261102", "ifh02", "reuse CONFIG:daily"),
        ("20261101", "ifh01", "reuse"),
        ("0", "ifh05", "reuse"),
        ("0", "ifh06", "no-reuse"),
        ("0", "ifh07", "reuse POOL:other"),
    ]);
    let none = BTreeSet::new();
    let passed = |contents: &[(u32, &str)]| {
        let scan = next(&tapes, &slots(contents), &none, &rules(2));
        (scan.next, scan.passed.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let absent = "Label 'ifh01' not found".to_owned();
    for (content, words) in [
        ("foreign-1", "Slot 1 with label foreign-1 do not match labelstr"),
        ("ifh99", "Slot 1 with label ifh99 is not in the tapelist"),
        ("ifh02", "Slot 1 with label ifh02 is use by config daily"),
        ("ifh07", "Slot 1 with label ifh07 is in pool other"),
        ("ifh04", "Slot 1 with label ifh04 is not reusable"),
        ("ifh06", "Slot 1 with label ifh06 is not reusable"),
        ("", "Slot 1 is empty, autolabel not set"),
        ("?", "Slot 1 is a non-amanda volume, autolabel not set"),
        ("?it is damaged", "Slot 1 is a volume in error: it is damaged"),
        ("!there are two labels", "Slot 1 is a volume in error: there are two labels"),
    ] {
        assert_eq!(passed(&[(1, content)]), (None, vec![absent.clone(), words.to_owned()]), "{content}");
        assert_eq!(passed(&[(1, content), (2, "ifh05")]).0, take(2, "ifh05"), "{content}");
        assert_eq!(passed(&[(1, content), (2, "ifh03")]).0, take(2, "ifh03"), "{content}");
    }
}

#[test]
fn the_search_begins_at_the_current_slot_and_goes_round() {
    let tapes = tapelist(&[("0", "ifh01", "reuse"), ("0", "ifh02", "reuse"), ("0", "ifh03", "reuse")]);
    let shelf = slots(&[(1, "ifh01"), (2, "ifh02"), (3, "ifh03")]);
    for (from, seen, expected) in [
        (1, vec![], take(1, "ifh01")),
        (2, vec![], take(2, "ifh02")),
        (3, vec![3], take(1, "ifh01")),
        (9, vec![1], take(2, "ifh02")),
        (1, vec![1, 2, 3], None),
    ] {
        let seen = seen.into_iter().collect();
        assert_eq!(next(&tapes, &shelf, &seen, &Rules { from, ..rules(3) }).next, expected, "from {from}");
    }
}

#[test]
fn autolabel_says_what_gets_a_new_label() {
    let tapes = tapelist(&[("20261101", "ifh01", "reuse")]);
    let none = Autolabel::default();
    let (empty, non_amanda) = (Autolabel { empty: true, ..none }, Autolabel { non_amanda: true, ..none });
    let (volume_error, other_config) = (Autolabel { volume_error: true, ..none }, Autolabel { other_config: true, ..none });
    for (content, its) in
        [("", empty), ("?", non_amanda), ("?damaged", volume_error), ("foreign", other_config), ("ifh99", none), ("!twice", none)]
    {
        let shelf = slots(&[(1, "ifh01"), (2, content)]);
        for autolabel in [none, empty, non_amanda, volume_error, other_config] {
            let scan = next(&tapes, &shelf, &BTreeSet::new(), &Rules { autolabel, new_label: Some("ifh02"), ..rules(5) });
            let expected = (its == autolabel && its != none).then(|| Next { slot: 2, label: "ifh02".to_owned(), is_new: true });
            assert_eq!(scan.next, expected, "{content} {autolabel:?}");
            let scan = next(&tapes, &shelf, &BTreeSet::new(), &Rules { autolabel, ..rules(5) });
            assert_eq!(scan.next, None, "no label is left");
        }
    }
}
