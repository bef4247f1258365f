//! Whether a disk's file system is there: where it is not mounted, tar sees an almost empty directory and takes it for the deletion
//! of everything, and after the next full dump nothing else is left.

use amanda::escape::printable;

use super::Disk;
use super::allow::Refusal;
use super::state::{FileSystem, State};

/// Looks where a disk is now, compared with its last dump. Returns its file system, where that is known, and a remark.
///
/// # Errors
/// When it was a file system of its own and is none now. Where only the numbers differ there is a remark: for some file systems
/// both change by themselves.
pub fn look(state: &State, disk: &Disk, level: u8) -> Result<(Option<FileSystem>, Option<String>), Refusal> {
    let name = printable(disk.device.as_os_str().as_encoded_bytes());
    let Ok(now) = FileSystem::of(&disk.device) else { return Ok((None, None)) };
    match state.was_on(&disk.name, level) {
        Some((was, file)) if was.is_unmounted(now) => Err(Refusal::new(format!(
            "{name} was a file system of its own when it was last dumped and is not mounted now; mount it, or remove {} if it is to stay so",
            file.display()
        ))),
        Some((was, _)) if !was.may_be(now) => {
            Ok((Some(now), Some(format!("{name} was on another file system when it was last dumped: is it mounted?"))))
        }
        _ => Ok((Some(now), None)),
    }
}
