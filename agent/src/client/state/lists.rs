//! Lists that lie where Amanda's own client keeps them, and move as it moves them (client-src/sendbackup-gnutar.c): a dump works on a
//! copy, and when it has ended well the copy takes the list's name and amandates gets its line. So each of the two clients goes on
//! where the other one stopped.
//!
//! There is no way back from here. A server that does not have the dump all the same must ask for a full one next.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::PathBuf;

use wire::{DiskName, HostName};

use super::amandates::{self, Change};
use super::attempt::Attempt;
use super::place::Place;
use super::{StateError, stock};

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
    fn name(&self, disk: &DiskName, level: u8) -> OsString {
        stock::name_of(self.host.as_str().as_bytes(), disk, level)
    }

    /// Returns where the list of a disk's last dump at a level is, for words about it.
    pub(super) fn list(&self, disk: &DiskName, level: u8) -> PathBuf {
        self.directory.join(self.name(disk, level))
    }

    /// Opens the directory of the lists. It is in one of Amanda's account, which must not lead root elsewhere.
    fn place(&self) -> Result<Place, StateError> {
        Place::without_links(&self.directory, "`[client] lists`").map_err(|source| StateError { path: self.directory.clone(), source })
    }

    fn place_of_amandates(&self) -> Result<Place, StateError> {
        let open = || Place::without_links(amandates::split(&self.amandates)?.0, "the one of `amandates`");
        open().map_err(|source| StateError { path: self.amandates.clone(), source })
    }

    /// Makes sure that both directories can be used: known only at a dump's end, it would all have been for nothing.
    pub(super) fn prepare(&self) -> Result<(), StateError> {
        self.place()?;
        self.place_of_amandates().map(drop)
    }

    /// Returns the levels that have a list, lowest first; none when the directory is not to be used.
    pub(super) fn levels(&self, disk: &DiskName) -> Vec<u8> {
        let Ok(place) = self.place() else { return Vec::new() };
        (0..=u8::MAX).filter(|level| place.look(&self.name(disk, *level)).is_ok()).collect()
    }

    /// Opens the list of a disk's last dump at a level.
    pub(super) fn open(&self, disk: &DiskName, level: u8) -> Result<File, StateError> {
        let opened = self.place()?.open(&self.name(disk, level), false);
        opened.map_err(|source| StateError { path: self.list(disk, level), source })
    }

    /// Takes a finished attempt's list in the place of the one of its level, durably, and notes the dump in amandates.
    ///
    /// # Errors
    /// When one of them cannot be written. The list may have moved then.
    pub(super) fn take(&self, attempt: &Attempt) -> Result<(), StateError> {
        let (disk, level) = (attempt.disk(), attempt.level());
        // Both before anything moves.
        let (lists, dates) = (self.place()?, self.place_of_amandates()?);
        let replaced = replace(&lists, &self.name(disk, level), attempt.finished()?);
        replaced.map_err(|source| StateError { path: self.list(disk, level), source })?;
        let change = Change::Advance(attempt.started());
        let noted = amandates::split(&self.amandates).and_then(|(_, name)| amandates::change_in(&dates, name, disk, level, change));
        noted.map_err(|source| StateError { path: self.amandates.clone(), source })
    }
}

fn replace(place: &Place, list: &OsString, mut finished: File) -> io::Result<()> {
    let mut new = list.clone();
    new.push(".new");
    // What a client left that was cut off. It is not written through: the directory is not ours.
    place.remove(&new)?;
    place.replace(list, &new, |file| {
        io::copy(&mut finished, file)?;
        if nix::unistd::geteuid().is_root() {
            // It is Amanda's like its directory.
            let owner = place.metadata()?;
            fchown(&*file, Some(owner.uid()), Some(owner.gid()))?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

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
        symlink(&others, lists.join("server1_srv_data_1.new")).expect("ours");
        world.dump(1, 100, "new");
        assert!(fs::read_to_string(&others).expect("there").ends_with("not Amanda's"));
        assert_eq!(world.list(1), "new");
        symlink(&others, lists.join("server1_srv_data_0")).expect("ours");
        fs::remove_file(lists.join("server1_srv_data_1")).expect("ours");
        assert!(world.state.begin(&world.disk, 1, 100).is_err(), "a link in the place of the base");
    }

    /// Puts a link in the place of a directory, to others' files of all the names that are used.
    fn lead_astray(directory: &Path, others: &Path) {
        fs::create_dir(others).expect("made");
        for name in ["server1_srv_data_0", "server1_srv_data_1", "server1_srv_data_1.new", "server1_srv_data_0.dump", "amandates"] {
            fs::write(others.join(name), format!("{HEAD}{name}")).expect("ours");
        }
        fs::rename(directory, directory.with_extension("moved")).expect("ours");
        symlink(others, directory).expect("ours");
    }

    fn all_in(directory: &Path) -> Vec<(OsString, u64, u32, Vec<u8>)> {
        let entry = |entry: fs::DirEntry| {
            let about = entry.metadata().expect("there");
            (entry.file_name(), about.ino(), about.uid(), fs::read(entry.path()).expect("there"))
        };
        let mut found: Vec<_> = fs::read_dir(directory).expect("there").flatten().map(entry).collect();
        found.sort();
        found
    }

    /// A dump is begun, and meanwhile a directory is swapped for a link: returns what is said at its end, and when the next one is to begin.
    fn swapped(world: &World, directory: &Path) -> [String; 2] {
        let attempt = world.state.begin(&world.disk, 1, 200).expect("begun");
        fs::write(attempt.snapshot(), format!("{HEAD}new")).expect("as tar does");
        let others = world.dir.path().join("others");
        lead_astray(directory, &others);
        let before = all_in(&others);
        let words = |error| crate::client::connection::words(&error);
        let end = words(world.state.keep(attempt, Crc { crc: 1, bytes: 1 }, 0).expect_err("a link"));
        let next = words(world.state.begin(&world.disk, 1, 300).expect_err("a link"));
        assert_eq!(all_in(&others), before, "nothing changes where it leads");
        [end, next]
    }

    #[test]
    fn a_directory_of_lists_that_is_a_link_is_refused_and_left_alone() {
        let world = World::new();
        let lists = world.dir.path().join("gnutar-lists");
        for words in swapped(&world, &lists) {
            assert!(words.contains(&format!("{} is a symbolic link", lists.display())), "{words}");
            assert!(words.contains("give the real directory as `[client] lists` in agent.toml"), "{words}");
        }
        assert!(world.state.levels(&world.disk).is_empty(), "nor is it read");
        assert!(!world.dir.path().join("amandates").exists(), "there is no such dump");
    }

    #[test]
    fn a_directory_of_amandates_that_is_a_link_is_refused_and_nothing_moves() {
        let mut world = World::new();
        let own = world.dir.path().join("amanda");
        fs::create_dir(&own).expect("made");
        let lists = Lists {
            directory: world.dir.path().join("gnutar-lists"),
            host: "server1".parse().expect("a name"),
            amandates: own.join("amandates"),
        };
        world.state = State::with_lists(&world.dir.path().join("state"), lists);
        for words in swapped(&world, &own) {
            assert!(words.contains(&format!("{} is a symbolic link", own.display())), "{words}");
            assert!(words.contains("`amandates` in agent.toml"), "{words}");
        }
        assert!(all_in(&world.dir.path().join("gnutar-lists")).is_empty(), "the list has not moved");
    }
}
