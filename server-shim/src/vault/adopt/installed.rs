//! The Amanda of this machine, as it describes itself.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use amanda::dle::Dle;
use nix::unistd::User;
use wire::{ConfigName, Exit};

use crate::child;
use crate::config::Config;
use crate::report::Words;

/// How long a program may take that only looks something up or notes something down.
const PATIENCE: Duration = Duration::from_secs(120);

/// An installed Amanda.
#[derive(Debug, Clone)]
pub struct Installed {
    sbin: PathBuf,
    /// Where its configs are.
    pub config_dir: PathBuf,
    /// Its account.
    pub account: User,
    /// Its client's record of dumps.
    pub amandates: PathBuf,
    /// Where its client keeps GNU tar's lists.
    pub lists: PathBuf,
}

impl Installed {
    /// Asks Amanda where everything is.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(config: &Config) -> Result<Self, Words> {
        let ask = |arguments: &[&str]| getconf(config, arguments);
        let login = ask(&["build.client_login"])?;
        let account = User::from_name(&login).ok().flatten().ok_or_else(|| {
            Words::new(Exit::Config, format!("Amanda's account \"{login}\" is not there"))
                .hint("install Amanda's packages anew, which make it")
        })?;
        Ok(Self {
            sbin: config.amanda_sbin.clone(),
            config_dir: ask(&["build.config_dir"])?.into(),
            account,
            amandates: ask(&["--client", "amandates"])?.into(),
            lists: ask(&["--client", "gnutar_list_dir"])?.into(),
        })
    }

    /// Returns the account's numbers.
    pub fn owner(&self) -> (u32, u32) {
        (self.account.uid.as_raw(), self.account.gid.as_raw())
    }

    fn run(&self, arguments: &[OsString]) -> Result<Vec<u8>, Words> {
        let mut command = Command::new(self.sbin.join("amadmin"));
        command.args(arguments).current_dir("/").env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LANG", "C.UTF-8");
        command.env("HOME", &self.account.dir).uid(self.owner().0).gid(self.owner().1);
        let shown: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
        let failed = |why: String| {
            Words::new(Exit::Failed, "Amanda has the vault, and does not come to terms with it").because(why).hint(format!(
                "try it as {}: amadmin {}; then give the same command again",
                self.account.name,
                shown.join(" ")
            ))
        };
        let output = child::finish(&mut command, PATIENCE).map_err(|error| failed(error.to_string()))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(failed(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().replace('\n', "; ")))
    }

    /// Makes the next dump of a disk a full one.
    ///
    /// # Errors
    /// When Amanda does not take it.
    pub fn force_full(&self, config: &ConfigName, dle: &Dle) -> Result<(), Words> {
        let arguments = [config.as_str().into(), "--exact-match".into(), "force".into(), dle.host.clone().into(), dle.disk.clone()];
        self.run(&arguments).map(drop)
    }

    /// Returns how many whole dumps Amanda finds.
    ///
    /// # Errors
    /// When it cannot read the catalog.
    pub fn count_dumps(&self, config: &ConfigName) -> Result<usize, Words> {
        let listed = self.run(&[config.as_str().into(), "find".into()])?;
        Ok(amanda::chains::chains(&amanda::admin::find::parse(&listed)).values().map(Vec::len).sum())
    }
}

fn getconf(config: &Config, arguments: &[&str]) -> Result<String, Words> {
    let program = config.amanda_sbin.join("amgetconf");
    let missing = |why: String| {
        Words::new(Exit::Config, "there is no Amanda on this machine that could have the vault")
            .because(why)
            .hint("install it (Debian: amanda-server, amanda-client, libencode-locale-perl), or set amanda_sbin in shim.toml")
    };
    let mut command = Command::new(&program);
    command.args(arguments).current_dir("/").env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LANG", "C.UTF-8");
    let output = child::finish(&mut command, PATIENCE).map_err(|error: io::Error| missing(format!("{}: {error}", program.display())))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && !said.is_empty() {
        return Ok(said);
    }
    let why = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Err(missing(format!("{} {}: {why}", program.display(), arguments.join(" "))))
}
