//! Every format of GNU tar, compared with the files themselves.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use restore::member::{Kind, Member};

use crate::reading::{Memory, Read, read};
use crate::tree::{self, tar};

/// Reads an archive, cut in many ways, into what it has by name.
fn whole(archive: &[u8]) -> BTreeMap<Vec<u8>, Read> {
    let (members, damages) = read(Memory::new(archive, 1 << 20));
    assert_eq!(damages, []);
    for chunk in [1000, 512, archive.len()] {
        assert!(read(Memory::new(archive, chunk)) == (members.clone(), Vec::new()), "{chunk}");
    }
    let count = members.len();
    let by_name: BTreeMap<_, _> = members.into_iter().map(|read| (read.member.path.clone(), read)).collect();
    assert_eq!(by_name.len(), count);
    by_name
}

/// Compares what the archive says with the files; times in whole seconds unless it has more.
fn compare(root: &Path, members: &BTreeMap<Vec<u8>, Read>, nanoseconds: bool) {
    let mut files = 0;
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()) {
            files += 1;
            let name = [b"./", entry.strip_prefix(root).unwrap().as_os_str().as_bytes()].concat();
            let meta = fs::symlink_metadata(&entry).unwrap();
            let slash = if meta.is_dir() { &b"/"[..] } else { b"" };
            let Some(read) = members.get(&[&name, slash].concat()) else { panic!("{} is missing", entry.display()) };
            same(&entry, &meta, read, members, nanoseconds);
            if meta.is_dir() {
                directories.push(entry);
            }
        }
    }
    assert_eq!(members.len(), files + usize::from(members.contains_key(&b"./"[..])));
}

fn same(entry: &Path, meta: &fs::Metadata, read: &Read, members: &BTreeMap<Vec<u8>, Read>, nanoseconds: bool) {
    let member: &Member = &read.member;
    let (kind, device) = (meta.file_type(), (rustix::fs::major(meta.rdev()), rustix::fs::minor(meta.rdev())));
    match &member.kind {
        Kind::File => {
            assert!(kind.is_file() && member.size == meta.len(), "{}", entry.display());
            assert!(read.content.as_deref() == Some(&fs::read(entry).unwrap()), "{}", entry.display());
        }
        Kind::Directory { .. } => assert!(kind.is_dir()),
        Kind::Symlink(to) => assert_eq!(OsStr::from_bytes(to), fs::read_link(entry).unwrap()),
        Kind::Link(to) => {
            assert!(meta.nlink() > 1 && members.get(to).is_some_and(|first| first.member.kind == Kind::File), "{}", entry.display());
        }
        Kind::Fifo => assert!(kind.is_fifo()),
        Kind::Character(major, minor) => assert!(kind.is_char_device() && device == (*major, *minor)),
        Kind::Block(major, minor) => assert!(kind.is_block_device() && device == (*major, *minor)),
        Kind::Other(flag) => panic!("{} is {flag}", entry.display()),
    }
    let mtime = (meta.mtime(), if nanoseconds { meta.mtime_nsec() as u32 } else { 0 });
    let said = (member.mode, member.owner.0, member.group.0, member.mtime);
    assert_eq!(said, (meta.mode() & 0o7777, meta.uid(), meta.gid(), mtime), "{}", entry.display());
}

#[test]
fn all_formats_are_read() {
    let root = tempfile::tempdir().unwrap();
    tree::simple(root.path());
    for format in ["v7", "oldgnu", "gnu", "ustar", "posix"] {
        let members = whole(&tar(root.path(), &["--format", format, "."]));
        compare(root.path(), &members, format == "posix");
        let small = &members[&b"./d/small"[..]].member;
        assert_eq!(small.owner.1, if format == "v7" { &b""[..] } else { b"root" }, "{format}");
        assert_eq!(small.atime.is_some(), format == "posix", "{format}");
    }
}

#[test]
fn long_and_odd_names_devices_and_large_numbers_are_read() {
    let root = tempfile::tempdir().unwrap();
    tree::simple(root.path());
    tree::strange(root.path());
    for format in ["oldgnu", "gnu", "posix"] {
        compare(root.path(), &whole(&tar(root.path(), &["--format", format, "."])), format == "posix");
    }
}

#[test]
fn holes_come_back_in_all_formats() {
    let root = tempfile::tempdir().unwrap();
    tree::strange(root.path());
    for format in [
        &["--format=gnu"][..],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ] {
        let members = whole(&tar(root.path(), &[&["--sparse"], format, &["."]].concat()));
        compare(root.path(), &members, format[0].ends_with("posix"));
        for (name, most) in [("./sparse", 1 << 16), ("./many holes", 1 << 19), ("./only a hole", 0)] {
            let read = &members[name.as_bytes()];
            assert!(read.stored <= most && read.member.size > most, "{format:?} {name}: {}", read.stored);
        }
    }
}

#[test]
fn attributes_acls_and_nanoseconds_are_read() {
    let root = tempfile::tempdir().unwrap();
    tree::posix(root.path());
    let members = whole(&tar(root.path(), &["--format=posix", "--xattrs", "--xattrs-include=*", "--acls", "."]));
    compare(root.path(), &members, true);
    let member = &members[&b"./attributes"[..]].member;
    let mut xattrs = member.xattrs.clone();
    xattrs.sort();
    let expected: [(&[u8], &[u8]); 4] =
        [(b"security.s", b"s"), (b"trusted.t", b"t"), (b"user.odd=name%", b"a\nb=c\0\xff"), (b"user.plain", b"value")];
    assert_eq!(xattrs, expected.map(|(name, value)| (name.to_vec(), value.to_vec())));
    let has = |acl: &Option<Vec<u8>>, words: &str| acl.as_deref().is_some_and(|acl| String::from_utf8_lossy(acl).contains(words));
    assert!(has(&member.acl_access, "user:1234:rw-") && has(&member.acl_access, "group:77:r--"), "{member:?}");
    assert!(has(&members[&b"./by default/"[..]].member.acl_default, "user:1234:rwx"));
    assert_eq!(member.atime, Some((1_600_000_000, 5)));
    assert_eq!(members[&b"./old"[..]].member.mtime, (-2, 250_000_000));
}

#[test]
fn a_global_header_holds_for_all_members() {
    let root = tempfile::tempdir().unwrap();
    tree::simple(root.path());
    let members = whole(&tar(root.path(), &["--format=posix", "--pax-option=globexthdr.name=g,comment=words,uname=somebody", "."]));
    compare(root.path(), &members, true);
    assert_eq!(members[&b"./empty"[..]].member.owner.1, b"somebody");
}

#[test]
fn a_label_is_passed_over_with_a_word() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("a"), "a").unwrap();
    let (members, damages) = read(Memory::new(&tar(root.path(), &["--label=name", "./a"]), 512));
    assert_eq!(damages, []);
    assert_eq!(members.iter().map(|read| read.member.kind.clone()).collect::<Vec<_>>(), [Kind::Other(b'V'), Kind::File]);
}

#[test]
fn two_blocks_of_zeros_are_the_end_and_one_is_none() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("a"), "a").unwrap();
    let archive = tar(root.path(), &["./a"]);
    let one = &archive[..1024];
    for (case, archive, members, damaged) in [
        ("padded", archive.clone(), 1, false),
        ("another one behind it", archive.repeat(2), 1, false),
        ("one block of zeros", [one, &[0; 512], one, &[0; 1024]].concat(), 2, false),
        ("one block, and the end", [one, &[0; 512]].concat(), 1, false),
        ("no mark", one.to_vec(), 1, true),
        ("half a block", [one, &[0; 100]].concat(), 1, true),
        ("only zeros", vec![0; 10240], 0, false),
        ("nothing", Vec::new(), 0, false),
    ] {
        let (read, damages) = read(Memory::new(&archive, 700));
        assert_eq!((read.len(), damages.len()), (members, usize::from(damaged)), "{case}: {damages:?}");
    }
}

#[test]
fn content_that_nobody_reads_is_passed_over() {
    let root = tempfile::tempdir().unwrap();
    tree::simple(root.path());
    let archive = tar(root.path(), &["--format=gnu", "--sort=name", "."]);
    let mut reader = restore::archive::Archive::new(Memory::new(&archive, 3000));
    let mut names = Vec::new();
    while let Some(restore::archive::Item::Member(member, mut body)) = reader.next().unwrap() {
        if names.len() % 2 == 0 {
            let _ = restore::member::Body::next(&mut body).unwrap();
        }
        names.push(member.path);
    }
    assert_eq!(
        names,
        whole(&archive)
            .into_values()
            .map(|read| (read.begins, read.member.path))
            .collect::<BTreeMap<_, _>>()
            .into_values()
            .collect::<Vec<_>>()
    );
}
