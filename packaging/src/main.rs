//! Writes `man/` and `completions/` from the command lines of both programs, or says which file is not current.
//!
//! ```text
//! cargo run -p asyncamanda-packaging              writes them
//! cargo run -p asyncamanda-packaging -- --check   changes nothing; status 1 when a file is not current
//! ```
//!
//! [`man`] makes the pages, [`words`] is what they say beyond the command lines.

mod man;
mod words;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Command, CommandFactory as _};
use clap_complete::{Shell, generate};

/// Files by their path below this directory.
type Files = BTreeMap<PathBuf, Vec<u8>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let check = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--check"] => true,
        _ => {
            eprintln!("usage: asyncamanda-packaging [--check]");
            return ExitCode::from(2);
        }
    };
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let done = generated().and_then(|files| if check { stale(here, &files) } else { write(here, &files) });
    match done {
        Ok(stale) if stale.is_empty() => ExitCode::SUCCESS,
        Ok(stale) => {
            for path in stale {
                eprintln!("{} is not current", path.display());
            }
            eprintln!("hint: cargo run -p asyncamanda-packaging");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("asyncamanda-packaging: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Makes all files in memory.
fn generated() -> io::Result<Files> {
    let agent = || asyncamanda::cli::Cli::command();
    let shim = || asyncamanda_shim::cli::Cli::command();
    let mut files = Files::new();
    files.insert("man/asyncamanda.1".into(), man::page(agent(), "1", &words::agent())?);
    files.insert("man/asyncamanda-shim.8".into(), man::page(shim(), "8", &words::shim())?);
    for (name, command) in [("asyncamanda", agent()), ("asyncamanda-shim", shim())] {
        complete(&mut files, name, &without_hidden(name, &command));
    }
    Ok(files)
}

/// Leaves out what nobody types, which completions would offer.
fn without_hidden(name: &'static str, command: &Command) -> Command {
    if !command.get_subcommands().any(Command::is_hide_set) {
        return command.clone();
    }
    let visible = command.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    Command::new(name)
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true)
        .disable_help_flag(command.is_disable_help_flag_set())
        .disable_version_flag(command.is_disable_version_flag_set())
        .args(command.get_arguments().cloned())
        .subcommands(visible)
}

fn complete(files: &mut Files, name: &str, command: &Command) {
    for (shell, file) in [(Shell::Bash, format!("{name}.bash")), (Shell::Zsh, format!("_{name}")), (Shell::Fish, format!("{name}.fish"))] {
        let mut text = Vec::new();
        generate(shell, &mut command.clone(), name, &mut text);
        files.insert(Path::new("completions").join(file), text);
    }
}

/// Lists the files that say something else than they should, and those that should not be there.
fn stale(here: &Path, files: &Files) -> io::Result<Vec<PathBuf>> {
    let mut stale: Vec<PathBuf> = Vec::new();
    for (path, text) in files {
        if !fs::read(here.join(path)).is_ok_and(|found| found == *text) {
            stale.push(path.clone());
        }
    }
    for directory in ["man", "completions"] {
        for entry in fs::read_dir(here.join(directory)).into_iter().flatten() {
            let path = Path::new(directory).join(entry?.file_name());
            if !files.contains_key(&path) {
                stale.push(path);
            }
        }
    }
    Ok(stale)
}

/// Writes the files; nothing is stale afterwards but what should not be there.
fn write(here: &Path, files: &Files) -> io::Result<Vec<PathBuf>> {
    for (path, text) in files {
        let path = here.join(path);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, text)?;
    }
    stale(here, files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_the_sections_that_people_look_for() {
        for (path, text) in generated().expect("in memory") {
            if path.starts_with("man") {
                let text = String::from_utf8(text).expect("UTF-8");
                for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "EXIT STATUS", "FILES", "EXAMPLES", "SEE ALSO"] {
                    let (bare, quoted) = (format!(".SH {section}\n"), format!(".SH \"{section}\"\n"));
                    assert!(text.contains(&bare) || text.contains(&quoted), "{} has no {section}", path.display());
                }
            }
        }
    }

    #[test]
    fn a_changed_and_a_left_over_file_are_named() {
        let here = std::env::temp_dir().join(format!("asyncamanda-packaging-{}", std::process::id()));
        let files = Files::from([("man/a.1".into(), b"a".to_vec()), ("completions/b".into(), b"b".to_vec())]);
        assert_eq!(write(&here, &files).expect("written"), Vec::<PathBuf>::new());
        fs::write(here.join("man/a.1"), "other").expect("written");
        fs::write(here.join("man/old.1"), "old").expect("written");
        assert_eq!(stale(&here, &files).expect("read"), [PathBuf::from("man/a.1"), PathBuf::from("man/old.1")]);
        fs::remove_dir_all(&here).expect("ours");
    }
}
