//! What a run leaves behind that nobody will take up: half an index of a dump that was cut off early.

use std::fs;
use std::io;
use std::path::Path;

use amanda::dle::Dle;
use amanda::quoting::sanitise;

/// Removes the unfinished indexes of one disk's dumps in the run of this datestamp; returns how many there were.
///
/// Amanda's dumper writes `INDEXDIR/HOST/DISK/STAMP_LEVEL….tmp` and renames it at the end (server-src/dumper.c). Its own clean-up
/// looks only at dumps that it knows. To be called when nothing of the run lives any more.
pub fn remove_half_indexes(indexdir: &Path, stamp: &str, dle: &Dle) -> io::Result<usize> {
    use std::os::unix::ffi::OsStrExt as _;
    let directory = indexdir.join(sanitise(dle.host.as_bytes())).join(sanitise(dle.disk.as_bytes()));
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let half =
            name.to_str().is_some_and(|name| name.ends_with(".tmp") && name.strip_prefix(stamp).is_some_and(|rest| rest.starts_with('_')));
        if half && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_half_indexes_of_that_run_and_disk_go() {
        let root = tempfile::tempdir().expect("a directory");
        let directory = root.path().join("laptop1/_home docs");
        fs::create_dir_all(&directory).expect("made");
        let names = [
            "20261123191218_0-unsorted.gz.tmp",
            "20261123191218_0.gz.tmp",
            "20261123191218_0.gz",
            "20261122191218_0-unsorted.gz.tmp",
            "202611231912180_1.gz.tmp",
        ];
        names.iter().for_each(|name| fs::write(directory.join(name), "half").expect("written"));
        let dle = Dle::new("laptop1", "/home docs");
        assert_eq!(remove_half_indexes(root.path(), "20261123191218", &dle).expect("readable"), 2);
        let mut left: Vec<_> = fs::read_dir(&directory).expect("there").flatten().map(|entry| entry.file_name()).collect();
        left.sort();
        assert_eq!(left, [names[3], names[4], names[2]]);
        assert_eq!(remove_half_indexes(root.path(), "1", &Dle::new("laptop2", "/")).expect("nothing"), 0);
    }
}
