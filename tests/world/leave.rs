//! How a world goes: its processes, and what it has outside its directory; also for worlds whose test was killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::procs::{self, Process};
use crate::wait::until_true;
use crate::{net, system};

/// Returns the world's sudoers file. sudo passes over names with a dot in them.
pub(crate) fn sudoers(name: &str) -> PathBuf {
    Path::new("/etc/sudoers.d").join(format!("asyncamanda-test-{name}"))
}

/// Returns the file that tells the dump user's ssh where this world's laptops are.
pub(crate) fn drop_in(name: &str) -> PathBuf {
    Path::new("/etc/ssh/ssh_config.d").join(format!("{name}.conf"))
}

/// Ends all processes of a world and removes what it has.
pub(crate) fn end(name: &str, dir: &Path) {
    let overlay = format!("{name}-own");
    let kill_all = || {
        let left = procs::of_world(&[name, &overlay], &[dir]);
        left.iter().for_each(Process::kill_9);
        left.is_empty()
    };
    if std::thread::panicking() {
        // A second panic would end the process without a word.
        for _ in 0..50 {
            if kill_all() {
                break;
            }
            crate::wait::glance();
        }
    } else {
        until_true("the processes of a world to end", Duration::from_secs(30), kill_all);
    }
    // File systems that a test put into it, and could not take away itself.
    for mount in fs::read_to_string("/proc/self/mounts").unwrap_or_default().lines() {
        if let Some(path) = mount.split(' ').nth(1).filter(|path| Path::new(path).starts_with(dir)) {
            let _gone_already = Command::new("umount").arg("--lazy").arg(path).status();
        }
    }
    let _gone_already = fs::remove_file(sudoers(name));
    let _gone_already = fs::remove_file(drop_in(name));
    net::take_up(name);
    for config in [name, &overlay] {
        let _not_there = fs::remove_dir_all(Path::new(system::CONFIGS).join(config));
        for side in ["server", "client", "log"] {
            let _not_there = fs::remove_dir_all(Path::new("/var/log/amanda").join(side).join(config));
        }
    }
    let _not_there = fs::remove_dir_all(dir);
}

/// Removes worlds whose test process was killed.
pub(crate) fn sweep() {
    let Ok(entries) = fs::read_dir("/tmp") else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name
            .strip_prefix("aa")
            .and_then(|rest| rest.split_once('x'))
            .and_then(|(pid, number)| number.parse::<u32>().ok().and(pid.parse::<i32>().ok()));
        if pid.is_some_and(|pid| procs::read(pid).is_none()) && std::env::var_os("AA_KEEP_WORLD").is_none() {
            end(&name, &entry.path());
        }
    }
}

/// Ends and removes the worlds of this process, for one that ends without dropping them (^C, or a panic that aborts).
pub fn abandon() {
    let own = format!("aa{}x", std::process::id());
    for entry in fs::read_dir("/tmp").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(&own) {
            end(&name, &entry.path());
        }
    }
}
