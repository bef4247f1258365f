//! What tells this machine from others of its name, without saying which one it is.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use wire::names::hash;

/// The system's own, which is not to be shown to others as it is (machine-id(5)).
const MACHINE_ID: &str = "/etc/machine-id";
/// A new one for each reader.
const RANDOM: &str = "/proc/sys/kernel/random/uuid";
/// The file in the state where the system has none.
const OURS: &str = "machine";

/// Returns it as words for a file; none when there is nothing that tells it.
pub fn id(state: &Path) -> Option<String> {
    let own = || fs::read_to_string(state.join(OURS)).ok().filter(|text| !text.trim().is_empty());
    of_system(&fs::read_to_string(MACHINE_ID).unwrap_or_default()).or_else(|| own().map(|text| hidden(text.trim())))
}

/// The same, which is made where there is none.
pub fn certain_id(state: &Path) -> io::Result<String> {
    if let Some(id) = id(state) {
        return Ok(id);
    }
    fs::create_dir_all(state)?;
    let path = state.join(OURS);
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(mut file) => file.write_all(fs::read(RANDOM)?.as_slice()).and_then(|()| file.sync_all())?,
        // Another call has made it.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    id(state).ok_or_else(|| io::Error::new(ErrorKind::InvalidData, format!("{} is empty", path.display())))
}

fn of_system(text: &str) -> Option<String> {
    let text = text.trim();
    let is_one = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) && text.bytes().any(|byte| byte != b'0');
    is_one.then(|| hidden(text))
}

fn hidden(id: &str) -> String {
    format!("{:016x}", hash(format!("asyncamanda vault {id}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_told_by_its_id_and_its_id_is_not_told() {
        let id = "0123456789abcdef0123456789abcdef";
        let told = of_system(&format!("{id}\n")).expect("one");
        assert!(told.len() == 16 && !id.contains(&told));
        assert_eq!(of_system(id), Some(told));
        for none in ["", "uninitialized\n", &"0".repeat(32)] {
            assert_eq!(of_system(none), None);
        }
    }

    #[test]
    fn it_stays_the_same() {
        let state = tempfile::tempdir().expect("a directory");
        let state = state.path().join("state");
        let one = certain_id(&state).expect("made");
        assert_eq!((certain_id(&state).expect("there"), id(&state)), (one.clone(), Some(one)));
    }
}
