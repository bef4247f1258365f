//! Incremental archives: what directories had in them.

use std::fs;
use std::path::Path;

use restore::dumpdir::{Code, Dumpdir, Move};
use restore::member::Kind;

use crate::reading::{Memory, Read, read};
use crate::tree::tar;

fn dump(root: &Path, list: &Path, format: &str) -> Vec<Read> {
    let list = format!("--listed-incremental={}", list.display());
    let (members, damages) = read(Memory::new(&tar(root, &[&list, "--no-check-device", "--format", format, "."]), 900));
    assert_eq!(damages, []);
    members
}

fn dumpdir<'a>(members: &'a [Read], name: &str) -> Dumpdir<'a> {
    let directory = members.iter().find(|read| read.member.path == name.as_bytes()).expect("every directory is there");
    let Kind::Directory { dumpdir: Some(dumpdir) } = &directory.member.kind else { panic!("{name} has no dumpdir") };
    Dumpdir::parse(dumpdir).expect("GNU tar made it")
}

fn entries(members: &[Read], name: &str) -> Vec<(Code, String)> {
    dumpdir(members, name).entries().map(|entry| (entry.code, String::from_utf8_lossy(entry.name).into_owned())).collect()
}

#[test]
fn levels_say_what_every_directory_had() {
    for format in ["gnu", "posix"] {
        let world = tempfile::tempdir().unwrap();
        let (root, list) = (world.path().join("root"), world.path().join("list"));
        fs::create_dir_all(root.join("one/sub")).unwrap();
        fs::create_dir_all(root.join("two")).unwrap();
        fs::create_dir_all(root.join("three")).unwrap();
        for name in ["kept", "gone", "one/a", "one/sub/b", "two/c", "three/d"] {
            fs::write(root.join(name), name).unwrap();
            // Older than the first dump, as everything is that need not be in the second.
            crate::tree::set_time(&root.join(name), (1_000_000_000, 0));
        }
        let zero = dump(&root, &list, format);
        let here = |name: &str| (Code::Here, name.to_owned());
        let directory = |name: &str| (Code::Directory, name.to_owned());
        assert_eq!(entries(&zero, "./"), [here("gone"), here("kept"), directory("one"), directory("three"), directory("two")], "{format}");

        fs::remove_file(root.join("gone")).unwrap();
        fs::write(root.join("new"), "new").unwrap();
        fs::rename(root.join("one"), root.join("moved")).unwrap();
        fs::rename(root.join("two"), root.join("swap")).unwrap();
        fs::rename(root.join("three"), root.join("two")).unwrap();
        fs::rename(root.join("swap"), root.join("three")).unwrap();
        let one = dump(&root, &list, format);
        let root = entries(&one, "./");
        assert!(
            root.contains(&here("new"))
                && root.contains(&directory("moved"))
                && !root.iter().any(|(_, name)| name == "gone" || name == "one"),
            "{format}: {root:?}"
        );
        assert_eq!(entries(&one, "./moved/sub/").len(), 1);
        let moves: Vec<Move<'_>> = dumpdir(&one, "./").moves().collect();
        assert!(moves.contains(&Move::Rename { from: b"./one", to: b"./moved" }), "{format}: {moves:?}");
        assert!(moves.iter().any(|step| matches!(step, Move::Temporary(_))), "{format}: {moves:?}");
        assert!(
            moves.contains(&Move::Rename { from: b"./three", to: b"./two" })
                || moves.contains(&Move::Rename { from: b"./two", to: b"./three" }),
            "{moves:?}"
        );
    }
}

#[test]
fn a_directory_of_many_names_is_read() {
    for format in ["gnu", "posix"] {
        let world = tempfile::tempdir().unwrap();
        let root = world.path().join("root");
        fs::create_dir(&root).unwrap();
        for at in 0..5000 {
            fs::write(root.join(format!("{at:05} {}", "n".repeat(200))), "").unwrap();
        }
        assert_eq!(entries(&dump(&root, &world.path().join("list"), format), "./").len(), 5000, "{format}");
    }
}
