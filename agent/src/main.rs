//! The doorway of `asyncamanda`: the command line in, an exit status out.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(asyncamanda::run(std::env::args_os()))
}
