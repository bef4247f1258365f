//! What holds for the client of a server's own machine, which calls nobody: the server starts it (`asyncamanda client`).

use std::path::PathBuf;

use wire::HostName;

use super::{ClientKind, ConfigError, Disk, Layer, PROGRAMS, Setting, Source, Surroundings};

/// Where Amanda's client keeps its lists and its record of dumps on Debian.
const LISTS: &str = "/var/lib/amanda/gnutar-lists";
const AMANDATES: &str = "/var/lib/amanda/amandates";

/// The settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// This machine's name in the disklist.
    pub host: HostName,
    /// The disks that the server may have.
    pub disks: Vec<Disk>,
    /// Programs that may be run.
    pub programs: Vec<PathBuf>,
    /// Where attempts are made.
    pub state: PathBuf,
    /// Where the lists of incremental dumps are (`[client] lists`, else `gnutar_lists`).
    pub lists: PathBuf,
    /// Amanda's record of dumps.
    pub amandates: PathBuf,
}

/// Puts the layers on top of each other, the first one that names a setting wins.
///
/// # Errors
/// When something is missing that the client cannot do without.
pub fn resolve(flags: Layer, file: Layer, around: &Surroundings) -> Result<Local, ConfigError> {
    let Some(path) = &around.file else { return Err(ConfigError::Missing { looked: around.looked.clone() }) };
    let wrong = |key: &str, place: Source, problem: &str| ConfigError::Value { key: key.to_owned(), place, problem: problem.to_owned() };
    let whole = || Source::File { path: path.as_path().into(), line: 1 };
    if let Some(client) = file.client.filter(|client| client.value == ClientKind::Amandad) {
        return Err(wrong("client", client.from, "a server starts amandad itself, with `[local] client` in shim.toml"));
    }
    let missing = "it is missing: this machine's name in the disklist, which the lists of incremental dumps have";
    let host = file.host.ok_or_else(|| wrong("host", whole(), missing))?.value;
    let said = |setting: Option<Setting<PathBuf>>, usual: &str| setting.map_or_else(|| PathBuf::from(usual), |setting| setting.value);
    Ok(Local {
        host,
        disks: file.disks.into_iter().map(|disk| disk.value).collect(),
        programs: file.programs.map_or_else(|| PROGRAMS.iter().map(PathBuf::from).collect(), |programs| programs.value),
        state: flags.state.or(file.state).map_or_else(|| around.state.clone(), |state| state.value),
        lists: said(file.lists.or(file.gnutar_lists), LISTS),
        amandates: said(flags.amandates.or(file.amandates), AMANDATES),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file;
    use std::path::Path;
    use std::sync::Arc;

    fn of(text: &str) -> Result<Local, ConfigError> {
        let path: Arc<Path> = Path::new("/etc/asyncamanda/agent.toml").into();
        let layer = file::parse(text, &path, None)?;
        let around = Surroundings { file: Some(path.to_path_buf()), looked: Vec::new(), state: "/var/lib/asyncamanda".into() };
        resolve(Layer::default(), layer, &around)
    }

    #[test]
    fn a_server_is_not_needed_and_lists_are_where_amandas_client_has_them() {
        let local = of("host = \"server1\"\n[[disk]]\npath = \"/home\"\n").expect("enough");
        assert_eq!((local.lists, local.amandates), (PathBuf::from(LISTS), PathBuf::from(AMANDATES)));
        assert_eq!((local.disks.len(), local.host.as_str()), (1, "server1"));
        let moved = of("host = \"a\"\ngnutar_lists = \"/old\"\n[client]\nlists = \"/lists\"\n").expect("enough");
        assert_eq!(moved.lists, PathBuf::from("/lists"));
    }

    #[test]
    fn what_is_missing_or_unknown_is_named_with_its_place() {
        for (text, parts) in [
            ("[[disk]]\npath = \"/home\"\n", &["agent.toml:1", "host"][..]),
            ("host = \"a\"\n[client]\nlists = \"lists\"\n", &["agent.toml:3", "absolute"]),
            ("host = \"a\"\n[client]\nlist = \"/lists\"\n", &["agent.toml:3", "list"]),
            ("host = \"a\"\nclient = \"amandad\"\n", &["agent.toml:2", "starts amandad itself"]),
        ] {
            let words = of(text).map(drop).expect_err(text).to_string();
            assert!(parts.iter().all(|part| words.contains(part)), "{text:?}: {words}");
        }
    }
}
