//! Restores, with Amanda's own tools and GNU tar, and the comparison that is the proof of a backup.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::amanda::Found;
use crate::child::{self, Background};
use crate::compare::{self, Exactness};
use crate::world::{Host, World};

/// How long Amanda may take to give back one small dump, or a listing.
const PATIENCE: Duration = Duration::from_secs(60);

static NEXT: AtomicUsize = AtomicUsize::new(0);

impl World {
    /// Returns the dumps that give a disk's newest state, the full one first, out of what Amanda lists of it.
    pub fn chain(&self, config: &str, host: &Host) -> Vec<Found> {
        let mut chain: Vec<Found> = Vec::new();
        for dump in self.amanda.find(config, host).into_iter().filter(|dump| dump.status == "OK") {
            // The same dump can lie on the holding disk and on a volume.
            if chain.iter().any(|have| have.datestamp == dump.datestamp) {
                continue;
            }
            chain.retain(|have| have.level < dump.level);
            chain.push(dump);
        }
        chain
    }

    /// Restores a disk's newest state into a fresh directory: `amfetchdump -p` for every dump of the chain, each unpacked over the
    /// one before by GNU tar in incremental mode, which also takes away what was deleted in between.
    ///
    /// # Panics
    /// When there is nothing to restore or a step fails.
    pub fn restore(&self, config: &str, host: &Host) -> PathBuf {
        let chain = self.chain(config, host);
        assert!(chain.first().is_some_and(|dump| dump.level == 0), "no full dump of {} is listed:\n{}", host.name, self.told());
        let target = self.dir.join(format!("restored-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&target).expect("a world of our own");
        for dump in &chain {
            let image = target.with_extension("tar");
            let mut fetch = self.amanda.command("amfetchdump");
            fetch.args(["-a", "-p", config, &format!("={}", host.name), &format!("={}", host.disk.display()), &dump.datestamp]);
            // A dump with a chunk missing makes amfetchdump wait for ever.
            let fetched = Background::start_into(fetch, fs::File::create(&image).expect("a world of our own")).wait(PATIENCE);
            assert_eq!(fetched.code, Some(0), "amfetchdump of {dump:?}: {}", fetched.stderr);
            let mut tar = child::program("tar");
            tar.args(["--extract", "--preserve-permissions", "--numeric-owner", "--listed-incremental=/dev/null"]);
            if self.exactness(host).attributes {
                tar.args(["--xattrs", "--xattrs-include=*", "--acls"]);
            }
            tar.arg("--file").arg(&image);
            tar.arg("--directory").arg(&target);
            child::must(tar);
            fs::remove_file(&image).expect("our own");
        }
        target
    }

    /// Returns what of a host's tree must come back: more when our own client has read it.
    pub fn exactness(&self, host: &Host) -> Exactness {
        if host.cable.is_some() && self.plan.client == "native" { compare::OURS } else { compare::STOCK }
    }

    /// Returns the names in a disk's root directory as amrecover's `ls` shows them: what a person browses, out of Amanda's index.
    ///
    /// # Panics
    /// When amrecover does not come to an end.
    pub fn browse(&self, config: &str, host: &Host) -> Vec<String> {
        let script = self.dir.join("amrecover.in");
        fs::write(&script, format!("sethost {}\nsetdisk \"{}\"\nls\nquit\n", host.name, host.disk.display())).expect("a world of our own");
        // It reads its commands from stdin.
        let mut amrecover = child::program("sh");
        amrecover
            .current_dir(&self.dir)
            .args(["-c", "exec /usr/sbin/amrecover \"$1\" -s localhost -t localhost -o auth=local < \"$2\"", "sh", config])
            .arg(&script);
        let said = child::run(amrecover, PATIENCE).stdout;
        // A line of ls: date and time in one word, a space, the name with a slash behind it when it is a directory.
        let name = |line: &str| {
            let (time, name) = line.split_once(' ')?;
            let is_time = time.len() == 19 && time.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
            // A name with a blank in it stands in quotes.
            is_time.then(|| name.trim_matches('"').trim_end_matches('/').to_owned())
        };
        said.lines().filter_map(name).collect()
    }

    /// Restores a disk's newest state by Amanda's own amrecover, which asks its index and runs its own tar.
    ///
    /// # Panics
    /// When amrecover does not come to an end, or says that something failed.
    pub fn recover(&self, config: &str, host: &Host) -> PathBuf {
        let target = self.dir.join(format!("recovered-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&target).expect("a world of our own");
        let script = self.dir.join("amrecover.in");
        let text = format!("sethost {}\nsetdisk \"{}\"\nadd *\nextract\nY\nY\nY\nY\nY\nY\nquit\n", host.name, host.disk.display());
        fs::write(&script, text).expect("a world of our own");
        let mut amrecover = child::program("sh");
        amrecover
            .current_dir(&target)
            .args(["-c", "exec /usr/sbin/amrecover \"$1\" -s localhost -t localhost -o auth=local < \"$2\"", "sh", config])
            .arg(&script);
        let said = child::run(amrecover, PATIENCE);
        assert!(!said.stdout.contains("extractor failed") && fs::read_dir(&target).is_ok_and(|mut dir| dir.next().is_some()), "{said}");
        target
    }

    /// Returns what of a tree amrecover brings back: it has GNU tar unpack without attributes.
    pub fn exactness_of_recover(&self) -> Exactness {
        Exactness { nanoseconds: self.plan.client == "native", ..compare::STOCK }
    }

    /// Says that a restore of a disk gives its source back, file for file.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn assert_restores(&self, config: &str, host: &Host) {
        let restored = self.restore(config, host);
        compare::assert_equal(&host.tree, &restored, self.exactness(host));
        fs::remove_dir_all(&restored).expect("our own");
    }
}
