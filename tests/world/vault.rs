//! A vault as somebody sees it who has Amanda's programs, zstd and GNU tar, and nothing of ours.
//!
//! The headers are read here with few words of our own, so that a misreading in the program under test is not shared.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::child::{self, Background};
use crate::system::{self, DUMP_USER};

/// How long a program of Amanda's may take to give back one small dump.
const PATIENCE: Duration = Duration::from_secs(60);
/// The header's length.
const HEADER: usize = 32 * 1024;

/// A vault's directory.
#[derive(Debug, Clone)]
pub struct Vault(pub PathBuf);

/// A dump that the vault has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dump {
    /// `YYYYMMDDhhmmss`.
    pub datestamp: String,
    /// The host.
    pub host: String,
    /// The disk, as the header quotes it.
    pub disk: String,
    /// Dump level.
    pub level: u8,
    /// The slot of its volume; none while it lies on the holding disk.
    pub slot: Option<u32>,
    /// Where it is.
    pub path: PathBuf,
    /// Length of what follows the header.
    pub bytes: u64,
    /// What the header says of that: CRC-32C and length.
    pub declared: Option<(u32, u64)>,
    /// It is what the header says.
    pub whole: bool,
}

/// What names a dump wherever it lies: date, disk, level, checksum.
pub type Identity = (String, String, u8, Option<(u32, u64)>);

impl Dump {
    /// Returns what names it wherever it lies.
    pub fn identity(&self) -> Identity {
        (self.datestamp.clone(), self.disk.clone(), self.level, self.declared)
    }
}

impl Vault {
    /// Returns everything on the volumes and what is finished on the holding disk, oldest first.
    ///
    /// # Panics
    /// When something there cannot be read, or is not Amanda's.
    pub fn dumps(&self) -> Vec<Dump> {
        let mut dumps: Vec<Dump> = Vec::new();
        for (slot, directory) in self.slots() {
            for path in entries(&directory) {
                if number(&path).is_some_and(|number| number > 0) {
                    dumps.push(read(&path, Some(slot)));
                }
            }
        }
        for run in entries(&self.0.join("holding")) {
            // The same as Amanda looks at: a datestamp's directory, in it what is not being written.
            if run.is_dir() && name_of(&run).bytes().all(|byte| byte.is_ascii_digit()) {
                dumps.extend(
                    entries(&run)
                        .iter()
                        .filter(|path| !name_of(path).ends_with(".tmp") && name_of(path) != "pid")
                        .map(|path| read(path, None)),
                );
            }
        }
        dumps.sort();
        dumps
    }

    /// Returns what names each dump.
    pub fn identities(&self) -> BTreeSet<Identity> {
        self.dumps().iter().map(Dump::identity).collect()
    }

    /// Returns the label of each volume and the date that it was begun at, by slot.
    ///
    /// # Panics
    /// When a volume has none.
    pub fn labels(&self) -> BTreeMap<u32, (String, String)> {
        let label = |directory: &Path| {
            let files: Vec<PathBuf> = entries(directory).into_iter().filter(|path| number(path) == Some(0)).collect();
            let [file] = &files[..] else { panic!("{} has no label, or two: {files:?}", directory.display()) };
            let words = header(file);
            let mut words = words.lines().next().unwrap_or_default().split(' ').map(str::to_owned);
            let (date, label) = (words.nth(3), words.nth(1));
            (date.expect("a date"), label.expect("a label"))
        };
        self.slots()
            .into_iter()
            .filter(|(_, directory)| !entries(directory).is_empty())
            .map(|(slot, directory)| (slot, label(&directory)))
            .collect()
    }

    fn slots(&self) -> BTreeMap<u32, PathBuf> {
        let slot = |path: PathBuf| Some((name_of(&path).strip_prefix("slot")?.parse().ok()?, path));
        entries(&self.0.join("vtapes")).into_iter().filter_map(slot).collect()
    }

    /// Returns the files that say of themselves that they are not finished.
    pub fn unfinished(&self) -> Vec<PathBuf> {
        everything(&self.0).into_iter().filter(|path| name_of(path).ends_with(".tmp") || name_of(path).ends_with(".new")).collect()
    }

    /// Returns how many bytes and how many files the vault has.
    ///
    /// # Panics
    /// When it changes meanwhile.
    pub fn size(&self) -> (u64, usize) {
        let all = everything(&self.0);
        (all.iter().map(|path| fs::symlink_metadata(path).expect("there").len()).sum(), all.len())
    }

    /// Returns the dumps that give the state of a disk at a time: the newest one not after it, and all that it builds on.
    ///
    /// # Panics
    /// When a dump of the chain is not there, or not whole.
    pub fn chain(&self, disk: &Path, at: Option<&str>) -> Vec<Dump> {
        self.chain_of(None, disk, at)
    }

    /// Returns the same of one host's disk; other hosts may have a disk of that name.
    ///
    /// # Panics
    /// As [`Vault::chain`].
    pub fn chain_of(&self, host: Option<&str>, disk: &Path, at: Option<&str>) -> Vec<Dump> {
        let mut dumps = self.dumps();
        dumps.retain(|dump| host.is_none_or(|host| dump.host == host));
        chain(&dumps, disk, at)
    }

    /// Restores a chain into an empty directory with `zstd -d` and GNU tar.
    ///
    /// # Panics
    /// When a step fails.
    pub fn restore(&self, chain: &[Dump], target: &Path) {
        for dump in chain {
            let mut shell = child::program("sh");
            // Of a dump that went through a gate zstd says that it is not its own; with -f it passes it on.
            shell.args(["-c", "tail -c +32769 \"$1\" | zstd -dcqf", "sh"]).arg(&dump.path);
            unpack(shell, target);
        }
    }

    /// Restores a chain into an empty directory with Debian's `amrestore`, from a copy of the volumes that Amanda's account may
    /// read, and GNU tar.
    ///
    /// # Panics
    /// When a step fails.
    pub fn amrestore(&self, chain: &[Dump], target: &Path) {
        // Beside the vault, so that a test's own directory takes it along.
        let copy = target.with_extension("volumes");
        let mut cp = child::program("cp");
        cp.arg("-a").arg(self.0.join("vtapes")).arg(&copy);
        child::must(cp);
        let mut chown = child::program("chown");
        chown.args(["-hR", DUMP_USER]).arg(&copy);
        child::must(chown);
        for dump in chain {
            let slot = dump.slot.unwrap_or_else(|| panic!("not on a volume: {dump:?}"));
            let mut amrestore = child::program_as(DUMP_USER, "/usr/sbin/amrestore");
            amrestore.arg("-p").arg("--exact-match").arg(format!("file:{}", copy.join(format!("slot{slot}")).display()));
            amrestore.args([&dump.host, dump.disk.trim_matches('"'), &dump.datestamp]).current_dir("/var/lib/amanda");
            unpack(amrestore, target);
        }
        fs::remove_dir_all(&copy).expect("our own");
    }

    /// Changes amanda.conf as its owner's editor would.
    ///
    /// # Panics
    /// When the text to replace is not there: the change would prove nothing.
    pub fn edit(&self, from: &str, to: &str) {
        let path = self.0.join("amanda.conf");
        let text = fs::read_to_string(&path).expect("a vault has one");
        assert!(text.contains(from), "{from:?} does not stand in amanda.conf:\n{text}");
        fs::write(&path, text.replace(from, to)).expect("root may");
    }
}

/// Returns, out of these dumps, those that give the state of a disk at a time: see [`Vault::chain`].
///
/// # Panics
/// When a dump of the chain is not there, or not whole.
pub fn chain(dumps: &[Dump], disk: &Path, at: Option<&str>) -> Vec<Dump> {
    let mut chain: Vec<&Dump> = Vec::new();
    for dump in dumps {
        let is_its = dump.disk.trim_matches('"') == disk.to_string_lossy();
        if is_its && at.is_none_or(|at| dump.datestamp.as_str() <= at) {
            chain.retain(|have| have.level < dump.level);
            chain.push(dump);
        }
    }
    assert!(chain.first().is_some_and(|dump| dump.level == 0), "no full dump of {} until {at:?}: {chain:#?}", disk.display());
    for dump in &chain {
        assert!(dump.whole, "not whole: {dump:#?}");
    }
    chain.into_iter().cloned().collect()
}

/// Runs what prints an archive and unpacks it over what is there, as incremental dumps want it.
fn unpack(from: std::process::Command, target: &Path) {
    let image = target.with_extension("tar");
    let name = format!("{from:?}");
    let printed = Background::start_into(from, File::create(&image).expect("a directory of our own")).wait(PATIENCE);
    assert_eq!(printed.code, Some(0), "{name}: {}", printed.stderr);
    let mut tar = child::program("tar");
    tar.args(["--extract", "--preserve-permissions", "--numeric-owner", "--listed-incremental=/dev/null"]);
    tar.args(["--xattrs", "--xattrs-include=*", "--acls", "--file"]).arg(&image).arg("--directory").arg(target);
    child::must(tar);
    fs::remove_file(&image).expect("our own");
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Returns the number before a volume file's first dot.
fn number(path: &Path) -> Option<u32> {
    let name = path.file_name()?.as_bytes();
    let dot = name.iter().position(|byte| *byte == b'.')?;
    std::str::from_utf8(&name[..dot]).ok()?.parse().ok()
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// Returns all that is no directory, below one.
fn everything(dir: &Path) -> Vec<PathBuf> {
    let is_dir = |path: &Path| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
    entries(dir).into_iter().flat_map(|path| if is_dir(&path) { everything(&path) } else { vec![path] }).collect()
}

/// Returns a header's text.
fn header(path: &Path) -> String {
    let mut bytes = Vec::new();
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file.take(HEADER as u64).read_to_end(&mut bytes).expect("root may read");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(text.starts_with("AMANDA: "), "{} is not Amanda's: {:?}", path.display(), text.get(..40.min(text.len())));
    text.trim_end_matches('\0').to_owned()
}

fn read(path: &Path, slot: Option<u32>) -> Dump {
    let text = header(path);
    let first = text.lines().next().unwrap_or_default();
    let field = |key: &str| first.split(key).nth(1).and_then(|rest| rest.split(' ').next());
    let mut words = first.split(' ');
    let kind = words.nth(1);
    // On its way from the holding disk to a volume it has its new header already; Amanda passes over it there.
    assert!(kind == Some("SPLIT_FILE") || slot.is_none() && kind == Some("FILE"), "{}: {first}", path.display());
    let (datestamp, host) = (words.next().expect("a date").to_owned(), words.next().expect("a host").to_owned());
    // The disk: up to the part, or the level. With blanks in it it is quoted.
    let rest = words.collect::<Vec<_>>().join(" ");
    let disk = rest.split(" part ").next().and_then(|rest| rest.split(" lev ").next()).expect("a disk").trim().to_owned();
    let level = field(" lev ").and_then(|level| level.parse().ok()).unwrap_or_else(|| panic!("{}: no level in {first}", path.display()));
    let sum = text.lines().find_map(|line| line.strip_prefix("SERVER-CRC=")?.split_once(':'));
    let declared = sum.and_then(|(crc, bytes)| Some((u32::from_str_radix(crc, 16).ok()?, bytes.parse().ok()?)));
    let content = fs::read(path).expect("root may read");
    let body = content.get(HEADER..).unwrap_or_default();
    let whole = declared == Some((crc32c::crc32c(body), body.len() as u64));
    Dump { datestamp, host, disk, level, slot, path: path.to_owned(), bytes: body.len() as u64, declared, whole }
}

/// Makes an account's own all that is not yet, links included.
///
/// # Panics
/// When there is no such account or path.
pub fn give_all(path: &Path, owner: &str) {
    let account = system::account(owner).unwrap_or_else(|| panic!("no account {owner}"));
    let mut find = child::program("find");
    find.arg(path).args(["!", "-uid", &account.uid.to_string(), "-exec", "chown", "-h"]);
    find.arg(format!("{}:{}", account.uid, account.gid)).args(["{}", "+"]);
    child::must(find);
}
