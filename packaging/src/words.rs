//! What the manual pages say beyond the command lines.

use wire::Exit;

/// A term and its text.
pub type Item = (String, &'static str);

/// The sections of one page.
pub struct Words {
    /// Command lines, without the program's name.
    pub synopsis: Vec<&'static str>,
    /// Paragraphs.
    pub description: Vec<&'static str>,
    /// Statuses.
    pub exit_status: Vec<Item>,
    /// Variables.
    pub environment: Vec<Item>,
    /// Paths.
    pub files: Vec<Item>,
    /// Sentences, and the lines to type.
    pub examples: Vec<(&'static str, &'static str)>,
    /// One line.
    pub see_also: &'static str,
}

fn items(pairs: &[(&str, &'static str)]) -> Vec<Item> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), *text)).collect()
}

fn statuses(pairs: &[(Exit, &'static str)]) -> Vec<Item> {
    pairs.iter().map(|(exit, text)| (exit.code().to_string(), *text)).collect()
}

/// asyncamanda(1).
pub fn agent() -> Words {
    Words {
        synopsis: vec!["[OPTIONS] COMMAND", "-i INTERVAL -h [USER@]HOST[:PORT] [-k KEY] -c COMMAND -a AMANDATES"],
        description: vec![
            "asyncamanda runs on a laptop. It looks at its own record of backups, and when a backup is due it opens one ssh session to the Amanda \
             server and asks it to make one. The server queues the request, runs amdump for this laptop, and answers with a receipt for every \
             disk. Only a receipt counts as a backup; Amanda's amandates is a hint for disks that have none yet.",
            "Amanda reads this laptop's disks through that same session, so nothing has to reach the laptop: no port is open on it and no Amanda need \
             be installed. The client in this program reads them with GNU tar. It serves only the disks that agent.toml lists, leaves out \
             what agent.toml or the dumptype excludes, and runs only the programs that agent.toml lists. What the next incremental dump \
             builds on moves only when the server's receipt says that it has the dump. With client = \"amandad\" the installed amandad \
             answers instead, for dumptypes with applications, scripts or encryption on the client.",
            "A directory may stand for the server: a local vault, which is a config of Amanda with its volumes. Then everything goes on in this \
             program, and no server, no ssh and no Amanda is needed. now DIR... --to VAULT makes a vault with its first backup and adds to it later, \
             also without a configuration file. --from VAULT has ls, restore and recover look there; what is in it is restored by zstd and tar alone, or by Amanda, \
             as well. A vault that has answered before and is \
             not there now is a drive that is not plugged in: status 75, and nothing is written in its place. run makes no vault.",
            "A backup is due when the oldest disk is as old as the interval. A disk without a backup, with a last receipt that is not a backup, \
             with a date in the future or with a record that cannot be read is due as well.",
            "ls lists the dumps, or what was in a directory; restore gets files and directories back; recover is a shell with the commands of amrecover(8), whose \
             scripts it takes on standard input. All three read, over the same session and with the same key as a backup, and ask for no backup. A PATH is absolute or \
             hangs on the working directory; its disk is the longest one whose directory holds it, and neither need be there any more. Without --at it is \
             what the newest dump has; a day alone means its end, a minute its last second. What was deleted or renamed by then is so.",
            "restore puts what it gets where it came from, or with --to DIR into that directory, each PATH under its last name. A file that is there is kept unless \
             --overwrite is given, nothing is ever removed, and a file appears under its name only when it is complete. An ordinary user gets what an ordinary \
             user may have; root gets owners, devices and all attributes. When the connection is cut the same command goes on: what is there already is kept. \
             What is damaged is named, and everything that is whole comes back.",
            "extract in recover writes below the local directory (lcd), each file at its path below the disk, as amrecover does. It keeps files that are there, unlike \
             amrecover, unless --overwrite was given or a person at the terminal says so. Lines of a script that cannot be done are reported, the others are \
             done, and the status is 1.",
            "Settings are taken from flags, then from the environment, then from the configuration file, then from defaults. show-config prints \
             each of them and where it came from.",
            "Without a command the line is the one of the Perl script asyncamanda.pl: -i, -h, -c and -a must be there, -k may be. The caller's own \
             ssh configuration then holds. Where an asyncamanda-shim answers, the backup is queued and receipts are kept; where none does, the \
             command runs as it is given and its output and exit status are passed on. This line serves no disks: Amanda must be able to dial the \
             laptop.",
            "The -h option is the Perl script's host. Help is --help only.",
        ],
        exit_status: statuses(&[
            (Exit::Done, "Done, or nothing to do."),
            (
                Exit::Failed,
                "It was tried and failed: at least one disk has no backup, or a receipt could not be stored; something that was to come back is missing or damaged.",
            ),
            (Exit::Usage, "The command line is wrong."),
            (Exit::Unreachable, "The server cannot be reached. run says so only when it has lasted for more than three intervals."),
            (
                Exit::Later,
                "Busy, queued, interrupted, cut off, or a vault's drive is not plugged in: the same command will do later, and a restore goes on with it. run says so only when it has lasted for more than three intervals.",
            ),
            (Exit::Protocol, "What answers is not an asyncamanda-shim, or not one of this version."),
            (
                Exit::Refused,
                "The server refused the key or the request, or it is not the server that was pinned; or a directory is not a vault, or somebody else's.",
            ),
            (Exit::Config, "The configuration is wrong, here or on the server."),
        ]),
        environment: items(&[
            ("ASYNCAMANDA_CONFIG", "The configuration file, when --config is not given."),
            ("ASYNCAMANDA_INTERVAL", "Stands for interval in the file."),
            ("ASYNCAMANDA_STATE", "Stands for state in the file; holds for the Perl script's line as well."),
            ("ASYNCAMANDA_DESTINATION", "Stands for destination in the file."),
            ("XDG_RUNTIME_DIR", "The control socket of ssh is made here, or in /tmp."),
        ]),
        files: items(&[
            ("/etc/asyncamanda/agent.toml", "The configuration of this machine."),
            ("~/.config/asyncamanda/agent.toml", "The configuration of a user, read when the first one is not there."),
            (
                "/etc/asyncamanda/id_ed25519",
                "The private key, unless identity names another one. It is looked for beside the configuration file.",
            ),
            ("/etc/asyncamanda/known_hosts", "The pinned host keys of the server, unless known_hosts names another file."),
            (
                "/var/lib/asyncamanda/receipts/",
                "The receipts, when root runs the program; ~/.local/state/asyncamanda/receipts/ for others.",
            ),
            (
                "/var/lib/asyncamanda/client/",
                "What incremental dumps build on, for each server or vault and config: lists/ for dumps that the server has, pending/ for those that \
                 wait for its word.",
            ),
            (
                "/var/lib/amanda/amandates",
                "Amanda's record of dumps, read for disks without a receipt. A dump that the server has is written into it, where its directory exists.",
            ),
        ]),
        examples: vec![
            ("Try everything but the backup:", "asyncamanda check"),
            ("Back up now, and watch:", "asyncamanda now"),
            (
                "Back two directories up into a directory, and later all that is in it, whenever a day has passed:",
                "asyncamanda now ~/Documents ~/Pictures --to /media/usb/vault\nasyncamanda run --destination /media/usb/vault",
            ),
            (
                "What a directory had in it three days ago, and a file of it back beside the one that is there:",
                "asyncamanda ls ~/Documents --at \"3 days ago\"\nasyncamanda restore ~/Documents/letter.odt --at \"3 days ago\" --to /tmp",
            ),
            (
                "All of a directory back to where it was, from a drive, without a configuration file:",
                "asyncamanda restore ~/Documents --from /media/usb/vault",
            ),
            ("A script of amrecover's:", "printf 'setdisk /etc\\nlcd /etc\\nadd hosts\\nextract\\nquit\\n' | asyncamanda recover"),
            ("A disk in agent.toml, and what is left out of it:", "[[disk]]\npath = \"/home\"\nexclude = [\"*.iso\", \"./ada/.cache\"]"),
            ("In /etc/anacrontab, every day, 20 minutes after the start:", "1  20  asyncamanda.daily  /usr/bin/asyncamanda run"),
            (
                "The line of the Perl script, with one word changed:",
                "asyncamanda -i 24 -h amanda.example.com -k /var/backups/.ssh/id_rsa \\\n    -c \"/usr/sbin/amdump daily\" -a /var/lib/amanda/amandates",
            ),
        ],
        see_also: "asyncamanda-shim(8), amanda(8), amdump(8), amrecover(8), tar(1), ssh(1), ssh-keygen(1), anacrontab(5), systemd.timer(5)",
    }
}

/// asyncamanda-shim(8).
pub fn shim() -> Words {
    Words {
        synopsis: vec!["[--config FILE] COMMAND"],
        description: vec![
            "asyncamanda-shim runs on an Amanda server. As the forced command of a laptop's ssh key it lets that laptop ask for its own backup and for \
             nothing else. A request becomes a ticket in a queue on disk. The runner, a process of the dump user that is there while there is \
             something to do, starts amdump for the tickets so that no disk is ever in two runs, and publishes a receipt for every disk.",
            "While a laptop is connected, its session is the way to it: the ssh that Amanda starts finds a control socket for that host, and \
             what it says there goes through the session to the laptop's client. A host with reach = \"network\" in shim.toml is dialled by \
             Amanda itself. What a dump says about itself chooses no program on this server: words for its header that its dumptype does \
             not imply end the dump, and the system's log tells.",
            "There is no daemon. What goes on lies in files below the state directory; status reads them and disturbs nobody.",
            "serve runs as the account that laptops log in to. run, flush, check, report, find, tape, history and label are for root and for the dump user; the program becomes the dump user \
             itself when root calls it. runner is started by the shim through sudo, or by a systemd unit. tunnel answers the questions that ssh's \
             configuration asks.",
            "report tells what a run did, in plain words and then with the figures of amreport; find, tape and history show where the dumps are, which \
             volume is wanted, and what is remembered of disks. They read Amanda's files, whichever engine wrote them.",
            "With engine = \"embedded\" no Amanda is needed: vault makes a config of Amanda's kind with volumes in directories, and each run is a process \
             of this program that dumps the laptops through their sessions. run makes a nightly run, of the disks that are always there, too, and flush puts on \
             volumes what waits on the holding disk; label gives a volume its name. verify reads back what there \
             is: the stored bytes against the checksum of what was stored, and what comes out of them against the checksum of what was dumped. It \
             remembers when each dump was last found sound, which status shows. adopt hands a vault, this server's or a person's, to the installed Amanda, which goes on with the next level; it refuses what \
             it does not know, and changes nothing before everything has been looked at.",
        ],
        exit_status: statuses(&[
            (Exit::Done, "Done, or nothing to do."),
            (
                Exit::Failed,
                "It was tried and failed: a disk of the run has no backup, a volume could not be written, or verify has found damage.",
            ),
            (Exit::Usage, "The command line is wrong."),
            (
                Exit::Later,
                "Not now: the queue is full, a budget is used up, a vault is being written to, or something on this machine is short.",
            ),
            (Exit::Protocol, "The laptop and this program do not understand each other."),
            (Exit::Refused, "This key, host, account or request is not allowed."),
            (Exit::Config, "shim.toml or Amanda's configuration is wrong; check has found something that makes backups fail."),
        ]),
        environment: items(&[
            ("SSH_ORIGINAL_COMMAND", "What the laptop asks for; set by sshd, read by serve."),
            ("TZ", "Passed on to Amanda, whose datestamps are local time."),
        ]),
        files: items(&[
            (
                "/etc/asyncamanda/shim.toml",
                "The configuration. It must belong to root or to the account that reads it, and nobody else may be able to write it.",
            ),
            ("/var/lib/asyncamanda-shim/queue/", "Tickets, written by the account that laptops log in to."),
            ("/var/lib/asyncamanda-shim/runner/", "Runs, receipts and what goes on now, written by the dump user."),
            ("/var/lib/asyncamanda-shim/runner/runner.log", "What the runner did."),
            ("/var/lib/asyncamanda-shim/runner/verified/CONFIG.json", "When each dump of a config was last read back."),
            ("/run/asyncamanda/hosts/HOST/mux", "The control socket through which Amanda's ssh reaches a laptop that is connected."),
            ("/etc/ssh/ssh_config.d/asyncamanda.conf", "Tells Amanda's ssh where that socket is, and what to say when nobody is there."),
            (
                "/etc/amanda/CONFIG/",
                "With engine = \"embedded\": a config with its volumes, unless config_dir names another place for them.",
            ),
            ("/run/asyncamanda/locks/", "Locks; the files stay, a lock goes with its holder."),
        ]),
        examples: vec![
            ("Find what would keep laptops from being backed up:", "asyncamanda-shim check"),
            ("See what goes on, again every two seconds:", "asyncamanda-shim status --watch"),
            ("What did the last run do, in plain words?", "asyncamanda-shim report daily --plain"),
            (
                "Hear by mail, in the afternoon, of what would make the night's run fail:",
                "45 15 * * 1-5  /usr/bin/asyncamanda-shim check -m",
            ),
            (
                "The nightly line in the crontab of the dump user, in the place of amdump:",
                "45 0 * * 2-6  /usr/bin/asyncamanda-shim run daily",
            ),
            ("A server without an Amanda, for two laptops:", "asyncamanda-shim vault laptops --disk laptop1:/home --disk laptop2:/home"),
            ("Read back every dump that it has:", "asyncamanda-shim verify laptops"),
            (
                "Every night some of them, in the crontab of root: what was not verified for 30 days, 100 GiB at a time:",
                "17 5 * * *  /usr/bin/asyncamanda-shim verify laptops --older-than \"30 days\" --budget \"100 GiB\"",
            ),
            ("Hand a person's vault to the installed Amanda:", "asyncamanda-shim adopt /media/ada/usb/vault documents"),
            ("Ask a laptop that is connected, as the dump user:", "amcheck -c daily laptop1"),
            (
                "The line of a laptop's key in authorized_keys:",
                "restrict,command=\"/usr/bin/asyncamanda-shim serve --host laptop1\" ssh-ed25519 AAAA... laptop1",
            ),
            ("The rule in /etc/sudoers.d/asyncamanda:", "asyncamanda ALL=(backup) NOPASSWD: /usr/bin/asyncamanda-shim runner"),
        ],
        see_also: "asyncamanda(1), amanda(8), amdump(8), amflush(8), amanda.conf(5), disklist(5), ssh_config(5), sshd(8), sudoers(5)",
    }
}
