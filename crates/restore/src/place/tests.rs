//! File systems that know less, and what killed restores leave behind.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use super::*;

struct Content(Option<&'static [u8]>);

impl Body for Content {
    fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        Ok(self.0.take().map(|bytes| (0, bytes)))
    }
}

fn file() -> Member {
    Member {
        path: Vec::new(),
        kind: Kind::File,
        mode: 0o640,
        owner: (nix::unistd::geteuid().as_raw(), Vec::new()),
        group: (nix::unistd::getegid().as_raw(), Vec::new()),
        mtime: (5, 6),
        atime: None,
        size: 3,
        xattrs: Vec::new(),
        acl_access: None,
        acl_default: None,
    }
}

fn put(target: &mut Target, at: &str) -> Result<Put, PutError> {
    target.put(&PathBytes::new(at.as_bytes()), &file(), &mut Content(Some(b"new")))
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).expect("listed").map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn without_nameless_files_they_are_made_in_a_stage() {
    for (has_proc, overwrite) in [(false, false), (true, false), (false, true), (true, true)] {
        let dir = tempfile::tempdir().expect("directory");
        fs::write(dir.path().join("old"), "old").expect("written");
        let mut target = Target::open(dir.path(), Rules { overwrite, ..Rules::of_this_process() }).expect("opens");
        target.has_proc = has_proc;
        target.dirs.root.has_no_tmpfile();
        assert_eq!(put(&mut target, "a").expect("put"), Put::Made(Vec::new()));
        let old = if overwrite { Put::Made(Vec::new()) } else { Put::Kept { is_same: false } };
        assert_eq!(put(&mut target, "old").expect("put"), old);
        assert!(target.finish().unsure.is_none());
        assert_eq!(names(dir.path()), ["a", "old"]);
        let meta = fs::metadata(dir.path().join("a")).expect("there");
        assert_eq!((meta.len(), meta.mtime(), meta.mode() & 0o7777), (3, 5, 0o640));
        assert_eq!(fs::read(dir.path().join("old")).expect("read"), if overwrite { b"new" } else { b"old" });
    }
}

#[test]
fn what_a_killed_restore_left_is_swept_and_nothing_else_is() {
    let dir = tempfile::tempdir().expect("directory");
    let make = |name: &str, mode| {
        let path = dir.path().join(name);
        fs::create_dir(&path).expect("made");
        fs::write(path.join("1"), "half").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
        path
    };
    make(".asyncamanda-restore-0000000000000001", 0o700);
    make(".asyncamanda-restore-open000000000000", 0o700);
    make(".asyncamanda-restore-0000000000000003", 0o755);
    let full = make(".asyncamanda-restore-0000000000000004", 0o700);
    fs::create_dir(full.join("something")).expect("made");
    fs::write(dir.path().join(".asyncamanda-restore-0000000000000005"), "a file").expect("written");
    std::os::unix::fs::symlink("..", dir.path().join(".asyncamanda-restore-0000000000000006")).expect("linked");
    let alive = make(".asyncamanda-restore-0000000000000007", 0o700);
    let lock = fs::File::open(&alive).expect("opens");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).expect("locked");
    let mut stays = vec!["0000000000000003", "0000000000000004", "0000000000000005", "0000000000000006", "0000000000000007"];
    if nix::unistd::geteuid().is_root() {
        chown(make(".asyncamanda-restore-0000000000000008", 0o700), Some(4711), None).expect("given away");
        stays.push("0000000000000008");
    }
    stays.push("open000000000000");
    drop(Target::open(dir.path(), Rules::of_this_process()).expect("opens"));
    assert_eq!(names(dir.path()), stays.iter().map(|digits| format!(".asyncamanda-restore-{digits}")).collect::<Vec<_>>());
    assert_eq!(names(&alive), ["1"]);
}

#[test]
fn a_stage_goes_with_its_restore_finished_or_not() {
    let dir = tempfile::tempdir().expect("directory");
    let mut target = Target::open(dir.path(), Rules::of_this_process()).expect("opens");
    let link = Member { kind: Kind::Symlink(b"to".to_vec()), ..file() };
    target.put(&PathBytes::new(b"link"), &link, &mut Content(None)).expect("put");
    let staged: Vec<String> = names(dir.path());
    assert!(staged.len() == 2 && stage::is_name(staged[0].as_bytes()), "{staged:?}");
    // Beside a restore that lives, another one takes nothing of it away.
    drop(Target::open(dir.path(), Rules::of_this_process()).expect("opens"));
    assert_eq!(names(dir.path()), staged);
    drop(target);
    assert_eq!(names(dir.path()), ["link"]);
}

#[test]
fn a_directory_that_cannot_be_the_one_we_made_is_not_taken_for_it() {
    let dir = tempfile::tempdir().expect("directory");
    let rules = Rules { as_root: true, ..Rules::of_this_process() };
    let mut target = Target::open(dir.path(), rules).expect("opens");
    fs::create_dir_all(dir.path().join("theirs/full")).expect("made");
    let mut made = dirs::Made::default();
    assert!(!target.dirs.make(b"theirs", &mut made).expect("opens").is_made);
    assert!(target.dirs.make(b"ours/too", &mut made).expect("made").is_made);
    assert_eq!(made.paths, [b"ours".to_vec(), b"ours/too".to_vec()]);
}

#[test]
fn a_directory_that_was_there_has_its_time_again_when_something_was_put_into_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789);
    let set = |name: &str| std::fs::File::open(dir.path().join(name)).and_then(|dir| dir.set_modified(old)).expect("ours");
    std::fs::create_dir_all(dir.path().join("there/too")).expect("ours");
    std::fs::create_dir(dir.path().join("untouched")).expect("ours");
    ["there/too", "there", ""].into_iter().for_each(set);
    let changed = |name: &str| std::fs::metadata(dir.path().join(name)).and_then(|meta| meta.modified()).expect("there");
    let untouched = changed("untouched");
    let mut target = Target::open(dir.path(), Rules::of_this_process()).expect("opens");
    for at in ["there/file", "there/made/file", "there/too/deep/er/file", "file"] {
        let put = put(&mut target, at);
        assert!(matches!(put, Ok(Put::Made(_))), "{at}: {put:?}");
    }
    assert_ne!(changed("there"), old, "it changed meanwhile");
    let finished = target.finish();
    assert!(finished.remarks.is_empty(), "{finished:?}");
    for name in ["there", "there/too", ""] {
        assert_eq!(changed(name), old, "{name}");
    }
    assert_eq!(changed("untouched"), untouched);
}
