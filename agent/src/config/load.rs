//! Finds and reads the layers: the command line as parsed, the environment, the file. The edge of [`config`](super).

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::local::{self, Local};
use super::{Config, ConfigError, Destination, Fault, Interval, Layer, Setting, Source, Surroundings, Ways, file, resolve};
use crate::cli::Cli;

/// The machine's own file.
const SYSTEM_FILE: &str = "/etc/asyncamanda/agent.toml";
/// Where root keeps receipts.
const SYSTEM_STATE: &str = "/var/lib/asyncamanda";

/// Returns what holds for this command line, in this environment.
pub fn load(cli: &Cli) -> Result<Config, ConfigError> {
    load_with(cli, |name| std::env::var_os(name).filter(|value| !value.is_empty()))
}

/// The same with any environment.
pub fn load_with(cli: &Cli, environment: impl Fn(&str) -> Option<OsString>) -> Result<Config, ConfigError> {
    let bases = directories::BaseDirs::new();
    let home = bases.as_ref().map(directories::BaseDirs::home_dir);
    let flags = flags(cli, home)?;
    let environment_layer = environment_layer(&environment, home)?;
    let (file_layer, around) = file_layer(cli, &environment)?;
    resolve(flags, environment_layer, file_layer, &around)
}

/// Returns what holds for the client that a server starts on its own machine. Its environment is the server's, and has no say.
///
/// # Errors
/// When there is no file, or something is wrong in it.
pub fn load_local(cli: &Cli) -> Result<Local, ConfigError> {
    let bases = directories::BaseDirs::new();
    let flags = flags(cli, bases.as_ref().map(directories::BaseDirs::home_dir))?;
    let (file_layer, around) = file_layer(cli, &|_| None)?;
    local::resolve(flags, file_layer, &around)
}

/// Reads the file.
fn file_layer(cli: &Cli, environment: &impl Fn(&str) -> Option<OsString>) -> Result<(Layer, Surroundings), ConfigError> {
    let bases = directories::BaseDirs::new();
    let home = bases.as_ref().map(directories::BaseDirs::home_dir);
    let named = cli.config.clone().or_else(|| environment("ASYNCAMANDA_CONFIG").map(PathBuf::from));
    let looked = match named {
        Some(path) => vec![path],
        None => [Some(PathBuf::from(SYSTEM_FILE)), bases.as_ref().map(|bases| bases.config_dir().join("asyncamanda/agent.toml"))]
            .into_iter()
            .flatten()
            .collect(),
    };
    let must_exist = looked.len() == 1;
    let found = read_first(&looked)?;
    if must_exist && found.is_none() {
        return Err(ConfigError::Missing { looked });
    }
    let (path, layer) = match found {
        None => (None, Layer::default()),
        Some((path, text)) => {
            let layer = file::parse(&text, &Arc::from(path.as_path()), home)?;
            (Some(path), layer)
        }
    };
    Ok((layer, Surroundings { file: path, looked, state: default_state() }))
}

/// Returns where this user's receipts are kept when nothing is said: root's in `/var/lib`, others' under XDG.
pub fn default_state() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from(SYSTEM_STATE);
    }
    directories::BaseDirs::new()
        .and_then(|bases| bases.state_dir().map(|state| state.join("asyncamanda")))
        .unwrap_or_else(|| PathBuf::from(SYSTEM_STATE))
}

fn read_first(looked: &[PathBuf]) -> Result<Option<(PathBuf, String)>, ConfigError> {
    for path in looked {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                // Relative paths hang on the file's directory, and must not change with the current one.
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                return Ok(Some((path, text)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(ConfigError::Unreadable { path: path.clone(), source }),
        }
    }
    Ok(None)
}

fn text<'v>(key: &str, value: &'v OsStr, from: &Source) -> Result<&'v str, ConfigError> {
    value.to_str().ok_or_else(|| ConfigError::Value { key: key.to_owned(), place: from.clone(), problem: "it is not UTF-8".to_owned() })
}

fn setting<T>(
    key: &str,
    value: Option<&OsStr>,
    from: Source,
    parse: impl FnOnce(&str) -> Result<T, Fault>,
) -> Result<Option<Setting<T>>, ConfigError> {
    let Some(value) = value else { return Ok(None) };
    let value = text(key, value, &from)?.to_owned();
    Setting { key: key.to_owned(), value, from }.parsed::<T, str>(parse).map(Some)
}

fn flags(cli: &Cli, home: Option<&Path>) -> Result<Layer, ConfigError> {
    let ways = Ways { base: None, home };
    let flag = Source::Flag;
    Ok(Layer {
        interval: setting("interval", cli.interval.as_deref(), flag("--interval"), super::interval)?,
        amandates: setting("amandates", cli.amandates.as_deref().map(Path::as_os_str), flag("--amandates"), |text| ways.path(text))?,
        state: setting("state", cli.state.as_deref().map(Path::as_os_str), flag("--state"), |text| ways.path(text))?,
        destination: match cli.vault() {
            // Typed as a directory, so no host's name is looked for in it.
            Some((flag, path)) if is_like_a_server(path) => {
                return Err(ConfigError::NoDirectory { flag, text: path.to_string_lossy().into_owned() });
            }
            Some((name, path)) => setting("destination", Some(path.as_os_str()), flag(name), |text| ways.vault(text))?,
            None => setting("destination", cli.destination.as_deref(), flag("--destination"), |text| ways.destination(text))?,
        },
        ..Layer::default()
    })
}

/// Tells whether a directory that is not there would be called like a server, which is what was meant then.
fn is_like_a_server(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.contains([':', '@']) && !super::destination::is_path(&text) && std::fs::symlink_metadata(path).is_err()
}

fn environment_layer(environment: &impl Fn(&str) -> Option<OsString>, home: Option<&Path>) -> Result<Layer, ConfigError> {
    let ways = Ways { base: None, home };
    let (interval, state, destination) = ("ASYNCAMANDA_INTERVAL", "ASYNCAMANDA_STATE", "ASYNCAMANDA_DESTINATION");
    Ok(Layer {
        interval: setting::<Interval>("interval", environment(interval).as_deref(), Source::Environment(interval), super::interval)?,
        state: setting::<PathBuf>("state", environment(state).as_deref(), Source::Environment(state), |text| ways.path(text))?,
        destination: setting::<Destination>(
            "destination",
            environment(destination).as_deref(),
            Source::Environment(destination),
            |text| ways.destination(text),
        )?,
        ..Layer::default()
    })
}
