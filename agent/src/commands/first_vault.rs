//! What is said once, when a vault was made: what it is, how it goes on, and how a file comes back. The lines can be typed as they
//! stand.

use std::env;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use wire::Receipt;

use super::job::Job;
use super::place::Place;
use crate::config::Source;
use crate::report::show;
use crate::session::vault;

/// The name that is typed.
const PROGRAM: &str = "asyncamanda";
/// Debian has it beside zstd and tar, which a restore needs.
const ZSTD: &str = "zstd";
/// What stands before a line for those.
const WITHOUT: &str = "Without asyncamanda, with zstd and tar alone";

/// Returns the lines; none when it cannot be seen what was made.
pub fn words(job: &Job, receipts: &[Receipt]) -> Vec<String> {
    let Place::Vault(way) = &job.place else { return Vec::new() };
    let Ok(look) = vault::look(&way.directory, way.known) else { return Vec::new() };
    let kept = look.retention_days.map_or_else(String::new, |days| format!("; what is in it is kept for {days} days"));
    let directory = quoted(way.directory.as_os_str().as_bytes());
    let mut lines = vec![format!("Made {directory}: a vault, which is a config of Amanda ({}) with its volumes{kept}.", look.name)];
    let program = program();
    let (now, run) = match job.config.destination.from {
        Source::Flag(_) => (format!("{program} now --to {directory}"), format!("{program} run --destination {directory}")),
        _ => (format!("{program} now"), format!("{program} run")),
    };
    lines.push(format!("Go on: `{now}` takes what has changed since; for a scheduler, `{run}` does so when a day has passed."));
    let backups: Vec<&Receipt> = receipts.iter().filter(|receipt| receipt.is_backup()).collect();
    if !backups.is_empty() {
        let paths: Vec<String> =
            backups.iter().filter_map(|receipt| directory_of(job, receipt)).map(|path| quoted(path.as_os_str().as_bytes())).collect();
        lines.push(format!("Get back: {program} restore {} --to back{}", paths.join(" "), from(job, way)));
    }
    lines.extend(ways_back(way, backups.into_iter()));
    lines
}

/// Returns the option that names the vault, where agent.toml does not.
fn from(job: &Job, way: &vault::Way) -> String {
    match job.config.destination.from {
        Source::Flag(_) => format!(" --from {}", quoted(way.directory.as_os_str().as_bytes())),
        _ => String::new(),
    }
}

/// Returns where a disk is on this machine.
fn directory_of(job: &Job, receipt: &Receipt) -> Option<PathBuf> {
    job.config.disks.iter().find(|disk| disk.value.name == receipt.disk).map(|disk| disk.value.device.clone())
}

/// Says after a later backup how files come back.
pub fn pointer(job: &Job, receipts: &[Receipt]) -> Vec<String> {
    let Place::Vault(way) = &job.place else { return Vec::new() };
    if !receipts.iter().any(Receipt::is_backup) {
        return Vec::new();
    }
    let (program, from) = (program(), from(job, way));
    vec![format!("How files come back: `{program} ls{from}` shows what there is, `{program} restore PATH --to DIR{from}` gets it")]
}

/// Returns for each disk the line that brings its newest state back into a directory of its own without this program: a drive may outlive it.
pub fn ways_back<'r>(way: &vault::Way, receipts: impl Iterator<Item = &'r Receipt>) -> Vec<String> {
    let chains = receipts.filter(|receipt| receipt.is_backup()).filter_map(|receipt| {
        // All of it or nothing: half a chain would bring back another state.
        let files: Option<Vec<PathBuf>> = receipt.chain.iter().map(|base| vault::file_of(&way.directory, base.places.first()?)).collect();
        Some((&receipt.disk, files.filter(|files| !files.is_empty())?))
    });
    let chains: Vec<_> = chains.collect();
    let needs = if on_path(ZSTD).is_some() { "" } else { " (it needs the package zstd)" };
    if let [(_, files)] = &chains[..] {
        return vec![format!("{WITHOUT}{needs}: {}", command(files, "back"))];
    }
    let mut taken = Vec::new();
    let mut lines = Vec::new();
    for (disk, files) in &chains {
        let into = directory_for(Path::new(disk.as_os_str()), &mut taken);
        lines.push(format!("{WITHOUT}{needs}, {}: {}", show(disk.as_bytes()), command(files, &into)));
    }
    lines
}

/// Names a directory like the disk, and otherwise when that name is taken already.
fn directory_for(disk: &Path, taken: &mut Vec<String>) -> String {
    let harmless = |character: char| if character.is_ascii_alphanumeric() || "._-".contains(character) { character } else { '-' };
    let last = disk.file_name().map_or_else(|| "root".to_owned(), |name| name.to_string_lossy().chars().map(harmless).collect());
    let names = std::iter::once(format!("back-{last}")).chain((2..).map(|number| format!("back-{last}-{number}")));
    let name = names.into_iter().find(|name| !taken.contains(name)).unwrap_or_default();
    taken.push(name.clone());
    name
}

/// Returns the command that restores a chain of dumps, the full one first, with all that they have.
fn command(files: &[PathBuf], into: &str) -> String {
    let one = |file: &PathBuf| {
        let file = quoted(file.as_os_str().as_bytes());
        format!("dd if={file} bs=32k skip=1 status=none | zstd -dc | tar -C {into} --xattrs --xattrs-include='*' --acls -xpGf -")
    };
    let all: Vec<String> = files.iter().map(one).collect();
    format!("mkdir {into} && {}", all.join(" && "))
}

/// Returns the program as it can be typed: by its name where the shell finds just this one.
fn program() -> String {
    let Ok(this) = env::current_exe() else { return PROGRAM.to_owned() };
    match on_path(PROGRAM).and_then(|found| found.canonicalize().ok()) {
        Some(found) if found == this => PROGRAM.to_owned(),
        _ => quoted(this.as_os_str().as_bytes()),
    }
}

fn on_path(name: &str) -> Option<std::path::PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// Returns a word that a shell reads as these bytes, and a terminal as nothing else.
fn quoted(word: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+:,@%=".contains(byte);
    if !word.is_empty() && word.iter().all(plain) {
        return show(word);
    }
    let harmless = show(word) == String::from_utf8_lossy(word);
    if harmless && std::str::from_utf8(word).is_ok() {
        return format!("'{}'", String::from_utf8_lossy(word).replace('\'', r"'\''"));
    }
    let byte = |byte: &u8| match byte {
        b'\'' | b'\\' => format!("\\{}", char::from(*byte)),
        b' '..=b'~' => char::from(*byte).to_string(),
        other => format!("\\x{other:02x}"),
    };
    format!("$'{}'", word.iter().map(byte).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_that_end_alike_come_back_into_different_directories() {
        let mut taken = Vec::new();
        let names: Vec<String> =
            ["/home", "/srv/home", "/", "/a b"].iter().map(|disk| directory_for(Path::new(disk), &mut taken)).collect();
        assert_eq!(names, ["back-home", "back-home-2", "back-root", "back-a-b"]);
    }

    #[test]
    fn a_word_is_one_word_to_a_shell() {
        for word in [
            &b"/home/ada/vault"[..],
            b"two words",
            b"it's",
            b"$(id)",
            b"tab\t",
            b"\x1b[2J",
            "gr\u{fc}n".as_bytes(),
            b"\xff",
            b"back\\slash\n",
        ] {
            let said = std::process::Command::new("bash").arg("-c").arg(format!("printf %s {}", quoted(word))).output().expect("bash");
            assert_eq!(said.stdout, word, "{}", quoted(word));
            assert!(!quoted(word).contains(['\u{1b}', '\t', '\n']));
        }
    }
}
