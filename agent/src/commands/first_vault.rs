//! What is said once, when a vault was made: what it is, how it goes on, and how a file comes back. The lines can be typed as they
//! stand.

use std::env;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

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
    let file = receipts.iter().filter(|receipt| receipt.is_backup()).find_map(|receipt| {
        let place = receipt.chain.first()?.places.first()?;
        vault::file_of(&way.directory, place)
    });
    if let Some(file) = file {
        let needs = if on_path(ZSTD).is_some() { "" } else { " (it needs the package zstd)" };
        lines.push(format!("Get back{needs}: {}", command(&file)));
    }
    lines
}

/// Returns the command that restores a full dump, with all that it has.
fn command(file: &Path) -> String {
    let file = quoted(file.as_os_str().as_bytes());
    format!("mkdir back && dd if={file} bs=32k skip=1 status=none | zstd -dc | tar -C back --xattrs --xattrs-include='*' --acls -xpGf -")
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
