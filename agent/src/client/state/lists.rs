//! Lists that lie where Amanda's own client keeps them, and move as it moves them (client-src/sendbackup-gnutar.c): a dump works on a
//! copy, and when it has ended well the copy takes the list's name and amandates gets its line. So each of the two clients goes on
//! where the other one stopped.
//!
//! There is no way back from here. A server that does not have the dump all the same must ask for a full one next.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use nix::libc;
use wire::{DiskName, HostName};

use super::amandates::{self, Change};
use super::attempt::Attempt;
use super::{StateError, stock, sync};

/// The lists of a host.
#[derive(Debug, Clone)]
pub struct Lists {
    /// `gnutar_list_dir` of Amanda's client.
    pub directory: PathBuf,
    /// The host, as the disklist has it: lists have its name.
    pub host: HostName,
    /// The client's record of dumps.
    pub amandates: PathBuf,
}

impl Lists {
    /// Returns the list of a disk's last dump at a level.
    pub(super) fn list(&self, disk: &DiskName, level: u8) -> PathBuf {
        stock::list_of(&self.directory, self.host.as_str().as_bytes(), disk, level)
    }

    /// Takes a finished attempt's list in the place of the one of its level, durably, and notes the dump in amandates.
    ///
    /// # Errors
    /// When one of them cannot be written. The list may have moved then.
    pub(super) fn take(&self, attempt: &Attempt) -> Result<(), StateError> {
        let list = self.list(attempt.disk(), attempt.level());
        let finished = attempt.finished()?;
        self.replace(&list, finished).map_err(|source| StateError { path: list, source })?;
        let change = Change::Advance(attempt.started());
        amandates::change(&self.amandates, attempt.disk(), attempt.level(), change)
            .map_err(|source| StateError { path: self.amandates.clone(), source })
    }

    fn replace(&self, list: &Path, mut finished: File) -> io::Result<()> {
        let mut new = list.as_os_str().to_owned();
        new.push(".new");
        let new = Path::new(&new);
        // What a client left that was cut off. It is not written through: the directory is not ours.
        match fs::remove_file(new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = File::options().write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(new)?;
        io::copy(&mut finished, &mut file)?;
        if nix::unistd::geteuid().is_root() {
            // It is Amanda's like its directory.
            let owner = fs::metadata(&self.directory)?;
            fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
        }
        file.sync_all()?;
        fs::rename(new, list)?;
        sync(&self.directory)
    }
}

#[cfg(test)]
mod tests {
    use amanda::crc::Crc;

    use super::*;
    use crate::client::state::State;

    const HEAD: &str = "GNU tar-1.34-2\n1700000000\x000\x00";

    struct World {
        dir: tempfile::TempDir,
        state: State,
        disk: DiskName,
    }

    impl World {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            let directory = dir.path().join("gnutar-lists");
            fs::create_dir(&directory).expect("made");
            let lists = Lists { directory, host: "server1".parse().expect("a name"), amandates: dir.path().join("amandates") };
            let state = State::with_lists(&dir.path().join("state"), lists);
            Self { state, disk: DiskName::new("/srv/data").expect("a name"), dir }
        }

        fn dump(&self, level: u8, started: i64, says: &str) {
            let attempt = self.state.begin(&self.disk, level, started).expect("begun");
            fs::write(attempt.snapshot(), format!("{HEAD}{says}")).expect("as tar does");
            let kept = self.state.keep(attempt, Crc { crc: 1, bytes: 1 }, 0).expect("kept");
            assert_eq!(kept, None, "no receipt decides about it");
        }

        fn list(&self, level: u8) -> String {
            fs::read_to_string(self.dir.path().join(format!("gnutar-lists/server1_srv_data_{level}")))
                .expect("a list")
                .split_off(HEAD.len())
        }
    }

    #[test]
    fn a_dump_leaves_what_amandas_client_would_leave() {
        let world = World::new();
        world.dump(0, 100, "full");
        world.dump(1, 200, "incremental");
        assert_eq!((world.list(0), world.list(1)), ("full".to_owned(), "incremental".to_owned()));
        assert_eq!(fs::read_to_string(world.dir.path().join("amandates")).expect("there"), "/srv/data 0 100\n/srv/data 1 200\n");
        let left: Vec<_> = fs::read_dir(world.dir.path().join("gnutar-lists")).expect("there").collect();
        assert_eq!(left.len(), 2, "nothing else is left there: {left:?}");
        assert_eq!(world.state.levels(&world.disk), [0, 1]);
        assert!(world.state.pending().is_empty());
    }

    #[test]
    fn a_dump_goes_on_where_amandas_client_stopped() {
        let world = World::new();
        let amandas = world.dir.path().join("gnutar-lists/server1_srv_data_0");
        fs::write(&amandas, format!("{HEAD}by Amanda's client")).expect("ours");
        let attempt = world.state.begin(&world.disk, 1, 300).expect("begun");
        assert!(fs::read_to_string(attempt.snapshot()).expect("there").ends_with("by Amanda's client"));
        drop(attempt);
        assert_eq!(world.list(0), "by Amanda's client", "an attempt that comes to nothing moves nothing");
    }

    #[test]
    fn nothing_is_read_or_written_through_a_link() {
        let world = World::new();
        let lists = world.dir.path().join("gnutar-lists");
        let others = world.dir.path().join("others");
        fs::write(&others, format!("{HEAD}not Amanda's")).expect("ours");
        std::os::unix::fs::symlink(&others, lists.join("server1_srv_data_1.new")).expect("ours");
        world.dump(1, 100, "new");
        assert!(fs::read_to_string(&others).expect("there").ends_with("not Amanda's"));
        assert_eq!(world.list(1), "new");
        std::os::unix::fs::symlink(&others, lists.join("server1_srv_data_0")).expect("ours");
        fs::remove_file(lists.join("server1_srv_data_1")).expect("ours");
        assert!(world.state.begin(&world.disk, 1, 100).is_err(), "a link in the place of the base");
    }
}
