//! `asyncamanda-shim`: see the library.

use std::io::Write as _;
use std::process::ExitCode;

use asyncamanda_shim::cli::Cli;
use asyncamanda_shim::run;
use clap::Parser as _;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(words) => {
            let _ = writeln!(std::io::stderr(), "{words}");
            ExitCode::from(words.exit.code())
        }
    }
}
