//! Damaged dumps, hostile ones, and those that were made of a list of names.

use super::*;

/// A dump whose catalog knows another checksum than its bytes have.
struct Changed<'a> {
    one: One<'a>,
    sum: Option<Crc>,
}

impl Source for Changed<'_> {
    fn dumps(&mut self, host: &HostName) -> Result<Vec<Dump>, Trouble> {
        self.one.dumps(host)
    }
    fn index(&mut self, dump: &DumpId) -> Result<Option<Box<dyn BufRead>>, Trouble> {
        self.one.index(dump)
    }
    fn stored(&mut self, dump: &DumpId) -> Result<Stored, Trouble> {
        Ok(Stored { sum: self.sum, ..self.one.stored(dump)? })
    }
}

impl Library for Changed<'_> {
    fn of(&mut self, _: &HostName) -> Result<&mut dyn Source, Trouble> {
        Ok(self)
    }
    fn note(&mut self, _: &Asked<'_>, _: &str) {}
}

fn sum(bytes: &[u8]) -> Option<Crc> {
    Some(Crc { crc: crc32c::crc32c(bytes), bytes: bytes.len() as u64 })
}

#[test]
fn members_out_of_a_stream_are_compared_with_what_was_stored() {
    let directory = tempfile::tempdir().expect("a directory");
    let archive = archive("--format=gnu");
    let mut changed = archive.clone();
    changed[find(&archive, "b/three", 30_000)] ^= 1;
    let padded = [gzip(&archive), vec![0; 5000]].concat();
    let (zipped, mut trailer) = (gzip(&archive), gzip(&archive));
    let last = trailer.len() - 6;
    trailer[last] ^= 1;
    for (case, dump, sum, whole) in [
        ("whole", archive.clone(), sum(&archive), true),
        ("nobody knows", changed.clone(), None, true),
        ("a byte is another one", changed, sum(&archive), false),
        ("cut off behind the end", archive[..archive.len() - 512].to_vec(), sum(&archive), false),
        ("a block filled up", padded, sum(&zipped), true),
        ("gzip's own checksum", trailer, sum(&zipped), false),
    ] {
        for as_stream in [false, true] {
            let one = One { directory: directory.path(), dump: dump.clone(), index: None, as_stream, notes: Vec::new() };
            let (told, parts) = ask(&mut Changed { one, sum }, &Ask::Fetch { dump: id(0), what: What::Members(vec![path("b")]) });
            match told.last() {
                Some(Told::Done) if whole => {}
                Some(Told::No { code: AbortCode::Failed, message, .. }) if !whole && message.starts_with("the dump is damaged: ") => {}
                other => panic!("{case} {as_stream}: {other:?}"),
            }
            assert!(members(Packing::Plain, parts).0.contains_key("./b/three"), "{case} {as_stream}");
        }
    }
}

#[test]
fn an_extended_header_that_claims_to_be_endless_is_a_cut_archive() {
    let directory = tempfile::tempdir().expect("a directory");
    for flag in [b'L', b'x'] {
        let mut header = tar::Header::new_gnu();
        header.set_path("././@LongLink").expect("short");
        header.set_entry_type(tar::EntryType::new(flag));
        header.as_mut_bytes()[124..136].copy_from_slice(b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff");
        header.set_cksum();
        let dump = [header.as_bytes().as_slice(), &[b'n'; 2048]].concat();
        let mut one = One { directory: directory.path(), dump, index: None, as_stream: true, notes: Vec::new() };
        let (told, parts) = ask(&mut one, &Ask::Fetch { dump: id(0), what: What::Members(vec![path("a")]) });
        assert_eq!(told.last(), Some(&Told::Done));
        assert!(parts.iter().any(|part| matches!(part, Part::Hole(..))), "{parts:?}");
    }
}

#[test]
fn directories_behind_files_that_were_named_are_found() {
    let directory = tempfile::tempdir().expect("a directory");
    let tree = directory.path().join("tree");
    for name in ["b", "d", "e"] {
        fs::create_dir_all(tree.join(name)).expect("made");
        fs::write(tree.join(name).join("x"), name).expect("written");
    }
    fs::write(tree.join("c"), "c").expect("written");
    fs::write(directory.path().join("list"), "./b\n./c\n./d\n./e\n").expect("written");
    let tar = Command::new("tar")
        .args(["--create", "--format=gnu", "--listed-incremental"])
        .arg(directory.path().join("state"))
        .arg("--file")
        .arg(directory.path().join("made"))
        .arg("--directory")
        .arg(&tree)
        .arg("--files-from")
        .arg(directory.path().join("list"))
        .status();
    assert!(tar.expect("tar").success());
    let dump = gzip(&fs::read(directory.path().join("made")).expect("read"));
    let mut one = One { directory: directory.path(), dump, index: None, as_stream: true, notes: Vec::new() };
    let (told, parts) = ask(&mut one, &Ask::Directories { dump: id(0), of: vec![path("")], deep: true });
    assert_eq!(told, [Told::Done]);
    let bytes = data(&parts);
    for name in ["b", "d", "e"] {
        let begin = wire::restore::record(&path(name), b"Yx\0\0");
        assert!(memchr::memmem::find(&bytes, &begin).is_some(), "{name}: {}", bytes.escape_ascii());
    }
}

#[test]
fn who_asks_for_nothing_is_told_so_and_who_takes_nothing_is_let_go() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut one = One { directory: directory.path(), dump: archive("--format=gnu"), index: None, as_stream: true, notes: Vec::new() };
    let (near, far) = std::os::unix::net::UnixStream::pair().expect("a pair");
    near.set_read_timeout(Some(std::time::Duration::from_millis(1))).expect("a limit");
    let error = serve(&mut one, &host("laptop1"), &near, &near).expect_err("nobody asks");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    drop(near);
    let (mut decoder, mut far) = (Decoder::new(), far);
    while decoder.read_from(&mut far, 1024).expect("words") > 0 {}
    let told = message(decoder.next_frame().expect("ours").expect("words")).expect("ours");
    assert!(matches!(&told, Told::No { code: AbortCode::Later, .. }), "{told:?}");

    let (near, mut far) = std::os::unix::net::UnixStream::pair().expect("a pair");
    near.set_write_timeout(Some(std::time::Duration::from_millis(1))).expect("a limit");
    one.dump = [one.dump.clone(), vec![0; 4 << 20]].concat();
    far.write_all(&pack(&Ask::Fetch { dump: id(0), what: What::All }).expect("short")).expect("sent");
    let error = serve(&mut one, &host("laptop1"), &near, &near).expect_err("nobody reads");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(one.notes.last().is_some_and(|note| note.contains("cut off: the laptop took nothing")), "{:?}", one.notes);
}
