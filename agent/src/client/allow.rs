//! What a server may ask for: a decision by values. Refusals are sentences that name what would allow it.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use amanda::escape::printable;
use amanda::protocol::request::{Compress, DataPath, DleRequest, Encrypt, Options, Patterns, Program, Service};

use super::{Disk, Kind, Rules};

/// Patterns that one disk may have.
const MAX_PATTERNS: usize = 4096;
/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 4096;

/// Why a server does not get what it asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);

impl Refusal {
    /// Makes a refusal of a sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// What was allowed about one disk; only [`dle`] makes it.
#[derive(Debug, Clone)]
pub struct Grant<'a> {
    /// The disk, as our own configuration has it.
    pub disk: &'a Disk,
    /// Who compresses on this side.
    pub filter: Filter,
}

/// What the dump passes on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// Nothing.
    None,
    /// gzip at a level.
    Gzip(u32),
    /// zstd, in this program and in frames ([`amanda::frames`]).
    Zstd,
    /// A program that our configuration lists.
    Program(PathBuf),
}

/// Says whether what this program of agent.toml does is done in this program: it need not be there. Everything called zstd writes what
/// `zstd -d` reads, which is what a restore runs.
pub fn is_built_in(program: &Path) -> bool {
    program.is_absolute() && program.file_name().is_some_and(|name| name == "zstd")
}

/// Returns the tar that is run.
pub fn tar(rules: &Rules) -> Result<&Path, Refusal> {
    let is_tar = |path: &&PathBuf| path.file_name().is_some_and(|name| name == "tar" || name == "gtar");
    rules
        .programs
        .iter()
        .find(is_tar)
        .map(PathBuf::as_path)
        .ok_or_else(|| Refusal::new("no tar may be run here: add \"/usr/bin/tar\" to programs in agent.toml"))
}

/// Decides whether the server speaks of this laptop at all.
pub fn host(rules: &Rules, options: &Options) -> Result<(), Refusal> {
    match (&rules.host, &options.hostname) {
        (Some(ours), Some(asked)) if ours.as_str().as_bytes() != asked => Err(Refusal::new(format!(
            "the server asks for host {}, and this is {ours}: set host in agent.toml to the name in the disklist",
            printable(asked)
        ))),
        _ => Ok(()),
    }
}

/// Decides whether the server speaks of the config that the session is for: a dump of another one would build on what this one has.
pub fn config(rules: &Rules, service: Service, options: &Options) -> Result<(), Refusal> {
    match (&rules.config, &options.config) {
        (Some(ours), Some(asked)) if ours.as_str().as_bytes() != asked && matches!(service, Service::Sendsize | Service::Sendbackup) => {
            Err(Refusal::new(format!("this session is for config {ours}; the server's Amanda asks for {}", printable(asked))))
        }
        _ => Ok(()),
    }
}

/// Decides about one disk of a request.
pub fn dle<'a>(rules: &'a Rules, request: &DleRequest) -> Result<Grant<'a>, Refusal> {
    let disk = disk(rules, request)?;
    if let Some(name) = request.unknown.first() {
        return Err(Refusal::new(format!("the server asks for <{}>, which this client does not know", printable(name.as_bytes()))));
    }
    if rules.kind != Kind::Native {
        // The installed amandad does what it is asked to.
        return Ok(Grant { disk, filter: Filter::None });
    }
    let only_amandad = |what: &str| Err(Refusal::new(format!("{what}: change the dumptype, or set client = \"amandad\" in agent.toml")));
    match &request.program {
        Program::Gnutar => {}
        Program::Dump => return only_amandad("this client makes dumps with GNUTAR, not with DUMP"),
        Program::Application => return only_amandad("this client makes dumps with GNUTAR and runs no application"),
        Program::Other(other) => {
            return only_amandad(&format!("this client makes dumps with GNUTAR, not with {}", printable(other)));
        }
    }
    if request.application.is_some() {
        return only_amandad("this client runs no application");
    }
    if !request.scripts.is_empty() {
        return only_amandad("this client runs no scripts");
    }
    if !request.properties.is_empty() {
        return only_amandad("this client takes no properties");
    }
    if matches!(request.encrypt, Encrypt::Client { .. }) {
        return only_amandad("this client runs no program that encrypts");
    }
    if request.kencrypt {
        return only_amandad("this client has no Kerberos");
    }
    if request.data_path != DataPath::Amanda {
        return only_amandad("this client opens no connections of its own (DIRECTTCP)");
    }
    // A connection that came up to here came through our own session, or from a vault in this program, whose dumptypes say "local" so
    // that the real Amanda can take the vault over. By whatever name, it passes the same gate.
    if let Some(auth) = &request.auth
        && ![&b"ssh"[..], b"local"].iter().any(|ours| auth.eq_ignore_ascii_case(ours))
    {
        return Err(Refusal::new(format!(
            "the dumptype says auth {:?}, and this client is reached by \"ssh\", in a vault by \"local\"",
            printable(auth)
        )));
    }
    patterns("exclude", &request.exclude)?;
    patterns("include", &request.include)?;
    Ok(Grant { disk, filter: filter(rules, &request.compress)? })
}

/// Name and directory must both be what our configuration says.
fn disk<'a>(rules: &'a Rules, request: &DleRequest) -> Result<&'a Disk, Refusal> {
    let name = printable(&request.disk);
    let Some(disk) = rules.disks.iter().find(|disk| disk.name.as_bytes() == request.disk) else {
        return Err(Refusal::new(format!("disk {name} is not served here: add [[disk]] path = \"{name}\" to agent.toml")));
    };
    if !disk.device.is_absolute() {
        return Err(Refusal::new(format!("disk {name} has no absolute path here: set device of this [[disk]] in agent.toml")));
    }
    if disk.device.as_os_str().as_bytes() != request.directory() {
        return Err(Refusal::new(format!(
            "disk {name} is {} here, and the server wants to read {}: set device of this [[disk]] in agent.toml, or diskdevice in the disklist",
            printable(disk.device.as_os_str().as_bytes()),
            printable(request.directory())
        )));
    }
    Ok(disk)
}

fn filter(rules: &Rules, compress: &Compress) -> Result<Filter, Refusal> {
    Ok(match compress {
        Compress::None | Compress::ServerFast | Compress::ServerBest | Compress::ServerCustom(_) => Filter::None,
        // `gzip --fast`. This library's level 1 knows no stored blocks, and what cannot be compressed grows by 3 %; level 2 does as gzip's 1.
        Compress::ClientFast => Filter::Gzip(2),
        Compress::ClientBest => Filter::Gzip(9),
        Compress::ClientCustom(program) => {
            let found = rules.programs.iter().find(|allowed| allowed.is_absolute() && allowed.as_os_str().as_bytes() == program);
            let named = printable(program);
            let refusal = || Refusal::new(format!("{named} may not be run here: add \"{named}\" to programs in agent.toml"));
            let found = found.ok_or_else(refusal)?;
            if is_built_in(found) { Filter::Zstd } else { Filter::Program(found.clone()) }
        }
    })
}

/// Patterns go into files, one on a line, and lists are looked up below the disk's directory; see [`super::patterns`].
fn patterns(what: &str, patterns: &Patterns) -> Result<(), Refusal> {
    let all = || patterns.files.iter().chain(&patterns.lists);
    if all().count() > MAX_PATTERNS || all().any(|pattern| pattern.len() > MAX_PATTERN) {
        return Err(Refusal::new(format!("the server's {what} has more or longer patterns than this client takes")));
    }
    match all().find(|pattern| pattern.is_empty() || pattern.iter().any(|byte| matches!(byte, 0 | b'\n'))) {
        Some(bad) => Err(Refusal::new(format!("the server's {what} {:?} is no pattern", printable(bad)))),
        None => Ok(()),
    }
}
