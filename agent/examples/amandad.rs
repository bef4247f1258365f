//! Serves one Amanda connection on standard input and output, as `amandad -auth=ssh` would, for trials with a real server:
//! `amandad_path` of a dumptype with auth "ssh" names a script that calls it as `amandad STATE DISK [PROGRAM …]`. Every attempt is promoted at
//! the end, as if its receipt were there.

use std::io::{self, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use asyncamanda::client::{Client, Disk, Kind, Out, Rules, Watch, serve, state::State};
use wire::DiskName;

struct Stdout;

impl Out for Stdout {
    fn send(&self, frame: Vec<u8>) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&frame[wire::frame::HEADER..])?;
        stdout.flush()
    }
}

struct Log;

impl Watch for Log {
    fn estimating(&self, disk: &DiskName, level: u8) {
        eprintln!("estimating {disk:?} {level}");
    }
    fn estimated(&self, _: &DiskName) {}
    fn dumping(&self, disk: &DiskName, level: u8) {
        eprintln!("dumping {disk:?} {level}");
    }
    fn moved(&self, _: &DiskName, _: u64, _: u64, _: u64) {}
    fn ended(&self, disk: &DiskName, how: &str) {
        eprintln!("ended {disk:?} {how}");
    }
    fn remarked(&self, what: &str) {
        eprintln!("{what}");
    }
    fn refused(&self, what: &str) {
        eprintln!("refused {what}");
    }
}

fn main() {
    let mut args = std::env::args_os().skip(1);
    let (Some(state), Some(disk)) = (args.next(), args.next()) else { return eprintln!("usage: amandad STATE DISK [PROGRAM ...]") };
    let name = DiskName::new(std::ffi::OsString::from_vec(disk.clone().into_vec())).expect("a disk name");
    let programs = [PathBuf::from("/usr/bin/tar")].into_iter().chain(args.map(PathBuf::from)).collect();
    let disks = vec![Disk { name, device: PathBuf::from(disk), exclude: Vec::new() }];
    let state = State::at(Path::new(&state));
    let client = Client {
        rules: Rules { host: None, config: None, disks, programs, kind: Kind::Native },
        state: state.clone(),
        watch: Arc::new(Log),
    };
    if let Err(error) = serve(io::stdin(), Arc::new(Stdout), Arc::new(client)) {
        eprintln!("{error}");
    }
    for pending in state.pending() {
        eprintln!("promoting {pending:?}");
        state.promote(&pending, "20261122003709", None).expect("promoted");
    }
}
