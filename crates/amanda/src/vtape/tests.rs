use std::ffi::OsStr;

use proptest::prelude::*;
use tempfile::TempDir;

use super::changer::ChgDisk;
use super::*;
use crate::dle::Dle;

fn labelled() -> (TempDir, Volume) {
    let directory = tempfile::tempdir().unwrap();
    let volume = Volume::new(directory.path());
    volume.relabel(&start("20261123190624")).unwrap();
    (directory, volume)
}

fn start(datestamp: &str) -> Start {
    Start { datestamp: datestamp.to_owned(), label: "v-1".to_owned() }
}

fn header(level: u8) -> Header {
    Header::new(Dle::new("laptop1", "/srv/home docs"), "20261123190624", level).as_part(1)
}

fn add(volume: &Volume, level: u8, dump: &[u8]) -> VolumeFile {
    let mut file = volume.begin().unwrap();
    file.write_all(dump).unwrap();
    file.finish(&header(level)).unwrap()
}

fn names(volume: &Volume) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(volume.directory()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_volume_is_labelled_written_and_read() {
    let (_directory, volume) = labelled();
    assert_eq!(volume.next_number().unwrap(), 1);
    let file = add(&volume, 0, b"dump");
    assert_eq!((file.number, file.bytes), (1, 32 * 1024 + 4));
    add(&volume, 1, b"");
    assert_eq!(names(&volume), ["00000.v-1", "00001.laptop1._srv_home docs.0", "00002.laptop1._srv_home docs.1"]);
    assert_eq!(volume.label().unwrap(), Some(start("20261123190624")));
    let files = volume.files().unwrap();
    assert_eq!(files[1], file);
    assert_eq!(files[2].read().unwrap(), Block::Dump(Box::new(header(1))));
    assert!(fs::read(&file.path).unwrap().ends_with(b"\0\0dump"));
    assert_eq!(volume.bytes().unwrap(), 3 * 32 * 1024 + 4);
}

#[test]
fn a_later_run_gives_the_volume_its_date_and_keeps_the_files() {
    let (_directory, volume) = labelled();
    add(&volume, 0, b"dump");
    volume.redate("20261124010203").unwrap();
    assert_eq!(volume.label().unwrap(), Some(start("20261124010203")));
    assert_eq!(names(&volume).len(), 2);
    volume.relabel(&Start { datestamp: "X".into(), label: "v-2".into() }).unwrap();
    assert_eq!(names(&volume), ["00000.v-2"]);
}

#[test]
fn what_is_not_finished_is_not_there() {
    let (_directory, volume) = labelled();
    let mut file = volume.begin().unwrap();
    file.write_all(b"half").unwrap();
    assert_eq!((file.bytes(), volume.files().unwrap().len()), (4, 1));
    drop(file);
    assert_eq!(names(&volume), ["00000.v-1"]);
    // A process that was killed leaves its file; a header that cannot be written takes it away.
    std::mem::forget(volume.begin().unwrap());
    let wrong = Header { datestamp: "yesterday".into(), ..header(0) };
    assert!(matches!(volume.begin().unwrap().finish(&wrong), Err(VtapeError::Print { .. })));
    assert_eq!(names(&volume).len(), 2);
    volume.sweep().unwrap();
    assert_eq!(names(&volume), ["00000.v-1"]);
}

#[test]
fn a_holding_file_becomes_a_part_without_being_copied() {
    let (directory, volume) = labelled();
    let holding = directory.path().join("laptop1._srv_home docs.0.tmp");
    let whole = [Header::new(Dle::new("laptop1", "/srv/home docs"), "20261123190624", 0).print().unwrap(), b"dump".to_vec()].concat();
    fs::write(&holding, &whole).unwrap();
    let file = volume.take(&holding, &header(0)).unwrap();
    assert!(!holding.exists());
    assert_eq!(file.read().unwrap(), Block::Dump(Box::new(header(0))));
    assert_eq!(fs::read(&file.path).unwrap().len(), whole.len());
}

#[test]
fn a_missing_number_is_passed_over_and_the_greatest_counts() {
    let (_directory, volume) = labelled();
    fs::write(volume.directory().join("00007.h._d.0"), b"").unwrap();
    fs::write(volume.directory().join("readme.txt"), b"").unwrap();
    fs::create_dir(volume.directory().join("00009.directory")).unwrap();
    assert_eq!(add(&volume, 0, b"").number, 8);
    fs::write(volume.directory().join("2147483647.h._d.0"), b"").unwrap();
    assert!(matches!(volume.begin().unwrap().finish(&header(0)), Err(VtapeError::Full { .. })));
}

#[test]
fn what_is_no_volume_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let volume = Volume::new(directory.path());
    assert_eq!(volume.label().unwrap(), None);
    assert!(matches!(volume.redate("20261123"), Err(VtapeError::Label { .. })));
    assert!(matches!(volume.begin().unwrap().finish(&header(0)), Err(VtapeError::Label { .. })));
    for name in ["00000.a", "00000.b"] {
        fs::write(directory.path().join(name), Block::Start(start("X")).print().unwrap()).unwrap();
    }
    assert!(matches!(volume.label(), Err(VtapeError::Label { .. })), "two labels");
    fs::remove_file(directory.path().join("00000.a")).unwrap();
    fs::write(directory.path().join("00000.b"), b"not a header").unwrap();
    assert!(matches!(volume.label(), Err(VtapeError::Header { .. })));
    assert!(matches!(Volume::new("/nonexistent/slot1").files(), Err(VtapeError::Io { .. })));
}

#[test]
fn names_are_numbered_as_amanda_reads_them() {
    for (file, number) in [
        ("00000.v-1", Some(0)),
        ("00012.h._d.0", Some(12)),
        ("3.x", Some(3)),
        ("123456.x", Some(123_456)),
        ("00000-lock", None),
        ("x00001.h", None),
        (".00001.h", None),
        ("00001", None),
        ("2147483648.x", None),
    ] {
        assert_eq!(name::number(OsStr::new(file)), number, "{file}");
    }
    let made = name::part(5, &Dle::new("localhost", "/var/lib/amanda/files4711/src/data"), 0);
    assert_eq!(made, "00005.localhost._var_lib_amanda_files4711_src_data.0");
}

#[test]
fn a_changers_slots_are_found_by_number_and_label() {
    let directory = tempfile::tempdir().unwrap();
    let changer = ChgDisk::named(&format!("chg-disk:{}/vtapes", directory.path().display())).unwrap();
    for slot in [10, 2, 1] {
        changer.make_slot(slot).unwrap();
    }
    fs::write(changer.directory().join("slot3"), b"no directory").unwrap();
    assert_eq!(changer.slots().unwrap(), [1, 2, 10]);
    assert_eq!(changer.current(), None);
    changer.set_current(10).unwrap();
    changer.set_current(2).unwrap();
    assert_eq!(changer.current(), Some(2));
    assert_eq!(fs::read_link(changer.directory().join("data")).unwrap(), Path::new("slot2"));
    changer.volume(10).relabel(&start("X")).unwrap();
    assert_eq!(changer.find("v-1").unwrap().map(|(slot, _)| slot), Some(10));
    assert!(changer.find("v-2").unwrap().is_none());
    assert!(ChgDisk::named("chg-multi:/x").is_none());
}

proptest! {
    #[test]
    fn a_name_has_its_number(number in 0..=name::LAST, host in "[a-z.0-9]{1,9}", disk in prop::collection::vec(1..=255u8, 1..30)) {
        use std::os::unix::ffi::OsStringExt as _;
        let dle = Dle::new(host, std::ffi::OsString::from_vec(disk));
        let made = name::part(number, &dle, 3);
        prop_assert_eq!(name::number(&made), Some(number));
        prop_assert_eq!(Path::new(&made).components().count(), 1);
    }
}

#[test]
fn nothing_is_written_or_read_through_a_symlink() {
    use std::os::unix::fs::symlink;
    let keep = tempfile::tempdir().expect("directory");
    let victim = keep.path().join("victim");
    fs::write(&victim, "root:x:0:0").expect("written");
    let volume = Volume::new(keep.path().join("slot1"));
    fs::create_dir(volume.directory()).expect("made");
    let start = Start { datestamp: "X".to_owned(), label: "vault-001".to_owned() };
    let hidden = volume.directory().join(name::HIDDEN_LABEL);
    symlink(&victim, &hidden).expect("planted");
    volume.relabel(&start).expect("labelled");
    symlink(&victim, &hidden).expect("planted");
    volume.redate("20261122003709").expect("dated");
    assert_eq!(volume.label().expect("read").expect("labelled").datestamp, "20261122003709");
    let header = Header::new(crate::dle::Dle::new("laptop1", "/home"), "20261122003709", 0).as_part(1);
    let held = keep.path().join("laptop1._home.0");
    symlink(&victim, &held).expect("planted");
    assert!(matches!(volume.take(&held, &header), Err(VtapeError::Io { .. })));
    symlink(&victim, volume.directory().join("00001.laptop1._home.0")).expect("planted");
    assert!(volume.files().expect("listed")[1].read().is_err_and(|error| matches!(error, VtapeError::Io { .. })));
    assert_eq!(fs::read(&victim).expect("read"), b"root:x:0:0");
}
