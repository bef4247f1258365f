//! What cannot lie inside a world's directory: accounts, a few lines in files under /etc, and what was installed.
//!
//! All of it is idempotent and done under one lock, because worlds of several test processes may come up at once.
//! Accounts and Amanda's host lines stay; what belongs to one world goes with it.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{Gid, Uid, User};

use crate::child;

/// The account that laptops log in to. It is not Amanda's.
pub const LOGIN: &str = "aa-test-shim";
/// A second name for the dump user's uid, with a shell: sshd runs no forced command for nologin, and amandad looks at
/// its uid, not at its name.
pub const CLIENT_LOGIN: &str = "aa-test-backup";
/// The account that Debian's Amanda runs as.
pub const DUMP_USER: &str = "backup";
/// Where Amanda's configs lie.
pub const CONFIGS: &str = "/etc/amanda";

const NEEDED: [(&str, &str); 15] = [
    ("/usr/sbin/amdump", "amanda-server"),
    ("/usr/lib/amanda/amandad", "amanda-client"),
    ("/usr/share/perl5/Encode/Locale.pm", "libencode-locale-perl"),
    ("/usr/sbin/sshd", "openssh-server"),
    ("/usr/bin/ssh", "openssh-client"),
    ("/usr/bin/sudo", "sudo"),
    ("/usr/sbin/useradd", "passwd"),
    ("/bin/tar", "tar"),
    ("/bin/ip", "iproute2"),
    ("/usr/bin/setfacl", "acl"),
    ("/usr/bin/setpriv", "util-linux"),
    ("/usr/bin/setfattr", "attr"),
    ("/usr/bin/zstd", "zstd"),
    ("/usr/bin/gcc", "gcc"),
    ("/usr/bin/strace", "strace"),
];

/// Fails where these tests cannot be run for real.
///
/// # Panics
/// When the process is not root's or a package is missing; it names the package.
pub fn require() {
    assert!(Uid::effective().is_root(), "these tests need root: they run an sshd, accounts and an Amanda of their own; use tests/run");
    let missing = missing();
    assert!(missing.is_empty(), "these tests need packages that are not installed: {}; tests/run installs them", missing.join(" "));
}

/// Returns the Debian packages that are not installed and are needed.
pub fn missing() -> Vec<&'static str> {
    NEEDED.iter().filter(|(path, _)| !Path::new(path).exists()).map(|(_, package)| *package).collect()
}

/// Keeps other worlds from changing the same files meanwhile.
pub fn lock() -> Flock<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open("/run/lock/asyncamanda-tests.lock").expect("/run/lock");
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error).expect("a lock on a file of our own")
}

/// Sees to the accounts and to Amanda's list of hosts; to be called under [`lock`].
pub fn prepare() {
    // "*" is no password but no lock either: sshd without PAM refuses accounts with "!".
    if account(LOGIN).is_none() {
        let mut useradd = child::program("useradd");
        useradd.args(["--system", "--user-group", "--no-create-home", "--home-dir", "/", "--shell", "/bin/sh", "--password", "*", LOGIN]);
        child::must(useradd);
    }
    let dump_user = account(DUMP_USER).expect("amanda-common made it");
    if account(CLIENT_LOGIN).is_none() {
        let mut useradd = child::program("useradd");
        useradd.args(["--non-unique", "--uid", &dump_user.uid.to_string(), "--gid", &dump_user.gid.to_string(), "--no-create-home"]);
        useradd.arg("--home-dir").arg(&dump_user.dir).args(["--shell", "/bin/sh", "--password", "*", CLIENT_LOGIN]);
        child::must(useradd);
    }
    let mut hosts: Vec<String> = (2..=9).map(|n| format!("127.0.0.{n} {DUMP_USER} amdump")).collect();
    // auth "ssh" comes from localhost, and amrecover on the server asks as root.
    hosts.extend([format!("localhost {DUMP_USER} amdump"), "localhost root amindexd amidxtaped".to_owned()]);
    add_lines(Path::new("/etc/amandahosts"), &hosts);
    // sshd's own; systemd makes it where there is one.
    fs::create_dir_all("/run/sshd").expect("/run/sshd");
}

/// Returns an account, if there is one.
pub fn account(name: &str) -> Option<User> {
    User::from_name(name).expect("the account database answers")
}

/// Gives a path to an account and a group, by name.
///
/// # Panics
/// When there is no such account, group or path.
pub fn give(path: &Path, owner: &str, group: &str) {
    let uid: Uid = account(owner).unwrap_or_else(|| panic!("no account {owner}")).uid;
    let gid: Gid = nix::unistd::Group::from_name(group).ok().flatten().unwrap_or_else(|| panic!("no group {group}")).gid;
    std::os::unix::fs::lchown(path, Some(uid.as_raw()), Some(gid.as_raw()))
        .unwrap_or_else(|error| panic!("chown {}: {error}", path.display()));
}

/// Makes a directory with an owner, a group and a mode, whatever the umask says.
pub fn directory(path: &Path, owner: &str, group: &str, mode: u32) {
    fs::create_dir_all(path).unwrap_or_else(|error| panic!("mkdir {}: {error}", path.display()));
    give(path, owner, group);
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a directory of our own");
}

/// Writes a file with an owner, a group and a mode.
pub fn file(path: &Path, text: &str, owner: &str, group: &str, mode: u32) {
    fs::write(path, text).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
    give(path, owner, group);
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a file of our own");
}

/// Adds the lines that a file does not have yet, in place: its owner and mode matter to those who read it.
pub fn add_lines(path: &Path, lines: &[String]) {
    let present = fs::read_to_string(path).unwrap_or_default();
    let missing: Vec<&String> = lines.iter().filter(|line| !present.lines().any(|have| have == line.as_str())).collect();
    if missing.is_empty() {
        return;
    }
    let new = !path.exists();
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if !present.is_empty() && !present.ends_with('\n') {
        writeln!(file).expect("a short line");
    }
    for line in missing {
        writeln!(file, "{line}").expect("a short line");
    }
    if new {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("a new file of our own");
    }
}

/// Takes lines out of a file again; a file that is empty then goes too.
pub fn remove_lines(path: &Path, lines: &[String]) {
    let Ok(present) = fs::read_to_string(path) else { return };
    let kept: String = present.lines().filter(|have| !lines.iter().any(|line| line == have)).flat_map(|line| [line, "\n"]).collect();
    if kept.is_empty() {
        let _gone_already = fs::remove_file(path);
    } else if kept != present {
        let mode = fs::metadata(path).map(|meta| meta.mode()).unwrap_or(0o644);
        fs::write(path, kept).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the file was just written");
    }
}
