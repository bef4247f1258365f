//! Trees of files, and what GNU tar makes of them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, mknodat, setxattr, utimensat};

/// Runs GNU tar in a directory and returns the archive.
pub fn tar(directory: &Path, args: &[&str]) -> Vec<u8> {
    let out = Command::new("tar")
        .current_dir(directory)
        .env("LC_ALL", "C")
        .args(["--create", "--file=-"])
        .args(args)
        .output()
        .expect("GNU tar is there");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

pub fn set_time(path: &Path, mtime: (i64, i64)) {
    let time = |(tv_sec, tv_nsec)| Timespec { tv_sec, tv_nsec };
    let times = Timestamps { last_access: time((1_600_000_000, 5)), last_modification: time(mtime) };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).expect("it is ours");
}

/// What any format can hold.
pub fn simple(root: &Path) {
    fs::create_dir_all(root.join("d/e")).unwrap();
    fs::write(root.join("empty"), "").unwrap();
    fs::write(root.join("d/small"), "some words\n").unwrap();
    fs::write(root.join("d/block"), vec![7; 512]).unwrap();
    fs::write(root.join("d/e/large"), (0..700_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>()).unwrap();
    fs::hard_link(root.join("d/small"), root.join("d/twin")).unwrap();
    symlink("d/small", root.join("link")).unwrap();
    fs::set_permissions(root.join("d/block"), fs::Permissions::from_mode(0o4751)).unwrap();
    fs::set_permissions(root.join("d/e"), fs::Permissions::from_mode(0o1777)).unwrap();
    for (name, mtime) in [("empty", 0), ("d/small", 1_700_000_000), ("link", 1_234_567_890), ("d/e", 1_300_000_000)] {
        set_time(&root.join(name), (mtime, 0));
    }
}

/// What only GNU tar's own format and posix can hold; for both of them but extended attributes.
pub fn strange(root: &Path) {
    let long = root.join("n".repeat(200)).join("m".repeat(150));
    fs::create_dir_all(&long).unwrap();
    fs::write(long.join("l".repeat(255)), "long").unwrap();
    fs::write(root.join("x".repeat(100)), "a name that fills its field").unwrap();
    symlink("t".repeat(300), root.join("long link")).unwrap();
    fs::hard_link(long.join("l".repeat(255)), root.join("twin of long")).unwrap();
    for name in [&b"\xff\xfe not UTF-8"[..], b"a\nb", b"back\\slash", b"\x1b[31m", b" ", b"-f", b"=", "ö".as_bytes()] {
        fs::write(root.join(OsStr::from_bytes(name)), name).unwrap();
    }
    let kinds = [
        ("fifo", FileType::Fifo, 0),
        ("null", FileType::CharacterDevice, rustix::fs::makedev(1, 3)),
        ("loop", FileType::BlockDevice, rustix::fs::makedev(259, 70_000)),
    ];
    for (name, kind, device) in kinds {
        mknodat(CWD, root.join(name), kind, Mode::from_raw_mode(0o640), device).expect("tests run as root");
    }
    std::os::unix::fs::chown(root.join("a\nb"), Some(3_000_000_000), Some(2_500_000)).unwrap();
    set_time(&root.join("-f"), (-86_400, 0));
    sparse(&root.join("sparse"), 3, 3 << 20);
    sparse(&root.join("many holes"), 60, 2 << 20);
    fs::File::create(root.join("only a hole")).unwrap().set_len(1 << 20).unwrap();
}

/// A file with data here and there, a hole at its end.
pub fn sparse(path: &Path, extents: u64, length: u64) {
    let file = fs::File::create(path).unwrap();
    for at in 0..extents {
        file.write_all_at(format!("extent {at}").as_bytes(), at * (length / extents) + 8192).unwrap();
    }
    file.set_len(length).unwrap();
}

/// What only posix can hold.
pub fn posix(root: &Path) {
    let file = root.join("attributes");
    fs::write(&file, "x").unwrap();
    for (name, value) in [("user.plain", &b"value"[..]), ("user.odd=name%", b"a\nb=c\0\xff"), ("trusted.t", b"t"), ("security.s", b"s")] {
        setxattr(&file, name, value, XattrFlags::empty()).expect("the file system has attributes");
    }
    let acl = |args: &[&str]| assert!(Command::new("setfacl").args(args).current_dir(root).status().expect("setfacl is there").success());
    acl(&["-m", "u:1234:rw,g:77:r", "attributes"]);
    fs::create_dir(root.join("by default")).unwrap();
    acl(&["-d", "-m", "u:1234:rwx", "by default"]);
    set_time(&root.join("attributes"), (1_700_000_000, 123_456_789));
    fs::write(root.join("old"), "").unwrap();
    set_time(&root.join("old"), (-2, 250_000_000));
}
