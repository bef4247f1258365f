//! Members that want to get out of the directory, one after the other, fed directly to the writer.

mod place_world;

use std::fs;
use std::os::unix::fs::symlink as link_to;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::unistd::geteuid;
use place_world::{World, at, body, cut, directory, file, made, member, overwrite, pieces, put, rules, symlink};
use restore::member::{Kind, Member};
use restore::place::{Fault, Put, PutError, Rules, Target};
use rustix::fs::{CWD, RenameFlags};

/// A trick: what an archive does, in a world.
type Trick = (&'static str, fn(&World, &mut Target));

fn refused(done: Result<Put, PutError>) -> PutError {
    done.expect_err("refused")
}

fn is_symlink(error: &PutError) -> bool {
    matches!(error, PutError::Symlink { .. })
}

const TRICKS: &[Trick] = &[
    ("an absolute name", |world, target| {
        let name = world.outside.join("new").display().to_string();
        assert!(matches!(refused(put(target, name, &file(b"x"), b"x")), PutError::Name(Fault::Absolute)));
    }),
    ("an absolute name with two slashes", |world, target| {
        let name = format!("/{}", world.outside.join("victim").display());
        assert!(matches!(refused(put(target, name, &file(b"x"), b"x")), PutError::Name(Fault::Absolute)));
    }),
    ("dots at the beginning", |_, target| {
        assert!(matches!(refused(put(target, "../outside/victim", &file(b"x"), b"x")), PutError::Name(Fault::Above)));
    }),
    ("dots behind a name that is there", |_, target| {
        made(target, "a", &directory(), b"");
        assert!(matches!(refused(put(target, "a/../../outside/victim", &file(b"x"), b"x")), PutError::Name(Fault::Above)));
    }),
    ("dots at the end of a directory's name", |_, target| {
        made(target, "a", &directory(), b"");
        assert!(matches!(refused(put(target, "a/../..", &directory(), b"")), PutError::Name(Fault::Above)));
    }),
    ("nothing between two slashes", |_, target| {
        assert!(matches!(refused(put(target, "a//b", &file(b"x"), b"x")), PutError::Name(Fault::Odd)));
    }),
    ("a NUL, behind which the system sees nothing", |_, target| {
        assert!(matches!(refused(put(target, "good\0/../../outside/victim", &file(b"x"), b"x")), PutError::Name(_)));
        assert!(matches!(refused(put(target, "victim\0", &file(b"x"), b"x")), PutError::Name(Fault::Nul)));
    }),
    ("names that are too long", |_, target| {
        assert!(matches!(refused(put(target, [b'x'; 256], &file(b"x"), b"x")), PutError::Name(Fault::Long)));
        assert!(matches!(refused(put(target, b"x/".repeat(20_000), &file(b"x"), b"x")), PutError::Name(Fault::Long)));
    }),
    ("a link to the outside, then a file through it", |world, target| {
        made(target, "a", &symlink(&world.outside), b"");
        assert!(is_symlink(&refused(put(target, "a/victim", &file(b"x"), b"x"))));
        assert!(is_symlink(&refused(put(target, "a/new", &file(b"x"), b"x"))));
    }),
    ("a link to the directory above", |_, target| {
        made(target, "up", &symlink(".."), b"");
        assert!(is_symlink(&refused(put(target, "up/outside/victim", &file(b"x"), b"x"))));
        assert!(is_symlink(&refused(target.is_there(&at("up/outside/victim")).map(|_| Put::Made(vec![])))));
    }),
    ("a link to a link to the outside", |world, target| {
        made(target, "b", &symlink(&world.outside), b"");
        made(target, "a", &symlink("b/sub"), b"");
        assert!(is_symlink(&refused(put(target, "a/new", &file(b"x"), b"x"))));
        assert!(is_symlink(&refused(put(target, "b/sub/deeper/new", &file(b"x"), b"x"))));
    }),
    ("a link to the outside, then a directory with its name", |world, target| {
        let open = Member { mode: 0o777, owner: (4711, vec![]), ..directory() };
        made(target, "a/b", &symlink(&world.outside), b"");
        let again = put(target, "a/b", &open, b"");
        // With --overwrite there is a directory now, and the link is gone.
        assert_eq!(again.is_ok(), world.path("a/b").is_dir() && !world.path("a/b").is_symlink());
    }),
    ("a link to a file outside, then a file with its name", |world, target| {
        made(target, "a", &symlink(world.outside.join("victim")), b"");
        put(target, "a", &file(b"evil"), b"evil").expect("kept, or the link is replaced");
    }),
    ("a link whose owner, time and attributes are those of what it leads to", |world, target| {
        let link = Member {
            owner: (4711, vec![]),
            mode: 0o4777,
            mtime: (1, 1),
            acl_access: Some(b"user::rwx,group::rwx,other::rwx".to_vec()),
            ..symlink(world.outside.join("victim"))
        };
        put(target, "a", &link, b"").expect("made");
    }),
    ("a directory, then a link with its name, then a file in it", |world, target| {
        made(target, "a", &directory(), b"");
        assert!(matches!(refused(put(target, "a", &symlink(&world.outside), b"")), PutError::Directory));
        made(target, "a/new", &file(b"x"), b"x");
    }),
    ("a hard link to an absolute name", |world, target| {
        let name = world.outside.join("victim").display().to_string();
        refused(target.link(&at("a"), &at(name)));
    }),
    ("a hard link to above", |_, target| {
        refused(target.link(&at("a"), &at("../outside/victim")));
        made(target, "d", &directory(), b"");
        refused(target.link(&at("a"), &at("d/../../outside/victim")));
    }),
    ("a hard link through a link", |world, target| {
        made(target, "d", &symlink(&world.outside), b"");
        refused(target.link(&at("a"), &at("d/victim")));
    }),
    ("a hard link to a link to the outside, and a file over it", |world, target| {
        made(target, "l", &symlink(world.outside.join("victim")), b"");
        assert_eq!(target.link(&at("a"), &at("l")).expect("another name of the link"), Put::Made(vec![]));
        put(target, "a", &file(b"evil"), b"evil").expect("kept, or the link is replaced");
    }),
    ("a hard link to what was there, and a file over it", |world, target| {
        fs::hard_link(world.outside.join("victim"), world.path("mine")).expect("the user's own");
        assert!(matches!(refused(target.link(&at("a"), &at("mine"))), PutError::NotMade { .. }));
        put(target, "mine", &file(b"evil"), b"evil").expect("kept or replaced");
        fs::remove_file(world.path("mine")).expect("the world as it was");
    }),
    ("a link of the user's own on the way", |world, target| {
        link_to(&world.outside, world.path("Music")).expect("the user's own");
        assert!(is_symlink(&refused(put(target, "Music/new", &file(b"x"), b"x"))));
        assert!(is_symlink(&refused(put(target, "Music/sub/victim", &directory(), b""))));
    }),
    ("a name like that of what is not finished", |_, target| {
        let name = ".asyncamanda-restore-0123456789abcdef";
        assert!(matches!(refused(put(target, name, &symlink("../outside"), b"")), PutError::Name(Fault::Ours)));
        assert!(matches!(refused(put(target, format!("{name}/1"), &file(b""), b"")), PutError::Name(Fault::Ours)));
    }),
    ("content beyond the end, or before what there was", |_, target| {
        for wrong in [&[(0, &b"four+"[..])][..], &[(3, b"12")], &[(u64::MAX, b"1")], &[(2, b"12"), (0, b"1")]] {
            let done = target.put(&at("a"), &file(b"four"), &mut pieces(wrong));
            assert!(matches!(refused(done), PutError::Body(_)));
        }
    }),
    ("a file so long that no disk has it", |_, target| {
        let huge = Member { size: u64::MAX, ..file(b"") };
        refused(target.put(&at("huge"), &huge, &mut pieces(&[(u64::MAX - 1, b"1")])));
        assert_eq!(target.is_there(&at("huge")).expect("looked"), None);
    }),
    ("a file that breaks off over one that is there", |world, target| {
        fs::write(world.path("a"), "old").expect("the user's own");
        let done = target.put(&at("a"), &file(b"evil"), &mut cut(b"ev"));
        assert!(matches!(done, Ok(Put::Kept { is_same: false }) | Err(PutError::Body(_))));
        assert_eq!(fs::read(world.path("a")).expect("there"), b"old");
    }),
    ("the owner whose number means: as it is", |_, target| {
        let nobodys = Member { owner: (u32::MAX, vec![]), group: (u32::MAX, vec![]), mode: 0o6755, ..file(b"") };
        put(target, "a", &nobodys, b"").expect("made");
    }),
    ("the directory itself", |world, target| {
        let before = fs::metadata(&world.target).expect("there");
        assert!(matches!(refused(put(target, "", &file(b"x"), b"x")), PutError::Directory));
        assert!(matches!(refused(put(target, ".", &symlink(&world.outside), b"")), PutError::Directory));
        assert_eq!(fs::metadata(&world.target).expect("there").permissions(), before.permissions());
    }),
    ("things that nobody can make", |_, target| {
        for kind in [Kind::Other(b'V'), Kind::Other(0), Kind::Link(b"/etc/passwd".to_vec())] {
            assert!(matches!(put(target, "a", &member(kind), b"").expect("answered"), Put::Skipped(_)));
        }
    }),
];

fn nothing_gets_out(rules: Rules) {
    assert!(TRICKS.len() >= 25);
    for (name, trick) in TRICKS {
        let world = World::new();
        let before = world.seen_outside();
        let mut target = world.open(rules);
        trick(&world, &mut target);
        drop(target.finish());
        assert_eq!(world.seen_outside(), before, "{name}");
        assert!(!world.names().iter().any(|name| name.contains(".asyncamanda")), "{name}: {:?}", world.names());
    }
}

#[test]
fn no_trick_touches_what_is_outside() {
    nothing_gets_out(rules());
}

#[test]
fn none_with_overwrite_either() {
    nothing_gets_out(overwrite());
}

#[test]
fn nor_as_an_ordinary_user() {
    place_world::as_an_ordinary_user("nor_as_an_ordinary_user", || {
        assert!(!geteuid().is_root());
        nothing_gets_out(rules());
        nothing_gets_out(overwrite());
    });
}

/// Swaps two names of a directory as fast as possible while something else is done.
fn while_swapped(world: &World, one: &str, other: &str, mut done: impl FnMut()) {
    let stop = AtomicBool::new(false);
    let swap = || rustix::fs::renameat_with(CWD, world.path(one), CWD, world.path(other), RenameFlags::EXCHANGE);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // One of them may be replaced at this moment.
                let _again = swap();
            }
        });
        done();
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_directory_that_somebody_swaps_for_a_link_leads_nowhere() {
    for rules in [rules(), overwrite()] {
        let world = World::new();
        let before = world.seen_outside();
        fs::create_dir_all(world.path("home/docs")).expect("made");
        link_to(&world.outside, world.path("home/other")).expect("linked");
        while_swapped(&world, "home/docs", "home/other", || {
            for number in 0..200 {
                // Each opens its directories anew.
                let mut target = world.open(rules);
                for path in [format!("home/docs/{number}"), format!("home/docs/sub/{number}"), "home/docs/victim".to_owned()] {
                    match target.put(&at(path), &file(b"x"), &mut body(b"x")) {
                        Ok(_) | Err(PutError::Symlink { .. } | PutError::NoDirectory { .. }) => {}
                        // Between two looks it was something else.
                        Err(PutError::System { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                let _the_link_may_be_in_the_way = target.put(&at("home/docs/sub"), &directory(), &mut body(b""));
                let _as_well = target.link(&at("home/docs/linked"), &at(format!("home/docs/{number}")));
                drop(target);
            }
        });
        assert_eq!(world.seen_outside(), before);
    }
}

#[test]
fn a_file_that_somebody_swaps_for_a_link_is_not_written_through() {
    let world = World::new();
    let before = world.seen_outside();
    fs::write(world.path("a"), "").expect("written");
    link_to(world.outside.join("victim"), world.path("b")).expect("linked");
    while_swapped(&world, "a", "b", || {
        let mut target = world.open(overwrite());
        for _ in 0..500 {
            let done = put(&mut target, "a", &Member { mode: 0o666, ..file(b"evil") }, b"evil");
            assert!(matches!(done, Ok(Put::Made(_))), "{done:?}");
            let linked = put(&mut target, "b", &symlink(world.outside.join("victim")), b"");
            assert!(matches!(linked, Ok(Put::Made(_))), "{linked:?}");
        }
    });
    assert_eq!(world.seen_outside(), before);
}
