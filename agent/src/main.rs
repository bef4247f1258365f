//! The doorway of `asyncamanda`: the command line in, an exit status out.

use std::process::ExitCode;

use asyncamanda::client::amandad::keeper;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    if arguments.next().is_some_and(|name| name == keeper::NAME) {
        keeper::run(&arguments.next().unwrap_or_default().to_string_lossy());
        return ExitCode::SUCCESS;
    }
    ExitCode::from(asyncamanda::run(std::env::args_os()))
}
