//! What members become: content, names and everything that is known about a file.

mod place_world;

use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use place_world::{World, as_an_ordinary_user, at, cut, directory, file, finish, made, member, overwrite, pieces, put, rules, symlink};
use restore::member::{Kind, Member};
use restore::place::{Put, PutError, Rules, There};

const ACL: &[u8] = b"user::rw-,user:4711:r--,group::r--,group:4712:rw-,mask::rw-,other::---";

fn root() {
    assert!(nix::unistd::geteuid().is_root(), "this test needs root: it gives files to others; use tests/run");
}

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 4096];
    let length = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}

fn acl(path: &Path) -> String {
    let said = Command::new("getfacl").args(["--omit-header", "--numeric", "--absolute-names"]).arg(path).output().expect("getfacl runs");
    String::from_utf8_lossy(&said.stdout).split_whitespace().collect::<Vec<_>>().join(",")
}

#[test]
fn a_file_has_all_that_the_archive_says_of_it() {
    root();
    let world = World::new();
    let mut target = world.open(rules());
    let whole = Member {
        mode: 0o6755,
        owner: (4711, b"nobody-has-this-name".to_vec()),
        group: (4712, Vec::new()),
        atime: Some((1_100_000_000, 5)),
        xattrs: vec![
            (b"user.note".to_vec(), b"any\0bytes\xff".to_vec()),
            (b"trusted.mark".to_vec(), b"1".to_vec()),
            (b"security.capability".to_vec(), b"\x01\0\0\x02\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec()),
        ],
        ..file(b"content")
    };
    made(&mut target, "a", &whole, b"content");
    made(&mut target, "read-only", &Member { mode: 0o400, ..whole.clone() }, b"content");
    made(&mut target, "listed", &Member { mode: 0o660, acl_access: Some(ACL.to_vec()), ..whole }, b"content");
    finish(target);
    let meta = fs::metadata(world.path("a")).expect("there");
    assert_eq!(fs::read(world.path("a")).expect("read"), b"content");
    assert_eq!((meta.mode(), meta.uid(), meta.gid(), meta.nlink()), (0o10_6755, 4711, 4712, 1));
    assert_eq!((meta.mtime(), meta.mtime_nsec()), (1_000_000_000, 123_456_789));
    for name in ["user.note", "trusted.mark", "security.capability"] {
        assert!(attribute(&world.path("a"), name).is_some() && attribute(&world.path("read-only"), name).is_some(), "{name}");
    }
    assert_eq!(attribute(&world.path("a"), "user.note").expect("set"), b"any\0bytes\xff");
    assert_eq!(acl(&world.path("listed")), "user::rw-,user:4711:r--,group::r--,group:4712:rw-,mask::rw-,other::---");
}

#[test]
fn a_name_of_this_machine_counts_before_a_number_unless_numbers_are_wanted() {
    root();
    let world = World::new();
    let other = Member { owner: (4711, b"root".to_vec()), group: (4712, b"root".to_vec()), ..file(b"") };
    for (name, numeric, user) in [("named", false, (0, 0)), ("numbered", true, (4711, 4712))] {
        let mut target = world.open(Rules { numeric, ..rules() });
        made(&mut target, name, &other, b"");
        finish(target);
        let meta = fs::metadata(world.path(name)).expect("there");
        assert_eq!((meta.uid(), meta.gid()), user, "{name}");
    }
}

#[test]
fn links_fifos_and_devices_come_back_with_owner_and_time() {
    root();
    let world = World::new();
    let mut target = world.open(rules());
    let theirs = |member: Member| Member { owner: (4711, vec![]), group: (4712, vec![]), mode: 0o640, ..member };
    made(&mut target, "link", &theirs(symlink("/no/where\u{e9}")), b"");
    made(&mut target, "fifo", &theirs(member(Kind::Fifo)), b"");
    made(&mut target, "null", &theirs(member(Kind::Character(1, 3))), b"");
    made(&mut target, "disk", &Member { acl_access: Some(ACL.to_vec()), ..theirs(member(Kind::Block(7, 77))) }, b"");
    finish(target);
    for name in ["link", "fifo", "null", "disk"] {
        let meta = fs::symlink_metadata(world.path(name)).expect("there");
        assert_eq!((meta.uid(), meta.gid(), meta.mtime(), meta.mtime_nsec()), (4711, 4712, 1_000_000_000, 123_456_789), "{name}");
        let kind = meta.file_type();
        let is = (kind.is_symlink(), kind.is_fifo(), kind.is_char_device(), kind.is_block_device());
        assert_eq!(is, (name == "link", name == "fifo", name == "null", name == "disk"));
        match name {
            "link" => assert_eq!(fs::read_link(world.path(name)).expect("link"), Path::new("/no/where\u{e9}")),
            "fifo" => assert_eq!(meta.permissions().mode() & 0o7777, 0o640),
            "null" => assert_eq!(meta.rdev(), rustix::fs::makedev(1, 3)),
            _ => assert_eq!((meta.rdev(), acl(&world.path(name)).contains("user:4711:r--")), (rustix::fs::makedev(7, 77), true)),
        }
    }
}

#[test]
fn directories_get_what_they_have_after_all_is_in_them() {
    root();
    let world = World::new();
    let mut target = world.open(rules());
    let default = b"user::rwx,user:4711:rwx,group::r-x,mask::rwx,other::---".to_vec();
    let shut = Member {
        mode: 0o2550,
        owner: (4711, vec![]),
        group: (4712, vec![]),
        acl_default: Some(default),
        xattrs: vec![(b"user.x".to_vec(), b"y".to_vec())],
        ..directory()
    };
    made(&mut target, "a", &shut, b"");
    made(&mut target, "a/b", &shut, b"");
    made(&mut target, "a/b/file", &file(b"x"), b"x");
    made(&mut target, "made/on/the/way", &file(b"x"), b"x");
    made(&mut target, "a/b/made/too", &file(b"x"), b"x");
    assert_eq!(fs::metadata(world.path("a")).expect("there").mode() & 0o7777, 0o700, "nobody looks in meanwhile");
    finish(target);
    for name in ["a", "a/b"] {
        let meta = fs::metadata(world.path(name)).expect("there");
        assert_eq!((meta.mode() & 0o7777, meta.uid(), meta.gid()), (0o2550, 4711, 4712), "{name}");
        assert_eq!((meta.mtime(), meta.mtime_nsec()), (1_000_000_000, 123_456_789), "{name}");
        assert!(acl(&world.path(name)).contains("default:user:4711:rwx"));
        assert_eq!(attribute(&world.path(name), "user.x").expect("set"), b"y");
    }
    assert!(!acl(&world.path("a/b/file")).contains("4711"), "nobody gets in by what a directory passes on");
    let like = |name: &str| fs::metadata(world.path(name)).map(|meta| (meta.uid(), meta.mode() & 0o7777)).expect("there");
    assert_eq!(like("made/on/the"), (0, like("").1 & 0o755 | 0o700));
    assert_eq!(like("a/b/made"), (4711, 0o750), "like the one it is in");
}

#[test]
fn a_file_does_not_get_the_acl_that_a_directory_passes_on() {
    let world = World::new();
    let set = Command::new("setfacl").args(["-d", "-m", "u:4711:rwx"]).arg(&world.target).status().expect("setfacl runs");
    assert!(set.success());
    let mut target = world.open(rules());
    made(&mut target, "file", &file(b"x"), b"x");
    made(&mut target, "dir", &directory(), b"");
    made(&mut target, "dir/fifo", &member(Kind::Fifo), b"");
    made(&mut target, "dir/file", &file(b"x"), b"x");
    finish(target);
    for name in ["file", "dir", "dir/fifo", "dir/file"] {
        assert!(!acl(&world.path(name)).contains("4711"), "{name}: {}", acl(&world.path(name)));
    }
}

#[test]
fn holes_stay_holes() {
    let world = World::new();
    let mut target = world.open(rules());
    const GIB: u64 = 1 << 30;
    let sparse = Member { size: 8 * GIB, ..file(b"") };
    let done = target.put(&at("s"), &sparse, &mut pieces(&[(GIB, b"one"), (GIB + 3, b""), (5 * GIB, b"two")]));
    assert_eq!(done.expect("put"), Put::Made(vec![]));
    finish(target);
    let meta = fs::metadata(world.path("s")).expect("there");
    assert!(meta.len() == 8 * GIB && meta.blocks() < 1000, "{} blocks", meta.blocks());
    let mut found = [0; 3];
    std::os::unix::fs::FileExt::read_exact_at(&File::open(world.path("s")).expect("opens"), &mut found, 5 * GIB).expect("read");
    assert_eq!(&found, b"two");
}

#[test]
fn hard_links_are_one_file() {
    let world = World::new();
    let mut target = world.open(rules());
    made(&mut target, "d/a", &file(b"x"), b"x");
    made(&mut target, "l", &symlink("d/a"), b"");
    for (name, existing) in [("b", "d/a"), ("e/c", "b"), ("l2", "l")] {
        assert_eq!(target.link(&at(name), &at(existing)).expect("linked"), Put::Made(vec![]));
    }
    assert_eq!(target.link(&at("b"), &at("d/a")).expect("there"), Put::Kept { is_same: true });
    assert_eq!(target.link(&at("l"), &at("d/a")).expect("there"), Put::Kept { is_same: false });
    assert!(matches!(target.link(&at("f"), &at("none")), Err(PutError::NotMade { .. })));
    finish(target);
    let numbers = ["d/a", "b", "e/c"].map(|name| fs::metadata(world.path(name)).expect("there").ino());
    assert!(numbers.iter().all(|number| *number == numbers[0]));
    assert!(fs::symlink_metadata(world.path("l2")).expect("there").is_symlink());
}

#[test]
fn with_overwrite_a_name_moves_to_the_new_file() {
    let world = World::new();
    fs::write(world.path("b"), "old").expect("written");
    fs::hard_link(world.path("b"), world.path("c")).expect("linked");
    let mut target = world.open(overwrite());
    made(&mut target, "a", &file(b"new"), b"new");
    assert_eq!(target.link(&at("b"), &at("a")).expect("linked"), Put::Made(vec![]));
    assert_eq!(target.link(&at("b"), &at("a")).expect("linked"), Put::Kept { is_same: true });
    finish(target);
    assert_eq!(fs::read(world.path("b")).expect("read"), b"new");
    assert_eq!(fs::read(world.path("c")).expect("read"), b"old", "the old file's other name is not touched");
    assert_eq!(world.names(), ["a", "b", "c"]);
}

#[test]
fn what_is_there_is_kept() {
    let world = World::new();
    for name in ["same", "other"] {
        fs::write(world.path(name), name).expect("written");
    }
    fs::create_dir(world.path("dir")).expect("made");
    let mode = fs::metadata(world.path("dir")).expect("there").mode();
    let meta = fs::metadata(world.path("same")).expect("there");
    let same = Member { mtime: (meta.mtime(), 0), ..file(b"same") };
    let mut target = world.open(rules());
    assert_eq!(put(&mut target, "same", &same, b"SAME").expect("kept"), Put::Kept { is_same: true });
    assert_eq!(put(&mut target, "other", &same, b"SAME").expect("kept"), Put::Kept { is_same: false });
    assert_eq!(put(&mut target, "other", &symlink("x"), b"").expect("kept"), Put::Kept { is_same: false });
    assert_eq!(put(&mut target, "dir", &Member { mode: 0o7, ..directory() }, b"").expect("used"), Put::Kept { is_same: true });
    made(&mut target, "dir/new", &file(b"x"), b"x");
    assert!(matches!(put(&mut target, "other", &directory(), b""), Err(PutError::NoDirectory { .. })));
    assert!(matches!(put(&mut target, "other/below", &file(b"x"), b"x"), Err(PutError::NoDirectory { .. })));
    assert!(matches!(put(&mut target, "dir", &file(b"x"), b"x"), Err(PutError::Directory)));
    finish(target);
    assert_eq!(fs::read(world.path("same")).expect("read"), b"same");
    assert_eq!(fs::read(world.path("other")).expect("read"), b"other");
    assert_eq!(fs::metadata(world.path("dir")).expect("there").mode(), mode);
}

#[test]
fn overwrite_replaces_all_but_directories() {
    let world = World::new();
    fs::write(world.path("file"), "old").expect("written");
    fs::write(world.path("becomes-dir"), "old").expect("written");
    std::os::unix::fs::symlink("file", world.path("link")).expect("linked");
    fs::create_dir(world.path("dir")).expect("made");
    fs::create_dir(world.path("stays")).expect("made");
    let mut target = world.open(overwrite());
    for name in ["file", "link"] {
        made(&mut target, name, &file(b"new"), b"new");
    }
    assert_eq!(put(&mut target, "dir", &Member { mode: 0o750, ..directory() }, b"").expect("used"), Put::Kept { is_same: true });
    made(&mut target, "becomes-dir", &directory(), b"");
    made(&mut target, "becomes-dir/file", &file(b"x"), b"x");
    assert!(matches!(put(&mut target, "stays", &file(b"x"), b"x"), Err(PutError::Directory)));
    finish(target);
    assert_eq!(fs::read(world.path("link")).expect("read"), b"new");
    assert!(fs::symlink_metadata(world.path("link")).expect("there").is_file());
    let meta = fs::metadata(world.path("dir")).expect("there");
    assert_eq!((meta.mode() & 0o7777, meta.mtime()), (0o750, 1_000_000_000));
    assert_eq!(world.names(), ["becomes-dir", "becomes-dir/file", "dir", "file", "link", "stays"]);
}

#[test]
fn a_file_that_breaks_off_leaves_nothing() {
    let world = World::new();
    fs::write(world.path("old"), "old").expect("written");
    let mut target = world.open(overwrite());
    for name in ["new", "old"] {
        assert!(matches!(target.put(&at(name), &file(b"content"), &mut cut(b"con")), Err(PutError::Body(_))));
    }
    assert_eq!(target.is_there(&at("new")).expect("looked"), None);
    drop(target);
    assert_eq!(world.names(), ["old"]);
    assert_eq!(fs::read(world.path("old")).expect("read"), b"old");
}

#[test]
fn deeper_than_a_path_can_be() {
    let world = World::new();
    let mut target = world.open(rules());
    let deep = vec!["a-directory-in-a-directory"; 500].join("/");
    made(&mut target, &deep, &Member { mode: 0o555, ..directory() }, b"");
    made(&mut target, format!("{deep}/file"), &file(b"x"), b"x");
    assert_eq!(target.link(&at("short"), &at(format!("{deep}/file"))).expect("linked"), Put::Made(vec![]));
    assert!(matches!(target.is_there(&at(format!("{deep}/file"))), Ok(Some(There::File { size: 1, mtime: 1_000_000_000 }))));
    finish(target);
    assert_eq!(fs::metadata(world.path("short")).expect("there").nlink(), 2);
}

#[test]
fn what_a_killed_restore_left_shut_is_opened_by_the_next() {
    let world = World::new();
    let open = Member { mode: 0o751, ..directory() };
    let mut killed = world.open(rules());
    made(&mut killed, "way/a", &open, b"");
    made(&mut killed, "way/a/b/one", &file(b"1"), b"1");
    drop(killed);
    fs::create_dir(world.path("mine")).expect("made");
    fs::set_permissions(world.path("mine"), fs::Permissions::from_mode(0o700)).expect("mode");
    let mut target = world.open(rules());
    made(&mut target, "way/a", &open, b"");
    assert_eq!(put(&mut target, "mine", &open, b"").expect("used"), Put::Kept { is_same: true });
    assert!(matches!(put(&mut target, "way/a/b/one", &file(b"1"), b"1"), Ok(Put::Kept { is_same: true })));
    made(&mut target, "way/a/b/two", &file(b"2"), b"2");
    finish(target);
    for (name, mode) in [("mine", 0o700), ("way", 0o755), ("way/a", 0o751), ("way/a/b", 0o751)] {
        let meta = fs::metadata(world.path(name)).expect("there");
        assert!(meta.mode() & 0o7777 == mode || name == "way", "{name}: {:o}", meta.mode());
        assert_eq!(attribute(&world.path(name), "user.asyncamanda.unfinished"), None, "{name}");
    }
    assert_eq!(fs::metadata(world.path("way/a")).expect("there").mtime(), 1_000_000_000);
}

#[test]
fn more_directories_than_can_be_open() {
    let world = World::new();
    let mut target = world.open(rules());
    for number in 0..500 {
        made(&mut target, format!("d{number}/e"), &Member { mode: 0o500, ..directory() }, b"");
    }
    for number in 0..500 {
        made(&mut target, format!("d{number}/e/file"), &file(b"x"), b"x");
    }
    finish(target);
    assert_eq!(world.names().len(), 1500);
    assert!((0..500).all(|number| fs::metadata(world.path(&format!("d{number}/e"))).expect("there").mode() & 0o777 == 0o500));
}

#[test]
fn names_are_bytes() {
    let world = World::new();
    let mut target = world.open(rules());
    let names: [&[u8]; 6] = [b"new\nline", b"\xff\xfe", b"-rf *", b"a\\b", b" ", &[b'n'; 255]];
    for name in names {
        made(&mut target, name, &file(name), name);
        assert!(matches!(target.is_there(&at(name)), Ok(Some(There::File { .. }))));
    }
    finish(target);
    assert_eq!(fs::read_dir(&world.target).expect("listed").count(), names.len());
}

#[test]
fn attributes_that_cannot_be_set_are_remarked_on() {
    root();
    let world = World::new();
    let mut target = world.open(rules());
    let odd = Member {
        owner: (u32::MAX, vec![]),
        mode: 0o4755,
        acl_access: Some(b"user::rwx,user:nobody-has-this-name:rwx,group::r-x,mask::rwx,other::---".to_vec()),
        ..file(b"x")
    };
    let Put::Made(remarks) = put(&mut target, "a", &odd, b"x").expect("put") else { panic!("not made") };
    let remarks = remarks.join("\n");
    for part in ["its owner could not be set", "its set-id bit was left out", "its ACL is without nobody-has-this-name"] {
        assert!(remarks.contains(part), "{remarks}");
    }
    let Put::Made(remarks) = put(&mut target, "b", &Member { acl_access: Some(b"?".to_vec()), ..file(b"x") }, b"x").expect("put") else {
        panic!("not made")
    };
    assert_eq!(remarks, ["its ACL was left out, since it makes no sense"]);
    finish(target);
    assert_eq!(fs::metadata(world.path("a")).expect("there").mode() & 0o7000, 0);
}

#[test]
fn an_ordinary_user_gets_what_he_may_have() {
    as_an_ordinary_user("an_ordinary_user_gets_what_he_may_have", || {
        let world = World::new();
        let mut target = world.open(rules());
        let me = nix::unistd::geteuid().as_raw();
        let theirs = Member {
            owner: (0, b"root".to_vec()),
            group: (0, b"root".to_vec()),
            mode: 0o754,
            acl_access: Some(ACL.to_vec()),
            xattrs: vec![(b"user.mine".to_vec(), b"1".to_vec()), (b"trusted.mark".to_vec(), b"1".to_vec())],
            ..file(b"x")
        };
        made(&mut target, "theirs", &theirs, b"x");
        made(&mut target, "shut", &Member { mode: 0, ..directory() }, b"");
        made(&mut target, "shut/file", &Member { mode: 0, ..theirs.clone() }, b"x");
        made(&mut target, "link", &Member { owner: (0, vec![]), ..symlink("/etc") }, b"");
        made(&mut target, "fifo", &member(Kind::Fifo), b"");
        made(&mut target, "mine", &Member { mode: 0o4755, ..file(b"x") }, b"x");
        for kind in [Kind::Character(1, 3), Kind::Block(7, 0)] {
            let said = put(&mut target, "node", &member(kind), b"").expect("answered");
            assert_eq!(said, Put::Skipped("it is a device node, which only root may make".to_owned()));
        }
        let Put::Made(remarks) = put(&mut target, "set-id", &Member { mode: 0o4755, ..theirs }, b"x").expect("put") else {
            panic!("not made")
        };
        assert_eq!(remarks, ["its set-id bit was left out, since its owner is not the one in the dump"]);
        finish(target);
        let mode = |name: &str| fs::symlink_metadata(world.path(name)).map(|meta| (meta.uid(), meta.mode() & 0o7777)).expect("there");
        assert_eq!(mode("mine"), (me, 0o4755));
        assert_eq!(mode("set-id").1 & 0o7000, 0);
        assert_eq!(mode("shut"), (me, 0));
        assert_eq!(attribute(&world.path("theirs"), "user.mine").expect("set"), b"1");
        assert!(acl(&world.path("theirs")).contains("user:4711:r--"));
        fs::set_permissions(world.path("shut"), fs::Permissions::from_mode(0o700)).expect("his own");
    });
}

#[test]
fn an_ordinary_user_restores_below_what_he_may_only_enter() {
    as_an_ordinary_user("an_ordinary_user_restores_below_what_he_may_only_enter", || {
        let world = World::new();
        fs::create_dir(world.path("his")).expect("made");
        fs::set_permissions(&world.target, fs::Permissions::from_mode(0o111)).expect("his own");
        let mut target = world.open(overwrite());
        made(&mut target, "his/file", &file(b"x"), b"x");
        made(&mut target, "his/link", &symlink("file"), b"");
        made(&mut target, "his/file", &file(b"y"), b"y");
        assert!(matches!(put(&mut target, "other", &file(b"x"), b"x"), Err(PutError::System { .. })));
        finish(target);
        fs::set_permissions(&world.target, fs::Permissions::from_mode(0o755)).expect("his own");
        assert_eq!(world.names(), ["his", "his/file", "his/link"]);
    });
}
