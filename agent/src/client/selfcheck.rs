//! Whether backups would work, as amcheck asks it (client-src/selfcheck.c).

use std::fs::File;
use std::io::Write as _;

use amanda::escape::printable;
use amanda::protocol::features::Features;
use amanda::protocol::reply::{CheckLine, Selfcheck};
use amanda::protocol::request::{DleRequest, Options, Request};

use super::allow::{self, Filter, Refusal};
use super::{Client, connection, mounts, patterns};

/// Room that a dump's own files need, in KiB; Amanda's client asks for the same.
const ROOM: u64 = 64;

/// Returns the answer to a request for a check.
pub fn check(client: &Client, request: &Request) -> Selfcheck {
    let mut lines = Vec::new();
    lines.push(CheckLine::Ok(format!("asyncamanda {}", env!("CARGO_PKG_VERSION")).into_bytes()));
    for dle in &request.dles {
        match disk(client, dle) {
            Ok(remarks) => {
                lines.extend([&dle.disk[..], dle.directory()].map(|name| CheckLine::Ok(name.to_vec())));
                lines.extend(remarks.into_iter().map(|remark| CheckLine::Error(remark.into_bytes())));
            }
            Err(refusal) => {
                client.watch.refused(&refusal.to_string());
                lines.push(CheckLine::Error(refusal.to_string().into_bytes()));
            }
        }
    }
    match overall(client) {
        Ok(found) => lines.push(CheckLine::Ok(found.into_bytes())),
        Err(refusal) => lines.push(CheckLine::Error(refusal.to_string().into_bytes())),
    }
    let options = Options { features: Some(Features::ours()), hostname: request.options.hostname.clone(), ..Options::default() };
    Selfcheck { options, lines }
}

fn disk(client: &Client, request: &DleRequest) -> Result<Vec<String>, Refusal> {
    let grant = allow::dle(&client.rules, request)?;
    let device = &grant.disk.device;
    let unreadable = |error| Refusal::new(format!("cannot read {}: {error}", printable(device.as_os_str().as_encoded_bytes())));
    std::fs::read_dir(device).map_err(unreadable)?;
    // A check asks for no level; the next dump builds on the highest one, as far as anybody knows.
    let (_, moved) = mounts::look(&client.state, grant.disk, u8::MAX)?;
    if let Filter::Program(program) = &grant.filter {
        runnable(program)?;
    }
    // Written and read as for a dump: a pattern that cannot be used shows now.
    let scratch = tempfile::tempdir_in(writable(client)?)
        .map_err(|error| Refusal::new(format!("cannot write below {}: {error}", client.state.root().display())))?;
    let remarks = patterns::write(scratch.path(), grant.disk, request)?.remarks;
    Ok(remarks.into_iter().chain(moved).collect())
}

fn overall(client: &Client) -> Result<String, Refusal> {
    let tar = super::tar(&client.rules)?;
    let root = writable(client)?;
    let here = |error: std::io::Error| Refusal::new(format!("cannot write below {}: {error}", root.display()));
    let mut file = tempfile::tempfile_in(root).map_err(here)?;
    file.write_all(&[0; 4096]).and_then(|()| file.sync_data()).map_err(here)?;
    let room = nix::sys::statvfs::statvfs(root).map(|disk| disk.blocks_available() * disk.fragment_size() / 1024).unwrap_or(u64::MAX);
    if room < ROOM {
        return Err(Refusal::new(format!("there is no room below {}: {room} KiB", root.display())));
    }
    Ok(tar)
}

fn writable(client: &Client) -> Result<&std::path::Path, Refusal> {
    client.state.prepare().map_err(|error| Refusal::new(connection::words(&error)))?;
    Ok(client.state.root())
}

fn runnable(program: &std::path::Path) -> Result<(), Refusal> {
    use std::os::unix::fs::PermissionsExt as _;
    let found =
        File::open(program).and_then(|file| file.metadata()).map_err(|error| Refusal::new(format!("{}: {error}", program.display())))?;
    if found.is_file() && found.permissions().mode() & 0o111 != 0 {
        Ok(())
    } else {
        Err(Refusal::new(format!("{} cannot be run", program.display())))
    }
}
