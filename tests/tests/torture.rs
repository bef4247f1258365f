//! The difficult tree and the comparison: what the tests of the tunnel stand on has to be true, with GNU tar alone and nothing of ours
//! or of Amanda's in between.

use std::fs;
use std::os::unix::fs::lchown;
use std::path::Path;
use std::time::Duration;

use asyncamanda_tests::compare::{self, ALL, OURS, STOCK};
use asyncamanda_tests::torture::Size;
use asyncamanda_tests::{child, life, torture, tree};

/// Dumps a tree into a file, over a snapshot that it takes forward, as our client has to do it.
fn dump(tree: &Path, snapshot: &Path, archive: &Path) {
    let mut tar = child::program("tar");
    tar.args(["--create", "--format=posix", "--xattrs", "--acls", "--one-file-system", "--sparse", "--listed-incremental"]).arg(snapshot);
    tar.arg("--file").arg(archive).arg("--directory").arg(tree).arg(".");
    child::must(tar);
}

#[test]
fn gnu_tar_carries_the_difficult_tree_and_all_that_happens_to_it() {
    let dir = tempfile::tempdir_in("/tmp").expect("a temporary directory");
    let (source, restored) = (dir.path().join("source"), dir.path().join("restored"));
    torture::plant(&source, 1, Size::Whole);
    assert!(compare::count(&source) > 10_000, "{} entries", compare::count(&source));
    fs::create_dir(&restored).expect("a directory of our own");
    for round in 0..3 {
        if round > 0 {
            life::go_on(&source, round);
        }
        let archive = dir.path().join(format!("level{round}.tar"));
        dump(&source, &dir.path().join("snapshot"), &archive);
        let mut tar = child::program("tar");
        tar.args(["--extract", "--preserve-permissions", "--numeric-owner", "--listed-incremental=/dev/null"]);
        tar.args(["--xattrs", "--xattrs-include=*", "--acls", "--file"]).arg(&archive).arg("--directory").arg(&restored);
        child::must(tar);
        compare::assert_equal(&source, &restored, OURS);
        if round > 0 {
            let (full, this) = (dir.path().join("level0.tar"), &archive);
            let size = |path: &Path| fs::metadata(path).expect("tar made it").len();
            assert!(size(this) < size(&full) / 4, "level {round} has {} bytes: that is no incremental dump", size(this));
        }
    }
}

#[test]
fn the_comparison_sees_what_only_some_archives_keep() {
    type Damage = fn(&Path);
    let damages: [(&str, bool, Damage); 6] = [
        ("a nanosecond", false, |copy| {
            let file = fs::File::options().write(true).open(copy.join("bulk")).expect("there");
            let time = file.metadata().and_then(|meta| meta.modified()).expect("there");
            file.set_modified(time + Duration::from_nanos(1)).expect("there");
        }),
        ("an attribute", false, |copy| {
            let path = copy.join("attributes/file");
            rustix::fs::lsetxattr(&path, "user.bytes", b"\0\xff\n=!", rustix::fs::XattrFlags::empty()).expect("it has one");
        }),
        ("an ACL", false, |copy| {
            let mut setfacl = child::program("setfacl");
            setfacl.arg("-b").arg(copy.join("attributes/inherits"));
            child::must(setfacl);
        }),
        ("holes", true, |copy| {
            let bytes = fs::read(copy.join("sparse")).expect("there");
            let meta = fs::metadata(copy.join("sparse")).expect("there");
            fs::write(copy.join("sparse"), bytes).expect("there");
            fs::File::options().write(true).open(copy.join("sparse")).and_then(|file| file.set_modified(meta.modified()?)).expect("there");
        }),
        ("an owner below a name that is no text", true, |copy| {
            let odd = fs::read_dir(copy.join("odd/files")).expect("there").flatten().find(|entry| entry.file_name().to_str().is_none());
            lchown(odd.expect("there").path(), Some(77), None).expect("root may");
        }),
        ("a fifo that became a file", true, |copy| {
            fs::remove_file(copy.join("nodes/fifo")).and_then(|()| fs::write(copy.join("nodes/fifo"), "")).expect("there");
        }),
    ];
    let dir = tempfile::tempdir_in("/tmp").expect("a temporary directory");
    let source = dir.path().join("source");
    torture::plant(&source, 2, Size::Small);
    let features = torture::features(&source);
    for (what, seen_by_all, damage) in damages {
        if what == "an attribute" && !features.attributes
            || what == "an ACL" && !features.acls
            || what == "a nanosecond" && !features.nanoseconds
        {
            eprintln!("not here: this file system has no {what}");
            continue;
        }
        let copy = torture::save(&source, &dir.path().join("copy"));
        compare::assert_equal(&source, &copy, ALL);
        damage(&copy);
        let nodes = fs::metadata(source.join("nodes")).and_then(|meta| meta.modified()).expect("there");
        fs::File::open(copy.join("nodes")).and_then(|dir| dir.set_modified(nodes)).expect("there");
        for exactness in [ALL, OURS] {
            let found = compare::differences(&source, &copy, exactness);
            assert_eq!(found.len(), 1, "{what}: {found:#?}");
        }
        assert_eq!(compare::differences(&source, &copy, STOCK).len(), usize::from(seen_by_all), "{what}");
        fs::remove_dir_all(&copy).expect("our own");
    }
    // A socket is no file, so that no archive has to bring it back.
    let copy = torture::save(&source, &dir.path().join("copy"));
    fs::remove_file(copy.join("nodes/socket")).expect("there");
    tree::set_age(&copy.join("nodes"), Duration::from_secs(60));
    tree::set_age(&source.join("nodes"), Duration::from_secs(60));
    assert!(compare::differences(&source, &copy, OURS).iter().all(|found| found.contains("\"nodes\"")));
    assert!(compare::differences(&source, &copy, ALL).iter().any(|found| found.contains("nodes/socket")));
}
