//! Archives that want to get out, through everything: the reader of archives, the job and the writer. Made of raw headers, as no tar would make
//! them. Nothing outside the target is touched, what is there stays, and the good members around the trick come back.

mod kit;
mod place_world;

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use kit::history::{Client, History, Made};
use kit::{depot, state, wish};
use place_world::{World, overwrite, rules};
use restore::job::Outcome;
use restore::place::{Rules, Target};
use wire::restore::Packing;

/// One header of 512 bytes, ustar, with these bytes as they are.
fn header(name: &[u8], kind: u8, link: &[u8], size: &[u8; 12]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    let raw = header.as_mut_bytes();
    raw[..name.len()].copy_from_slice(name);
    raw[100..108].copy_from_slice(b"0000755\0");
    raw[108..116].copy_from_slice(b"0000000\0");
    raw[116..124].copy_from_slice(b"0000000\0");
    raw[124..136].copy_from_slice(size);
    raw[136..148].copy_from_slice(b"07000000000\0");
    raw[156] = kind;
    raw[157..157 + link.len()].copy_from_slice(link);
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn octal(size: usize) -> [u8; 12] {
    format!("{size:011o}\0").into_bytes().try_into().expect("twelve")
}

fn padded(content: &[u8]) -> Vec<u8> {
    let mut blocks = content.to_vec();
    blocks.resize(content.len().next_multiple_of(512), 0);
    blocks
}

/// A member with content.
fn entry(name: &str, kind: u8, content: &[u8]) -> Vec<u8> {
    [header(name.as_bytes(), kind, b"", &octal(content.len())), padded(content)].concat()
}

fn file(name: &str) -> Vec<u8> {
    entry(name, b'0', b"evil")
}

fn link(name: &str, kind: u8, to: impl AsRef<Path>) -> Vec<u8> {
    header(name.as_bytes(), kind, std::os::unix::ffi::OsStrExt::as_bytes(to.as_ref().as_os_str()), &octal(0))
}

/// The header of a pax archive that changes the next member's.
fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let length = (rest..).find(|length| rest + length.to_string().len() == *length).expect("there is one");
        body.extend(format!("{length} {key}=").into_bytes());
        body.extend_from_slice(value);
        body.push(b'\n');
    }
    entry("./PaxHeaders/x", b'x', &body)
}

/// A name that is too long for a header, as GNU tar keeps it.
fn long(kind: u8, name: &[u8]) -> Vec<u8> {
    entry("././@LongLink", kind, name)
}

/// The list of a directory: codes and names, ended by an empty one.
fn dumpdir(name: &str, records: &[&[u8]]) -> Vec<u8> {
    let mut body: Vec<u8> = records.iter().flat_map(|record| [record, &b"\0"[..]].concat()).collect();
    body.push(0);
    entry(name, b'D', &body)
}

/// A trick, and whether members behind it can be told from what it says.
type Trick = (&'static str, bool, fn(&World) -> Vec<Vec<u8>>);

const TRICKS: &[Trick] = &[
    ("an absolute name", true, |world| vec![file(&world.outside.join("victim").display().to_string())]),
    ("dots in front", true, |_| vec![file("../outside/victim"), file("./../outside/new")]),
    ("dots in the middle", true, |_| vec![file("./docs/../../outside/victim")]),
    ("a link, and a file through it", true, |world| vec![link("./l", b'2', &world.outside), file("./l/victim"), file("./l/new")]),
    ("a link to above, and a file through it", true, |_| vec![link("./l", b'2', ".."), file("./l/outside/victim")]),
    ("a link to a link", true, |world| {
        vec![link("./l1", b'2', &world.outside), link("./l2", b'2', "l1/sub"), file("./l2/new"), file("./l2/../victim")]
    }),
    ("a link, and a directory with its name", true, |world| {
        vec![link("./l", b'2', &world.outside), entry("./l/", b'5', b""), file("./l/victim")]
    }),
    ("a directory, a link with its name, and a file in it", true, |world| {
        vec![entry("./d/", b'5', b""), link("./d", b'2', &world.outside), file("./d/new")]
    }),
    ("a link in the place of the disk's own directory", true, |world| {
        vec![link("./", b'2', &world.outside), link(".", b'2', &world.outside), file("./victim")]
    }),
    ("a file with content, and a link in its place before", true, |world| {
        vec![link("./f", b'2', world.outside.join("victim")), file("./f")]
    }),
    ("a hard link to above, and a file over it", true, |_| vec![link("./h", b'1', "../outside/victim"), file("./h")]),
    ("a hard link to an absolute name", true, |world| vec![link("./h", b'1', world.outside.join("victim")), file("./h")]),
    ("a hard link through a link", true, |world| vec![link("./l", b'2', &world.outside), link("./h", b'1', "./l/victim"), file("./h")]),
    ("a hard link to what the user has", true, |_| vec![link("./h", b'1', "./mine"), file("./h")]),
    ("a hard link to itself, and two to each other", true, |_| {
        vec![link("./h", b'1', "./h"), link("./h1", b'1', "./h2"), link("./h2", b'1', "./h1")]
    }),
    ("a long name of pax that is another one", true, |_| vec![pax(&[("path", b"../outside/new")]), file("./harmless")]),
    ("a long name of pax that is absolute", true, |world| {
        let name = world.outside.join("new").display().to_string();
        vec![pax(&[("path", name.as_bytes())]), file("./harmless")]
    }),
    ("a long link of pax", true, |_| vec![pax(&[("linkpath", b"../outside/victim")]), link("./h", b'1', "./docs/good"), file("./h")]),
    ("a name of pax with a NUL", true, |_| vec![pax(&[("path", b"./x\0/../../outside/new")]), file("./harmless")]),
    ("a long name of GNU tar", true, |_| {
        vec![long(b'L', b"../outside/new\0"), file("./harmless"), long(b'K', b"../outside/victim\0"), link("./h", b'1', "./x")]
    }),
    ("names that no system has", true, |_| {
        let (name, deep) = ([b"./".as_slice(), &[b'n'; 300]].concat(), [b"./".as_slice(), &b"d/".repeat(20_000)].concat());
        vec![pax(&[("path", &name)]), file("./x"), pax(&[("path", &deep)]), file("./x")]
    }),
    ("the name of what an unfinished restore leaves", true, |world| {
        vec![link("./.asyncamanda-restore-0123456789abcdef", b'2', &world.outside), file("./.asyncamanda-restore-0123456789abcdef/victim")]
    }),
    ("attributes for what a link leads to", true, |world| {
        let records: &[(&str, &[u8])] = &[
            ("SCHILY.xattr.user.evil", b"1"),
            ("SCHILY.xattr.security.capability", b"\x01\0\0\x02\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0"),
            ("SCHILY.acl.access", b"user::rwx,group::rwx,other::rwx"),
            ("uid", b"4711"),
            ("mtime", b"1.5"),
        ];
        vec![pax(records), link("./l", b'2', world.outside.join("victim"))]
    }),
    ("numbers that nobody has", true, |_| {
        vec![pax(&[("uid", b"4294967295"), ("gid", b"-1"), ("mtime", b"99999999999999999999")]), file("./n")]
    }),
    ("a list of renames that lead away", true, |_| {
        vec![
            dumpdir(
                "./",
                &[b"Ddocs", b"R../outside", b"Tdocs/taken", b"R./mine", b"T../outside/new", b"X../outside", b"Y../outside/victim"],
            ),
            dumpdir("./docs/", &[]),
        ]
    }),
    ("a list that has nothing, where the user has something", true, |_| vec![dumpdir("./", &[]), dumpdir("./docs/", &[])]),
    ("things that are none", true, |_| {
        vec![entry("./v", b'V', b""), link("./s", b'7', ""), entry("./q", b'Q', b"x"), entry("./m", b'M', b"x"), entry("./nul", 0, b"x")]
    }),
    ("old names of GNU tar that rename", true, |_| vec![entry("././@Names", b'N', b"Rename docs/good to ../outside/new\n")]),
    ("a file that ends before itself", false, |_| vec![header(b"./neg", b'0', b"", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xf0")]),
    ("a file longer than all", false, |_| vec![header(b"./huge", b'0', b"", b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff")]),
    ("a pax header longer than all", true, |_| vec![header(b"./PaxHeaders/x", b'x', b"", b"77777777777\0")]),
    ("holes beyond the end of a file", true, |_| {
        let map = padded(b"2\n0\n4\n9223372036854775807\n4\n");
        let content = [map.as_slice(), b"evilevil"].concat();
        let records: &[(&str, &[u8])] = &[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"../outside/new"),
            ("GNU.sparse.realsize", b"8"),
        ];
        vec![pax(records), entry("./GNUSparseFile.0/x", b'0', &content)]
    }),
];

/// Puts a trick between good members.
fn archive(world: &World, trick: fn(&World) -> Vec<Vec<u8>>) -> Vec<u8> {
    let good = |name: &str| entry(name, b'0', b"good");
    let mut archive = [entry("./docs/", b'5', b""), good("./docs/good"), good("./first")].concat();
    archive.extend(trick(world).concat());
    archive.extend(good("./docs/last"));
    archive.extend([0; 1024]);
    archive
}

fn history(archives: &[Vec<u8>], packing: Packing) -> History {
    let mut history = History::new(Client::Ours);
    history.packing = packing;
    for (number, bytes) in archives.iter().enumerate() {
        let path = history.path(&format!("hostile{number}.tar"));
        fs::write(&path, bytes).expect("written");
        let level = u8::try_from(number).expect("few");
        history.dumps.push(Made { level, chain: (0..=number).collect(), archive: path, copy: history.disk() });
    }
    history
}

fn run(world: &World, history: &History, wished: &[(&str, &str)], rules: Rules) -> Outcome {
    let wishes: Vec<_> = wished.iter().map(|(path, at)| wish(path, at)).collect();
    let mut depot = depot::start(history, depot::Faults::default());
    let target = Target::open(&world.target, rules).expect("a directory");
    let last = history.dumps.len() - 1;
    restore::job::restore(&mut depot, &state(history, last), &wishes, target, &mut (), &AtomicBool::new(false))
}

/// The user has some things there already.
fn lived_in() -> World {
    let world = World::new();
    fs::create_dir(world.path("docs")).expect("made");
    for name in ["mine", "docs/mine"] {
        fs::write(world.path(name), "mine").expect("written");
    }
    world
}

fn read(world: &World, name: &str) -> Option<Vec<u8>> {
    fs::read(world.path(name)).ok()
}

#[test]
fn no_archive_touches_what_is_outside() {
    assert!(TRICKS.len() >= 15);
    for (name, is_passed, trick) in TRICKS {
        for (rules, packing) in [(rules(), Packing::Plain), (overwrite(), Packing::Gzip)] {
            let world = lived_in();
            let before = world.seen_outside();
            let history = history(&[archive(&world, *trick)], packing);
            let outcome = run(&world, &history, &[("", "")], rules);
            assert_eq!(world.seen_outside(), before, "{name}");
            assert_eq!(read(&world, "docs/good").as_deref(), Some(&b"good"[..]), "{name}: {outcome:#?}");
            assert_eq!(read(&world, "docs/last").is_some(), *is_passed, "{name}: {outcome:#?}");
            for mine in ["mine", "docs/mine"] {
                assert_eq!(read(&world, mine).as_deref(), Some(&b"mine"[..]), "{name}");
            }
            assert!(!world.names().iter().any(|name| name.contains(".asyncamanda")), "{name}: {:?}", world.names());
        }
    }
}

#[test]
fn nor_does_one_of_which_only_a_part_is_wanted() {
    for (name, _, trick) in TRICKS {
        let world = lived_in();
        let before = world.seen_outside();
        let history = history(&[archive(&world, *trick)], Packing::Frames);
        run(&world, &history, &[("docs/good", "new/good"), ("l", "l"), ("h", "h"), ("d", "d")], rules());
        assert_eq!(world.seen_outside(), before, "{name}");
        assert_eq!(read(&world, "mine").as_deref(), Some(&b"mine"[..]), "{name}");
    }
}

#[test]
fn nor_do_two_dumps_together() {
    // A list of the second dump speaks of what is in the first.
    let lists: &[&[&[u8]]] = &[
        &[b"Ddocs", b"N../outside/victim", b"Nfirst"],
        &[b"Ddocs", b"Nmine", b"N/etc/passwd", b"D..", b"D../outside"],
        &[b"Ddocs", b"R../outside", b"Tdocs/sub", b"Rdocs", b"T../outside/sub"],
        &[b"Ddocs", b"R", b"Tdocs", b"Rdocs", b"T", b"Nfirst"],
        &[b"Ndocs", b"N", b"Y.", b"Y..", b"Nfirst\n../outside/new"],
    ];
    for list in lists {
        for (name, _, trick) in TRICKS.iter().filter(|(_, is_passed, _)| *is_passed) {
            let world = lived_in();
            let before = world.seen_outside();
            let docs = dumpdir("./docs/", &[b"Ngood", b"N../../outside/victim", b"Nlast"]);
            let second = [dumpdir("./", list), docs, vec![0; 1024]].concat();
            let history = history(&[archive(&world, *trick), second], Packing::Plain);
            run(&world, &history, &[("", "")], overwrite());
            assert_eq!(world.seen_outside(), before, "{name} {list:?}");
            assert_eq!(read(&world, "docs/mine").as_deref(), Some(&b"mine"[..]), "{list:?}");
        }
    }
}

#[test]
fn nor_as_an_ordinary_user() {
    place_world::as_an_ordinary_user("nor_as_an_ordinary_user", || {
        for (name, _, trick) in TRICKS {
            let world = lived_in();
            let before = world.seen_outside();
            let history = history(&[archive(&world, *trick)], Packing::Zstd);
            run(&world, &history, &[("", "")], overwrite());
            assert_eq!(world.seen_outside(), before, "{name}");
            assert_eq!(read(&world, "docs/good").as_deref(), Some(&b"good"[..]), "{name}");
        }
    });
}
