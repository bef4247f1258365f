//! `asyncamanda-shim adopt VAULT CONFIG`: the day a vault is outgrown, it becomes a config of the installed Amanda. No data
//! moves and no history is lost.
//!
//! First everything is looked at, and what is not known is refused by its name ([`known`], [`look`]). Then, as the vault's own
//! account, the vault is put right and marked as Amanda's ([`crate::engine::embedded::adopted`]): from here on the embedded engine
//! writes nothing into it. Then Amanda gets the config, the files ([`hand_over`]) and what its client goes on from ([`lists`]). A call
//! that was cut off is made again: every step may be repeated.

pub mod hand_over;
pub mod installed;
pub mod known;
pub mod lists;
pub mod look;

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown, fchown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use amanda::escape::printable;
use wire::{ConfigName, Exit};

use crate::child;
use crate::config::Config;
use crate::engine::embedded::adopted::{MARKER, Mark};
use crate::engine::embedded::site::Site;
use crate::report::Words;
use crate::runner::start;
use installed::Installed;
use look::Looked;

/// What was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The vault.
    pub directory: PathBuf,
    /// The new config's name.
    pub name: ConfigName,
    /// The agent's state, where it was said.
    pub state: Option<PathBuf>,
}

/// How long the vault may take to be put right: a taper phase at most, which copies nothing.
const PATIENCE: Duration = Duration::from_secs(600);

/// As long as a configuration file may be.
const LONGEST: u64 = amanda::conf::LONGEST as u64;

/// Hands a vault to the installed Amanda; says what it did.
///
/// # Errors
/// When something is not as it has to be. Before the first change that is told of everything at once.
pub fn adopt(config: &Config, wish: &Wish) -> Result<Vec<String>, Words> {
    if !nix::unistd::geteuid().is_root() {
        return Err(Words::new(Exit::Refused, "only root may hand a vault to Amanda")
            .because("its files change their owner, and Amanda's configuration belongs to Amanda")
            .hint("sudo asyncamanda-shim adopt VAULT CONFIG"));
    }
    let amanda = Installed::find(config)?;
    let looked = look::look(&amanda, wish)?;
    if looked.is_done {
        return Ok(vec![format!("{} is Amanda's config {} already.", looked.directory.display(), wish.name)]);
    }
    if looked.is_new {
        put_right(config, &looked, &wish.name)?;
    }
    let failed = |what: &str, error: &io::Error| {
        Words::new(Exit::Failed, format!("{what}: {error}")).hint("mend that, and give the same command again: it goes on where it stopped")
    };
    if looked.needs_config {
        write_config(&amanda, &looked, &wish.name)
            .map_err(|error| failed(&format!("cannot make the config {} in {}", wish.name, amanda.config_dir.display()), &error))?;
    }
    hand_over::hand_over(&looked.directory, looked.owner, amanda.owner())
        .map_err(|error| hand_over::words(&looked.directory, &amanda, &error))?;
    let continued =
        lists::hand_over(&amanda, &looked).map_err(|error| failed("what incremental dumps build on cannot be handed over", &error))?;
    for dle in continued.iter().filter(|disk| !disk.goes_on).map(|disk| &disk.dle) {
        amanda.force_full(&wish.name, dle)?;
    }
    mark_as_whole(&amanda, &looked, &wish.name).map_err(|error| failed("it cannot be written down that Amanda has all of it", &error))?;
    let listed = amanda.count_dumps(&wish.name)?;
    Ok(report(&amanda, &looked, wish, &continued, listed))
}

fn report(amanda: &Installed, looked: &Looked, wish: &Wish, continued: &[lists::Continued], listed: usize) -> Vec<String> {
    let (name, directory) = (&wish.name, looked.directory.display());
    let as_amanda = format!("runuser -u {} --", amanda.account.name);
    let mut lines = vec![
        format!(
            "{directory} is Amanda's config {name} now: {listed} {} in its catalog ({} amadmin {name} find).",
            if listed == 1 { "dump is" } else { "dumps are" },
            as_amanda
        ),
        format!("Its volumes stay where they are, and belong to {}.", amanda.account.name),
    ];
    for disk in continued {
        let shown = printable(disk.dle.to_string().as_bytes());
        lines.push(if disk.goes_on {
            format!("{shown} goes on with its next level.")
        } else {
            format!("{shown}: what its incremental dumps build on was not found (--state DIR says where), so its next dump is a full one.")
        });
    }
    lines.push(format!(
        "From now on it is backed up by `{as_amanda} amdump {name}`; look at it with `{as_amanda} amcheck {name}`. asyncamanda writes nothing into it any more."
    ));
    if looked.has_laptops {
        lines.push("For the laptops that call in, set engine = \"amanda\" in shim.toml.".to_owned());
    }
    lines
}

/// Has the vault put right and marked, by a process of the account that it belongs to: what it can be talked into there, that
/// account could have done by itself.
fn put_right(config: &Config, looked: &Looked, name: &ConfigName) -> Result<(), Words> {
    let failed = |error: io::Error| Words::new(Exit::Failed, format!("cannot look after {}: {error}", looked.directory.display()));
    let mut argv = start::argv(config).map_err(failed)?;
    argv.pop();
    let mut command = Command::new(&argv[0]);
    command.args(&argv[1..]).args(["dumper", "hand-over"]).arg(&looked.directory).arg(name.as_str()).current_dir("/");
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LANG", "C.UTF-8").uid(looked.owner.0).gid(looked.owner.1);
    command.envs(std::env::var_os("TZ").map(|zone| ("TZ", zone)));
    let output = child::finish(&mut command, PATIENCE).map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let exit = if output.status.code() == Some(Exit::Later.code().into()) { Exit::Later } else { Exit::Failed };
    let words = String::from_utf8_lossy(&output.stderr);
    let words = words.trim().trim_start_matches("asyncamanda-shim: ");
    Err(Words::new(exit, format!("{} was left as it was", looked.directory.display())).because(words.replace('\n', "; ")))
}

/// Makes the config's directory as a whole: it is there with all that it has, or not at all.
fn write_config(amanda: &Installed, looked: &Looked, name: &ConfigName) -> io::Result<()> {
    let beside = amanda.config_dir.join(format!(".{name}.asyncamanda-new"));
    match fs::remove_dir_all(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    DirBuilder::new().mode(0o750).create(&beside)?;
    let (uid, gid) = amanda.owner();
    // Read only now: what was moved has been written anew meanwhile.
    let site = Site::open(&looked.directory, None).map_err(|trouble| io::Error::other(trouble.to_string()))?;
    let conf = known::with_dumpuser(&read(&looked.directory.join("amanda.conf"))?, site.config(), &amanda.account.name);
    let disklist = read(&site.config().diskfile())?;
    for (file, text) in [("amanda.conf", &conf), ("disklist", &disklist)] {
        let path = beside.join(file);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&path)?;
        file.write_all(text)?;
        file.sync_all()?;
        chown(&path, Some(uid), Some(gid))?;
    }
    chown(&beside, Some(uid), Some(gid))?;
    fs::File::open(&beside)?.sync_all()?;
    let flags = rustix::fs::RenameFlags::NOREPLACE;
    rustix::fs::renameat_with(rustix::fs::CWD, &beside, rustix::fs::CWD, amanda.config_dir.join(name.as_str()), flags)?;
    fs::File::open(&amanda.config_dir)?.sync_all()
}

/// Writes down that nothing is left to do.
fn mark_as_whole(amanda: &Installed, looked: &Looked, name: &ConfigName) -> io::Result<()> {
    let own = looked.directory.join(".asyncamanda");
    let mut file = tempfile::Builder::new().prefix(".asyncamanda-").tempfile_in(&own)?;
    file.write_all(Mark { config: name.to_string(), whole: true }.print().as_bytes())?;
    let (uid, gid) = amanda.owner();
    fchown(file.as_file(), Some(uid), Some(gid))?;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    file.as_file().sync_all()?;
    file.persist(own.join(MARKER)).map_err(|error| error.error)?;
    fs::File::open(&own)?.sync_all()
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?.take(LONGEST).read_to_end(&mut text)?;
    Ok(text)
}

/// Returns the owner of a path, and its group.
fn owner_of(path: &Path) -> io::Result<(u32, u32)> {
    fs::symlink_metadata(path).map(|data| (data.uid(), data.gid()))
}

/// Puts a vault right and marks it as Amanda's; for the process that [`adopt`] starts as the vault's account.
///
/// # Errors
/// When a run goes on in it, or it cannot be written.
pub fn as_owner(directory: &Path, name: &ConfigName) -> Result<(), Words> {
    let site = Site::open(directory, None)?;
    Ok(crate::engine::embedded::adopted::hand_over(&site, name, chrono::Utc::now().timestamp())?)
}
