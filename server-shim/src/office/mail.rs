//! Mail through the program that amanda.conf names, as Amanda sends it: `MAILER -s SUBJECT ADDRESS…`, the text on its standard input.
//!
//! No shell is asked, and an address that a mailer could take for something else is refused, as Amanda refuses it.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Seek as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use amanda::conf::Config;
use amanda::escape::printable;
use nix::unistd::{User, geteuid};

use crate::child;

/// Debian's Amanda uses this one when amanda.conf names none.
const USUAL: &str = "/usr/bin/mail";

/// How long a mailer may take to accept a mail.
const PATIENCE: Duration = Duration::from_secs(120);

/// Characters that Amanda does not have in an address.
const REFUSED: &[char] = &['*', '<', '>', '(', ')', '[', ']', ';', ':', '\\', '/', '"', '!', '$', '|'];

/// Why there is no mail.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// amanda.conf has no `mailto`.
    #[error("amanda.conf names nobody to mail to (mailto)")]
    Nobody,
    /// It has an empty `mailer`.
    #[error("amanda.conf says that no mail is sent: its mailer is empty")]
    NoMailer,
    /// An address is none.
    #[error("{0:?} is no address that mail is sent to (mailto in amanda.conf)")]
    Address(String),
    /// The program is not there, or cannot be started.
    #[error("the mailer {} cannot be started (mailer in amanda.conf)", .0.display())]
    Start(PathBuf, #[source] io::Error),
    /// It did not take the mail.
    #[error("the mailer {} did not take the mail: {said}", .mailer.display())]
    Refused {
        /// The program.
        mailer: PathBuf,
        /// Its words.
        said: String,
    },
}

impl MailError {
    /// Returns what to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Nobody => "add a line to amanda.conf: mailto \"you@example.com\"",
            Self::NoMailer => "name a program in amanda.conf: mailer \"/usr/bin/mail\"",
            Self::Address(_) => "write plain addresses, with blanks between them",
            Self::Start(..) => "install a mailer (bsd-mailx or mailutils on Debian), or name another one in amanda.conf",
            Self::Refused { .. } => "try it by hand: echo test | mail -s test ADDRESS",
        }
    }
}

/// A mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The program.
    pub mailer: PathBuf,
    /// Whom it is for.
    pub to: Vec<String>,
    /// What it is about.
    pub subject: String,
    /// The text.
    pub text: String,
}

impl Letter {
    /// Addresses a mail to whom amanda.conf names.
    ///
    /// # Errors
    /// When it names nobody, no mailer, or something that is no address.
    pub fn new(config: &Config, subject: impl Into<String>, text: impl Into<String>) -> Result<Self, MailError> {
        let mailer = match (config.settings().get("mailer"), config.mailer()) {
            (Some(_), None) => return Err(MailError::NoMailer),
            (_, mailer) => mailer.map_or_else(|| PathBuf::from(USUAL), PathBuf::from),
        };
        let to: Vec<String> = config.mailto().into_iter().map(str::to_owned).collect();
        if to.is_empty() {
            return Err(MailError::Nobody);
        }
        if let Some(wrong) = to.iter().find(|address| address.starts_with('-') || address.contains(REFUSED)) {
            return Err(MailError::Address(printable(wrong.as_bytes())));
        }
        let (mut subject, text) = (subject.into(), text.into());
        // A line break in it would begin another header.
        subject.retain(|letter| !letter.is_control());
        Ok(Self { mailer, to, subject, text })
    }

    /// Returns the mailer's arguments.
    pub fn argv(&self) -> Vec<OsString> {
        let head = ["-s".into(), OsString::from(&self.subject)];
        head.into_iter().chain(self.to.iter().map(OsString::from)).collect()
    }

    /// Hands the mail to the mailer, and waits until it has taken it.
    ///
    /// # Errors
    /// When the mailer cannot be started, or fails.
    pub fn send(&self) -> Result<(), MailError> {
        let start = |error| MailError::Start(self.mailer.clone(), error);
        let mut file = tempfile::tempfile().map_err(start)?;
        file.write_all(self.text.as_bytes()).and_then(|()| file.rewind()).map_err(start)?;
        let mut command = Command::new(&self.mailer);
        command.args(self.argv()).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LANG", "C.UTF-8").current_dir("/");
        if let Ok(Some(user)) = User::from_uid(geteuid()) {
            command.env("HOME", user.dir).env("USER", &user.name).env("LOGNAME", &user.name);
        }
        let ended = child::finish_on(&mut command, Stdio::from(file), PATIENCE).map_err(start)?;
        if ended.status.success() {
            return Ok(());
        }
        let mut said = String::new();
        for line in String::from_utf8_lossy(&ended.stderr).lines().filter(|line| !line.trim().is_empty()).take(3) {
            let _ = write!(said, "{} ", printable(line.as_bytes()));
        }
        Err(MailError::Refused { mailer: self.mailer.clone(), said: format!("{said}({})", ended.status) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    fn config(text: &str) -> Config {
        let dir = tempfile::tempdir().expect("directory");
        fs::write(dir.path().join("amanda.conf"), text).expect("written");
        fs::write(dir.path().join("disklist"), "").expect("written");
        crate::engine::embedded::site::Site::config_of(dir.path()).expect("a config").0
    }

    fn mailer(dir: &Path, script: &str) -> PathBuf {
        let path = dir.join("mailer");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("mode");
        path
    }

    #[test]
    fn a_mailer_gets_the_subject_the_addresses_and_the_text() {
        let dir = tempfile::tempdir().expect("directory");
        let sent = dir.path().join("sent");
        let mailer = mailer(dir.path(), &format!("for a; do echo \"<$a>\"; done >{0}; cat >>{0}", sent.display()));
        let config = config(&format!("mailto \"a@example.com b\"\nmailer \"{}\"\n", mailer.display()));
        Letter::new(&config, "x y\nBcc: z", "one\ntwo\n").expect("a letter").send().expect("sent");
        assert_eq!(fs::read_to_string(sent).expect("sent"), "<-s>\n<x yBcc: z>\n<a@example.com>\n<b>\none\ntwo\n");
    }

    #[test]
    fn what_keeps_a_mail_back_is_told_in_words() {
        let told = |text: &str| {
            let letter = Letter::new(&config(text), "s", "t").and_then(|letter| letter.send());
            letter.expect_err("no mail").to_string()
        };
        assert_eq!(told(""), "amanda.conf names nobody to mail to (mailto)");
        assert_eq!(told("mailto \"x\"\nmailer \"\"\n"), "amanda.conf says that no mail is sent: its mailer is empty");
        assert_eq!(told("mailto \"a|b\"\n"), "\"a|b\" is no address that mail is sent to (mailto in amanda.conf)");
        assert_eq!(told("mailto \"-f\"\n"), "\"-f\" is no address that mail is sent to (mailto in amanda.conf)");
        assert_eq!(told("mailto \"x\"\nmailer \"/no/such\"\n"), "the mailer /no/such cannot be started (mailer in amanda.conf)");
        let dir = tempfile::tempdir().expect("directory");
        let mailer = mailer(dir.path(), "echo 'no route' >&2; exit 3");
        let told = told(&format!("mailto \"x\"\nmailer \"{}\"\n", mailer.display()));
        assert!(told.ends_with("did not take the mail: no route (exit status: 3)"), "{told}");
    }
}
