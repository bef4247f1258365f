//! GNU tar's arguments, and which of them this tar knows.
//!
//! The base is what Amanda's own client gives to it (client-src/sendbackup-gnutar.c), so that every restore of Amanda's works. Beyond that: the
//! posix format with its fractions of a second, extended attributes and ACLs, and the names of members, which Amanda gets by
//! reading the whole archive a second time.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::patterns::Files;

/// Where the list of names goes: the program's standard input is the writing end of a pipe of ours. Any other
/// descriptor would have to be inheritable, and would be inherited by whatever starts at the same moment.
const NAMES: &str = "/dev/stdin";
/// `-v` makes tar talk about these on stderr, where Amanda's does not.
const QUIET: [&str; 3] = ["--warning=no-new-directory", "--warning=no-rename-directory", "--warning=no-xdev"];
/// Extended attributes of all kinds that we may read.
const XATTRS: [&str; 2] = ["--xattrs", "--xattrs-include=*"];
const ACLS: &str = "--acls";

/// A tar that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tar {
    program: PathBuf,
    xattrs: bool,
    acls: bool,
}

/// Tells one file from another that took its place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp([i64; 5]);

impl Stamp {
    fn of(program: &Path) -> Option<Self> {
        let meta = std::fs::metadata(program).ok()?;
        let number = |number: u64| i64::try_from(number).ok();
        Some(Self([number(meta.dev())?, number(meta.ino())?, number(meta.size())?, meta.ctime(), meta.ctime_nsec()]))
    }
}

/// What one run of tar is for.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The directory that is read.
    pub device: &'a Path,
    /// tar's list; it is changed.
    pub snapshot: &'a Path,
    /// What is left out and alone taken.
    pub files: &'a Files,
    /// Only the size is wanted.
    pub estimate: bool,
    /// Each name in the list comes with the number of the member's first block: see [`split_number`].
    pub numbered: bool,
}

impl Tar {
    /// Looks at a tar: whether it is GNU tar, and what it can keep. The same file is looked at once.
    pub fn probe(program: &Path) -> Result<Self, String> {
        static KNOWN: Mutex<Vec<(PathBuf, Stamp, Tar)>> = Mutex::new(Vec::new());
        let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = Stamp::of(program);
        let before = |(path, seen, tar): &(PathBuf, Stamp, Self)| (path == program && Some(seen) == stamp.as_ref()).then(|| tar.clone());
        if let Some(tar) = known().iter().find_map(before) {
            return Ok(tar);
        }
        let tar = Self::look(program)?;
        if let Some(stamp) = stamp {
            known().push((program.to_path_buf(), stamp, tar.clone()));
        }
        Ok(tar)
    }

    fn look(program: &Path) -> Result<Self, String> {
        let start = |arguments: &[&str]| {
            let started = bare(program).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
            started.map_err(|error| format!("{} cannot be run: {error}", program.display()))
        };
        let tries = |options: &[&str]| {
            start(&[&["--create", "--file=/dev/null", "--format=posix"], options, &["--files-from", "/dev/null"]].concat())
        };
        let knows = |child: Child| child.wait_with_output().is_ok_and(|tried| tried.status.success() && tried.stderr.is_empty());
        // Side by side: most tars know everything, and then that was all there is to wait for.
        let (version, all) = (start(&["--version"])?, tries(&[XATTRS[0], XATTRS[1], ACLS])?);
        let is_gnu = version.wait_with_output().is_ok_and(|said| said.stdout.starts_with(b"tar (GNU tar)"));
        let all = knows(all);
        if !is_gnu {
            return Err(format!("{} is not GNU tar", program.display()));
        }
        let (xattrs, acls) = if all { (true, true) } else { (knows(tries(&XATTRS)?), knows(tries(&[ACLS])?)) };
        Ok(Self { program: program.to_path_buf(), xattrs, acls })
    }

    /// Returns its path.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Returns its arguments.
    pub fn argv(&self, run: &Run<'_>) -> Vec<OsString> {
        let mut argv: Vec<OsString> = Vec::new();
        let mut add = |arguments: &[&std::ffi::OsStr]| argv.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        add(&["--create".as_ref(), "--file".as_ref(), if run.estimate { "/dev/null" } else { "-" }.as_ref()]);
        // Records stay as long as tar makes them by itself. A restore reads such ones; of longer ones it leaves the last one half read, and
        // what is before it in the pipe dies of that.
        add(&["--format=posix".as_ref(), "--directory".as_ref(), run.device.as_ref(), "--one-file-system".as_ref()]);
        add(&["--listed-incremental".as_ref(), run.snapshot.as_ref()]);
        add(&["--sparse".as_ref(), "--ignore-failed-read".as_ref(), "--totals".as_ref()]);
        if self.xattrs {
            add(&XATTRS.map(AsRef::as_ref));
        }
        if self.acls {
            add(&[ACLS.as_ref()]);
        }
        if !run.estimate {
            add(&["--verbose".as_ref(), format!("--index-file={NAMES}").as_ref()]);
            add(&QUIET.map(AsRef::as_ref));
            if run.numbered {
                add(&["--block-number".as_ref()]);
            }
        }
        if let Some(exclude) = &run.files.exclude {
            add(&["--exclude-from".as_ref(), exclude.as_ref()]);
        }
        match &run.files.include {
            Some(include) => add(&["--null".as_ref(), "--verbatim-files-from".as_ref(), "--files-from".as_ref(), include.as_ref()]),
            None => add(&[".".as_ref()]),
        }
        argv
    }

    /// Returns a command with its arguments and nothing of our environment.
    pub fn command(&self, run: &Run<'_>) -> Command {
        let mut command = bare(&self.program);
        // What it says begins with this name, as in everybody's logs.
        command.arg0("tar").args(self.argv(run));
        command
    }
}

/// The longest that tar prints in front of a name: `block `, a number of 64 bits, `: `.
pub const LONGEST_NUMBER: usize = 28;

/// Takes what `--block-number` prints in front of a name off a line of the list, `block 12: ./name`. A name may begin in the same way: only
/// the first one is tar's. No number for a line that does not begin so.
pub fn split_number(line: &[u8]) -> (Option<u64>, &[u8]) {
    let number = |rest: &[u8]| {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        std::str::from_utf8(&rest[..digits]).ok()?.parse().ok().filter(|_| rest[digits..].starts_with(b": ")).map(|number| (number, digits))
    };
    match line.strip_prefix(b"block ").and_then(|rest| number(rest).map(|(number, digits)| (number, &rest[digits + 2..]))) {
        Some((number, name)) => (Some(number), name),
        None => (None, line),
    }
}

/// A program with an environment of its own: what tar says must be English, and `TAR_OPTIONS` nobody's.
pub fn bare(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C").env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir("/").stdin(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_amandas_and_what_this_tar_knows() {
        let tar = |xattrs, acls| Tar { program: "/usr/bin/tar".into(), xattrs, acls };
        let (device, snapshot) = (Path::new("/home"), Path::new("/state/snapshot"));
        let words = |tar: &Tar, files: &Files, estimate, numbered| {
            let argv = tar.argv(&Run { device, snapshot, files, estimate, numbered });
            argv.iter().map(|word| word.to_str().expect("ours")).collect::<Vec<_>>().join(" ")
        };
        let whole = |number: &str| {
            format!(
                "--create --file - --format=posix --directory /home --one-file-system --listed-incremental /state/snapshot --sparse \
             --ignore-failed-read --totals --xattrs --xattrs-include=* --acls --verbose --index-file=/dev/stdin \
             --warning=no-new-directory --warning=no-rename-directory --warning=no-xdev {number}."
            )
        };
        assert_eq!(words(&tar(true, true), &Files::default(), false, false), whole(""));
        assert_eq!(words(&tar(true, true), &Files::default(), false, true), whole("--block-number "));
        let files = Files { exclude: Some("/state/exclude".into()), include: Some("/state/include".into()), remarks: Vec::new() };
        assert_eq!(
            words(&tar(false, false), &files, true, true),
            "--create --file /dev/null --format=posix --directory /home --one-file-system --listed-incremental /state/snapshot --sparse \
             --ignore-failed-read --totals --exclude-from /state/exclude --null --verbatim-files-from --files-from /state/include"
        );
    }

    #[test]
    fn a_tar_is_looked_at_once_and_again_when_it_is_another() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a directory");
        let (program, count) = (dir.path().join("tar"), dir.path().join("count"));
        let write = |knows: &str| {
            let new = dir.path().join("new");
            // It knows its version, and may or may not know ACLs.
            let text = format!(
                "#!/bin/sh\necho >> {}\ncase \"$*\" in *--version*) echo 'tar (GNU tar) 1.0';; *--acls*) {knows};; esac\n",
                count.display()
            );
            std::fs::write(&new, text).expect("written");
            std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).expect("ours");
            std::fs::rename(&new, &program).expect("ours");
        };
        let ran = || std::fs::read(&count).map_or(0, |lines| lines.len());
        write("true");
        let tar = Tar::probe(&program).expect("a tar");
        assert!((tar.xattrs, tar.acls, ran()) == (true, true, 2), "{tar:?} {}", ran());
        assert_eq!((Tar::probe(&program).expect("a tar"), ran()), (tar, 2));
        write("exit 2");
        let tar = Tar::probe(&program).expect("a tar");
        assert!((tar.xattrs, tar.acls, ran()) == (true, false, 6), "{tar:?} {}", ran());
    }

    #[test]
    fn only_tars_own_number_is_taken_off_a_name() {
        for (line, number, name) in [
            ("block 12: ./a", Some(12), "./a"),
            ("block 0: ./", Some(0), "./"),
            ("block 3: block 4: a", Some(3), "block 4: a"),
            ("block 18446744073709551615: ./a", Some(u64::MAX), "./a"),
            ("block 18446744073709551616: ./a", None, "block 18446744073709551616: ./a"),
            ("./block 4: a", None, "./block 4: a"),
            ("block : a", None, "block : a"),
            ("block 4", None, "block 4"),
            ("block 4:", None, "block 4:"),
            ("block +4: a", None, "block +4: a"),
            ("", None, ""),
        ] {
            assert_eq!(split_number(line.as_bytes()), (number, name.as_bytes()), "{line}");
        }
        assert_eq!(format!("block {}: ", u64::MAX).len(), LONGEST_NUMBER);
    }

    #[test]
    fn only_gnu_tar_is_one() {
        assert!(Tar::probe(Path::new("/usr/bin/tar")).is_ok());
        for other in ["/bin/true", "/none"] {
            assert!(Tar::probe(Path::new(other)).is_err(), "{other}");
        }
    }
}
