use std::io::BufReader;

use flate2::bufread::MultiGzDecoder;
use proptest::prelude::*;

use super::*;

const BY_AMANDA: &[u8] = include_bytes!("../../tests/fixtures/files/index-unsorted.gz");

fn read(gzipped: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    names(BufReader::new(MultiGzDecoder::new(gzipped)), |name| found.push(name.to_vec()))?;
    Ok(found)
}

fn written(lines: &[&[u8]]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    lines.iter().for_each(|line| writer.add(line).unwrap());
    writer.finish().unwrap()
}

#[test]
fn amandas_index_is_read_and_ours_holds_the_same() {
    let lines = read(BY_AMANDA).unwrap();
    assert_eq!(lines, [b"/".to_vec(), b"/seq".to_vec()]);
    assert_eq!(read(&written(&[b"/", b"/seq"])).unwrap(), lines);
}

#[test]
fn names_are_those_of_amanda() {
    assert_eq!(directory(&Dle::new("localhost", "/srv/docs home")), PathBuf::from("localhost/_srv_docs home"));
    assert_eq!(file_name("20261123190624", 1, Form::UnsortedGz), "20261123190624_1-unsorted.gz");
    assert_eq!(header_name("20261123190624", 1), "20261123190624_1.header");
    for (name, expected) in [
        ("20261123190624_0-unsorted.gz", Some((0, Form::UnsortedGz))),
        ("20261123_12.gz", Some((12, Form::Old))),
        ("20261123_1-sorted", Some((1, Form::Sorted))),
        ("20261123190624_0.header", None),
        ("20261123190624_0-unsorted.gz.tmp", None),
        ("x_0.gz", None),
        ("20261123_300.gz", None),
        ("20261123_.gz", None),
    ] {
        assert_eq!(parse_name(OsStr::new(name)).map(|(_, level, form)| (level, form)), expected, "{name}");
    }
}

#[test]
fn what_amanda_could_not_offer_is_left_out() {
    let long = [b"/".as_slice(), &[b'x'; LONGEST]].concat();
    assert_eq!(read(&written(&[b"etc", b"/a\nb", &long, b"/ok"])).unwrap(), [b"/ok".to_vec()]);
}

#[test]
fn a_cut_or_endless_index_is_an_error() {
    let whole = written(&[b"/", b"/home/docs"]);
    for cut in 0..whole.len() {
        assert!(read(&whole[..cut]).map_or(true, |names| names.is_empty() && cut == 0), "cut at {cut}");
    }
    assert_eq!(names(&b"/half"[..], |_| ()).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(names(&[b'x'; LONGEST + 9][..], |_| ()).unwrap_err().kind(), ErrorKind::InvalidData);
}

proptest! {
    #[test]
    fn an_index_is_read_back(lines in prop::collection::vec("/[!-~ ]{0,60}", 0..40)) {
        let lines: Vec<_> = lines.iter().map(String::as_bytes).collect();
        prop_assert_eq!(read(&written(&lines)).unwrap(), lines);
    }

    #[test]
    fn any_form_is_found_by_its_name(datestamp in "[0-9]{8}|[0-9]{14}", level: u8, at in 0..Form::ALL.len()) {
        let (form, _) = Form::ALL[at];
        prop_assert_eq!(parse_name(OsStr::new(&file_name(&datestamp, level, form))), Some((datestamp, level, form)));
    }

    #[test]
    fn no_bytes_break_the_reader(list in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&list);
        let _ = names(&list[..], |_| ());
    }
}

#[test]
fn lines_look_as_in_amandas_index() {
    for (listed, expected) in [
        (&b"./"[..], Some(&b"/"[..])),
        (b"./sub/", Some(b"/sub/")),
        (b"./a.txt", Some(b"/a.txt")),
        (b"./sub/new\\nline", Some(b"/sub/new\\nline")),
        (b"/abs", Some(b"/abs")),
        (b"..", None),
        (b"", None),
        (b"name", None),
        (b"./a\nb", None),
        (b"./a\x1bb", None),
    ] {
        assert_eq!(line(listed), expected, "{listed:?}");
    }
}

#[test]
fn a_line_that_the_servers_reader_would_split_is_none() {
    for (length, is) in [(LONGEST - 1, true), (LONGEST, false)] {
        let mut long = vec![b'x'; length];
        long[0] = b'/';
        assert_eq!(is_line(&long), is, "{length}");
    }
}

#[test]
fn names_are_escaped_as_tar_lists_them() {
    for (name, listed) in [
        (&b"./plain name~"[..], "./plain name~"),
        (b"./new\nline", "./new\\nline"),
        (b"./back\\slash", "./back\\\\slash"),
        (b"./\x07\x08\x0b\x0c\r\t", "./\\a\\b\\v\\f\\r\\t"),
        (b"./\x1b\x7f", "./\\033\\177"),
        ("./häuser".as_bytes(), "./h\\303\\244user"),
    ] {
        assert_eq!(escaped(name), listed.as_bytes(), "{name:?}");
    }
}

proptest! {
    #[test]
    fn an_escaped_name_is_read_back(name in prop::collection::vec(1u8.., 0..60)) {
        prop_assert_eq!(unescaped(&escaped(&name)), name);
    }

    #[test]
    fn every_escaped_name_below_the_disk_is_a_line(name in prop::collection::vec(1u8.., 0..60)) {
        let listed = escaped(&[b"./", name.as_slice()].concat());
        prop_assert!(line(&listed).is_some_and(is_line));
    }
}
