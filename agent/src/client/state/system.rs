//! Which file system a disk lay on when it was dumped, so that one that is not mounted is noticed: tar sees an almost empty
//! directory there, and takes it for the deletion of everything.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A file system, as far as it can be told from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSystem {
    /// Its device number, which may be another one after the next boot.
    device: u64,
    /// Its own id; 0 where there is none. Some make it of the device number.
    id: u64,
    /// Whether the directory was where it is mounted. A record of an older agent does not know.
    #[serde(default)]
    mounted: bool,
}

impl FileSystem {
    /// Returns the one that a directory is on.
    pub fn of(directory: &Path) -> io::Result<Self> {
        let device = fs::metadata(directory)?.dev();
        let id = nix::sys::statvfs::statvfs(directory)?.filesystem_id();
        // Of a link to a directory this is the parent of what it leads to.
        let mounted = fs::metadata(directory.join(".."))?.dev() != device;
        Ok(Self { device, id, mounted })
    }

    /// Tells whether a file system of its own was there, and what is there now belongs to the one around it.
    pub fn is_unmounted(self, now: Self) -> bool {
        self.mounted && !now.mounted
    }

    /// Tells whether the two may be one: a number that is the same is enough, since either of them may change by itself.
    pub fn may_be(self, other: Self) -> bool {
        self.device == other.device || (self.id != 0 && self.id == other.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_in_both_numbers_is_another() {
        let system = |device, id| FileSystem { device, id, mounted: false };
        for (case, other, same) in [
            ("the same", system(1, 7), true),
            ("another number after a boot", system(2, 7), true),
            ("another id", system(1, 8), true),
            ("another", system(2, 8), false),
            ("without an id", system(2, 0), false),
        ] {
            assert_eq!((system(1, 7).may_be(other), other.may_be(system(1, 7))), (same, same), "{case}");
        }
        assert!(!system(1, 0).may_be(system(2, 0)), "two without an id");
        assert!(!FileSystem::of(Path::new("/")).expect("/").may_be(FileSystem::of(Path::new("/proc")).expect("/proc")));
    }

    #[test]
    fn a_file_system_of_its_own_that_is_gone_is_noticed() {
        let of = |path: &str| FileSystem::of(Path::new(path)).expect(path);
        let (root, proc, below) = (of("/"), of("/proc"), of("/proc/self"));
        assert_eq!((root.mounted, proc.mounted, below.mounted), (false, true, false));
        assert!(proc.is_unmounted(below) && !below.is_unmounted(proc) && !proc.is_unmounted(proc) && !root.is_unmounted(root));
        let old: FileSystem = serde_json::from_str(r#"{"device":1,"id":2}"#).expect("an older agent's");
        assert!(!old.is_unmounted(root));
    }
}
