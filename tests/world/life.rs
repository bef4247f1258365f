//! What happens to a difficult tree between two backups: everything that an incremental dump has to see.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::path::Path;

use crate::torture::names;

/// Changes a torture tree as life does between two backups; `round` makes each time another one (1, 2, …).
///
/// # Panics
/// When the tree is not one of [`plant`](crate::torture::plant)'s, or the round was there already.
pub fn go_on(root: &Path, round: u32) {
    let at = |name: &str| root.join(name);
    let n = round as usize;
    let dir = |d: usize| format!("many/{:02}/{d:03}", d % 7);
    // Files: changed, of the same length with the time of before, emptied, removed, renamed, exchanged.
    fs::write(at(&format!("{}/file 001.txt", dir(n))), format!("changed in round {round}\n")).expect("there");
    let same = at(&format!("{}/file 002.txt", dir(n)));
    let meta = fs::metadata(&same).expect("there");
    let mut bytes = fs::read(&same).expect("there");
    bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
    fs::write(&same, bytes).expect("there");
    File::options().write(true).open(&same).and_then(|file| file.set_modified(meta.modified()?)).expect("there");
    File::create(at(&format!("{}/file 003.txt", dir(n)))).expect("there");
    fs::remove_file(at(&format!("{}/file 004.txt", dir(n)))).expect("there");
    fs::rename(at(&format!("{}/file 005.txt", dir(n))), at(&format!("{}/renamed in {round}", dir(n)))).expect("there");
    fs::rename(at(&format!("{}/file 006.txt", dir(n))), at(&format!("moved here in {round}"))).expect("there");
    let (one, two, aside) = (at(&format!("{}/file 007.txt", dir(n))), at(&format!("{}/file 008.txt", dir(n))), at("aside"));
    fs::rename(&one, &aside).and_then(|()| fs::rename(&two, &one)).and_then(|()| fs::rename(&aside, &two)).expect("there");
    // Directories: made, and one that was a file. Before any is removed: GNU tar takes a new directory that has got the inode of a
    // removed one for a renamed one, and cannot rename a directory to where a file is when it restores.
    fs::create_dir_all(at(&format!("made in {round}/empty"))).expect("a tree of our own");
    fs::write(at(&format!("made in {round}")).join(OsStr::from_bytes(b"\xff new \n")), "new\n").expect("a tree of our own");
    let was_file = at(&format!("{}/file 009.txt", dir(n)));
    fs::remove_file(&was_file).and_then(|()| fs::create_dir(&was_file)).expect("there");
    fs::write(was_file.join("inside"), "I was a file\n").expect("a tree of our own");
    // Removed with all in them, renamed in place, moved into another one.
    fs::remove_dir_all(at(&dir(10 + n))).expect("there");
    fs::rename(at(&dir(20 + n)), at(&format!("many/renamed in {round}"))).expect("there");
    fs::rename(at(&dir(30 + n)), at(&format!("{}/moved here in {round}", dir(40)))).expect("there");
    // A directory becomes a file, a file a link.
    fs::remove_dir_all(at(&dir(50 + n))).and_then(|()| fs::write(at(&dir(50 + n)), "I was a directory\n")).expect("there");
    let was_file = at(&format!("{}/file 010.txt", dir(n)));
    fs::remove_file(&was_file).and_then(|()| symlink("file 011.txt", &was_file)).expect("there");
    // Only what is around the bytes: mode, owner, one more name, one name less.
    fs::set_permissions(at(&format!("{}/file 012.txt", dir(n))), Permissions::from_mode(0o640 + round)).expect("there");
    lchown(at(&format!("{}/file 013.txt", dir(n))), Some(1000 + round), Some(2000)).expect("there");
    fs::hard_link(at("links/a/one"), at(&format!("links/name {round}"))).expect("there");
    if round == 1 {
        fs::remove_file(at("links/b/three")).expect("there");
        fs::remove_file(at("nodes/pipe")).expect("there");
    }
    odd_change(&at("odd"), round);
}

/// The names that programs stumble over change too.
fn odd_change(odd: &Path, round: u32) {
    for (n, name) in names().into_iter().enumerate() {
        let path = odd.join("files").join(OsStr::from_bytes(&name));
        match (n + round as usize) % 4 {
            0 => fs::write(&path, format!("round {round}\n")).expect("there"),
            1 if path.exists() => fs::remove_file(&path).expect("there"),
            _ => {}
        }
    }
}
