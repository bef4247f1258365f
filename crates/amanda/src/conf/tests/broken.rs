//! Broken configurations: each is told with its line, its column and what to write instead.

use super::*;

/// A config, and the error with its hint.
fn told(text: &str) -> Option<(String, String)> {
    let error = Config::load(Path::new("/etc/amanda/daily"), &files(&[("amanda.conf", text.as_bytes())])).err()?;
    Some((error.to_string().replace("/etc/amanda/daily/", ""), error.hint))
}

/// Settings of a dumptype, likewise.
fn told_of_dumptype(settings: &str) -> Option<(String, String)> {
    told(&format!("define dumptype a {{\n{settings}\n}}\n"))
}

fn all(cases: &[(&str, &str, &str)], told: impl Fn(&str) -> Option<(String, String)>) {
    for (text, error, hint) in cases {
        let (what, instead) = told(text).unwrap_or_else(|| panic!("{text:?} was understood"));
        assert_eq!((what.as_str(), instead.as_str()), (*error, *hint), "{text:?}");
    }
}

#[test]
fn broken_statements() {
    all(
        &[
            ("org \"x\"\ndumpcylce 7\n", "amanda.conf:2:1: \"dumpcylce\" is no keyword that can stand here", "did you mean \"dumpcycle\"?"),
            (
                "frobnicate 1\n",
                "amanda.conf:1:1: \"frobnicate\" is no keyword that can stand here",
                "write one of the keywords of amanda.conf(5); `man amanda.conf` has them all",
            ),
            (
                "\nindex yes\n",
                "amanda.conf:2:1: \"index\" is no keyword that can stand here",
                "it is a setting of a dumptype: write it between { and } of one",
            ),
            ("dumptype x {\n}\n", "amanda.conf:1:1: \"dumptype\" is no keyword that can stand here", "write `define dumptype NAME {`"),
            (
                "rawtapedev \"/dev/nst0\"\n",
                "amanda.conf:1:1: \"rawtapedev\" is no keyword that can stand here",
                "write tapedev for a drive, or tpchanger \"chg-disk:/DIRECTORY\" for volumes in directories",
            ),
            (
                "diskdir \"/h\"\n",
                "amanda.conf:1:1: \"diskdir\" is no keyword that can stand here",
                "write `holdingdisk NAME {`, directory \"…\", }",
            ),
            (
                "  42\n",
                "amanda.conf:1:3: 42 stands where a keyword has to",
                "begin the line with a keyword of amanda.conf(5), or with # for a comment",
            ),
            ("org \"x\"\n}\n", "amanda.conf:2:1: } stands where a keyword has to", "take it out: no { is open here"),
            (
                "org daily\n",
                "amanda.conf:1:5: \"daily\" stands where a text in quotation marks has to",
                "write it in quotation marks: \"daily\"",
            ),
            (
                "mailto backup\n",
                "amanda.conf:1:8: \"backup\" stands where a text in quotation marks has to",
                "write it in quotation marks: \"backup\"",
            ),
            (
                "mailto\n",
                "amanda.conf:1:7: the end of the line stands where a text in quotation marks has to",
                "write a text in quotation marks: \"…\"",
            ),
            (
                "org \"daily\n",
                "amanda.conf:1:5: this quotation mark is never closed",
                "end the text with a quotation mark in the same line",
            ),
            (
                "org \"a\" \"b\"\n",
                "amanda.conf:1:9: the text \"b\" stands where the end of the line has to",
                "write what follows into a line of its own, or put one pair of quotation marks around it all",
            ),
            ("org \u{e4}\n", "amanda.conf:1:5: 'ä' cannot stand here", "write a text in quotation marks: \"…\""),
            (
                "includefile \"no such\"\n",
                "amanda.conf:1:1: no such cannot be read: entity not found",
                "write the name of a file that is there and can be read, from / or from the config's directory",
            ),
            (
                "includefile \"amanda.conf\"\n",
                "amanda.conf:1:1: amanda.conf too many files include one another",
                "take out the includefile that leads back here",
            ),
        ],
        told,
    );
}

#[test]
fn broken_values() {
    all(
        &[
            ("dumpcycle 7 dyas\n", "amanda.conf:1:13: \"dyas\" is no unit", "did you mean \"days\"?"),
            (
                "dumpcycle 7 fortnights\n",
                "amanda.conf:1:13: \"fortnights\" is no unit",
                "write one of days, weeks, tapes, bytes, kb, mb, gb, tb (or kbps, mbps), or no unit",
            ),
            ("dumpcycle \"7\"\n", "amanda.conf:1:11: the text \"7\" stands where a whole number has to", "write a whole number, such as 7"),
            ("dumpcycle -1\n", "amanda.conf:1:1: \"dumpcycle\" has to be at least 0", "write 0 or more"),
            ("tapecycle 0\n", "amanda.conf:1:1: \"tapecycle\" has to be at least 1", "write 1 or more"),
            ("reserve 101\n", "amanda.conf:1:1: \"reserve\" has to be at most 100", "write a number from 0 to 100"),
            ("bumppercent 120\n", "amanda.conf:1:1: \"bumppercent\" has to be at most 100", "write a number from 0 to 100"),
            ("bumpmult 0.5\n", "amanda.conf:1:1: bumpmult has to be at least 1", "write 1.5, Amanda's own value"),
            ("runspercycle -2\n", "amanda.conf:1:1: \"runspercycle\" has to be at least -1", "write 0 or more"),
            ("etimeout 0\n", "amanda.conf:1:1: etimeout cannot be 0", "write the seconds for a disk, such as 300"),
            ("debug-planner 12\n", "amanda.conf:1:1: \"debug-planner\" has to be at most 9", "write a number from 0 to 9"),
            (
                "bumpsize 99999999999999999999\n",
                "amanda.conf:1:10: this number is too large",
                "write a smaller number, or inf where there is no bound",
            ),
            (
                "netusage 9223372036854775807 tb\n",
                "amanda.conf:1:10: this number is too large",
                "write a smaller number, or inf where there is no bound",
            ),
            ("bumpmult high\n", "amanda.conf:1:10: \"high\" stands where a number has to", "write a number, such as 1.5"),
            ("displayunit \"mb\"\n", "amanda.conf:1:1: displayunit \"mb\" is no unit", "write \"k\", \"m\", \"g\" or \"t\""),
            (
                "taperalgo larges\n",
                "amanda.conf:1:11: \"larges\" stands where one of first, firstfit, largest, largestfit, smallest, last has to",
                "did you mean \"largest\"?",
            ),
            (
                "send-amreport-on \"all\"\n",
                "amanda.conf:1:18: the text \"all\" stands where one of all, strange, error, never has to",
                "write all, or strange, or error, or never, without quotation marks",
            ),
            (
                "autoflush perhaps\n",
                "amanda.conf:1:11: \"perhaps\" stands where yes, no or all has to",
                "write yes, no or all, without quotation marks",
            ),
            ("columnspec \"HostNam=0:12\"\n", "amanda.conf:1:1: \"HostNam\" is no column of a report", "did you mean \"HostName\"?"),
            (
                "columnspec \"HostName=0:x\"\n",
                "amanda.conf:1:1: \"0:x\" are no widths of a column",
                "write columns such as HostName=0:12:12, with a comma between them",
            ),
            (
                "reserved-tcp-port 900,800\n",
                "amanda.conf:1:1: 900,800 are no ports that can be used here",
                "write two ports from 1 to 1023, the lower one first",
            ),
            (
                "labelstr \"a b\"\n",
                "amanda.conf:1:1: labelstr has no blanks and no quotation marks in it",
                "write [0-9] and the like for what varies",
            ),
            (
                "autolabel \"a %%\" empty\n",
                "amanda.conf:1:1: a template for labels has no blanks and no quotation marks in it",
                "write for example: autolabel \"daily-%%%\" empty",
            ),
            (
                "autolabel \"a-%%\" blank\n",
                "amanda.conf:1:18: \"blank\" stands where one of any, other-config, non-amanda, volume-error, empty has to",
                "write any, or other-config, or non-amanda, or volume-error, or empty",
            ),
        ],
        told,
    );
}

#[test]
fn broken_definitions() {
    all(
        &[
            (
                "define dumptype a\n",
                "amanda.conf:1:18: the end of the line stands where { has to",
                "end the line with {, and write the settings into the lines below it, and then }",
            ),
            ("define dumptype a { index yes\n", "amanda.conf:1:21: the line has to end behind {", "begin the next line here"),
            (
                "define dumptype a {\nindex yes\n",
                "amanda.conf:1:19: this { is never closed",
                "write } into a line of its own where the definition ends",
            ),
            (
                "define dumptype a {\n}\ndefine dumptype A {\n}\n",
                "amanda.conf:3:17: the dumptype \"A\" is defined already, in amanda.conf:1",
                "give this one another name, or take one of the two out",
            ),
            ("define dumtype a {\n}\n", "amanda.conf:1:8: \"dumtype\" is nothing that can be defined", "did you mean \"dumptype\"?"),
            (
                "define \"x\" {\n}\n",
                "amanda.conf:1:8: the text \"x\" stands where what is defined has to",
                "write `define dumptype NAME {`, or tapetype, holdingdisk, interface, storage, policy, changer … for dumptype",
            ),
            (
                "define dumptype \"a b\" {\n}\n",
                "amanda.conf:1:17: a name has no blanks and no quotation marks in it, and is UTF-8",
                "write a name of letters, digits, - and _",
            ),
            (
                "define storage s {\npolicy \"p\"\n}\n",
                "amanda.conf:2:8: there is no policy \"p\" above",
                "define the policy in front of this line",
            ),
            (
                "define tapetype t {\nblocksize 16 kb\n}\n",
                "amanda.conf:2:1: \"blocksize\" has to be at least 32 KiB",
                "write 32 KiB or more",
            ),
            (
                "holdingdisk h {\nchunksize 10 kb\n}\n",
                "amanda.conf:2:1: a chunksize has to be at least 64 KiB",
                "write 0 for dumps that are not divided, or 64 kb and more",
            ),
            (
                "holdingdisk h {\nchunksize -1\n}\n",
                "amanda.conf:2:1: a chunksize below 0 is no longer understood",
                "write 0 for dumps that are not divided, or 64 kb and more",
            ),
            (
                "define interface i {\nuse -8 kbps\n}\n",
                "amanda.conf:2:1: what a network may be used has to be at least 1",
                "write the bandwidth, such as 8000 kbps",
            ),
            (
                "define script s {\nexecute-on before-dump\n}\n",
                "amanda.conf:2:12: \"before-dump\" stands where an event such as pre-dle-backup has to",
                "write pre- or post-, dle- or host-, and one of amcheck, estimate, backup, recover: pre-dle-backup",
            ),
        ],
        told,
    );
}

#[test]
fn broken_dumptypes() {
    all(
        &[
            ("indxe yes", "amanda.conf:2:1: \"indxe\" is no keyword that can stand here", "did you mean \"index\"?"),
            (
                "tapecycle 3",
                "amanda.conf:2:1: \"tapecycle\" is no keyword that can stand here",
                "it is a setting of the whole config: write it outside of { and }",
            ),
            ("exclude-list \"x\"", "amanda.conf:2:1: \"exclude-list\" is no keyword that can stand here", "write `exclude list \"…\"`"),
            ("\"bsae\"", "amanda.conf:2:1: there is no dumptype \"bsae\" above", "define the dumptype in front of this line"),
            ("no-ful", "amanda.conf:2:1: \"no-ful\" is no keyword that can stand here", "did you mean \"NO-FULL\"?"),
            ("index perhaps", "amanda.conf:2:7: \"perhaps\" stands where yes or no has to", "write yes or no, without quotation marks"),
            (
                "compress client fast best",
                "amanda.conf:2:10: compress is none, or client or server with one of fast, best, custom",
                "write for example: compress client fast",
            ),
            ("program \"TAR\"", "amanda.conf:2:1: \"TAR\" is no program", "did you mean \"STAR\"?"),
            (
                "holdingdisk maybe",
                "amanda.conf:2:13: \"maybe\" stands where never, auto or required has to",
                "write never, auto or required, without quotation marks",
            ),
            (
                "strategy incr",
                "amanda.conf:2:10: \"incr\" stands where one of skip, standard, nofull, noinc, hanoi, incronly has to",
                "write skip, or standard, or nofull, or noinc, or hanoi, or incronly",
            ),
            (
                "dump-limit \"h\"",
                "amanda.conf:2:1: dump-limit names no hosts",
                "write same-host for a disk that is dumped when its host asks, or server",
            ),
            (
                "priority 7",
                "amanda.conf:2:10: 7 stands where one of low, medium, high has to",
                "write low, or medium, or high, without quotation marks",
            ),
            ("retry-dump 0", "amanda.conf:2:1: \"retry-dump\" has to be at least 1", "write 1 or more"),
        ],
        told_of_dumptype,
    );
}

#[test]
fn what_does_not_fit_together() {
    all(
        &[
            (
                "holdingdisk h1\n",
                "amanda.conf:1:1: there is no holdingdisk \"h1\"",
                "write `define holdingdisk h1 {` with its settings, or the name of one that is defined",
            ),
            ("define tapetype DLT {\n}\ntapetype DTL\n", "amanda.conf:3:1: there is no tapetype \"DTL\"", "did you mean \"DLT\"?"),
            (
                "storage \"s\"\n",
                "amanda.conf:1:1: there is no storage \"s\"",
                "write `define storage s {` with its settings, or the name of one that is defined",
            ),
            (
                "label-new-tapes \"a%%\"\nautolabel \"b%%\"\n",
                "amanda.conf:1:1: both label-new-tapes and autolabel",
                "take label-new-tapes out: it is the older word",
            ),
            (
                "labelstr match-autolabel\n",
                "amanda.conf:1:1: labelstr is match-autolabel, and there is no autolabel",
                "write for example: autolabel \"daily-%%%\" empty",
            ),
        ],
        told,
    );
    assert_eq!(load(&[]).unwrap_err(), "amanda.conf: cannot be read: entity not found");
}

#[test]
fn broken_disklists() {
    const FORM: &str = "write: HOST DISK [DIRECTORY] DUMPTYPE [SPINDLE [INTERFACE]]";
    const NONE: &str = "write the name of a dumptype that amanda.conf or a file that it includes defines, or { for one of its own";
    let told = |list: &str| {
        let source = files(&[("amanda.conf", TYPES.as_bytes()), ("disklist", list.as_bytes())]);
        let mut config = Config::load(Path::new("/etc/amanda/daily"), &source).unwrap();
        let error = disklist::load(&mut config, Path::new("/etc/amanda/daily/disklist"), &source).err()?;
        Some((error.to_string().replace("/etc/amanda/daily/", ""), error.hint))
    };
    all(
        &[
            ("h\n", "disklist:1:2: the disk's name is missing", FORM),
            ("h /a\n", "disklist:1:5: the dumptype is missing", FORM),
            ("\nh /a latpop\n", "disklist:2:6: there is no such dumptype", "did you mean \"laptop\"?"),
            ("h /a /dev/a latpop\n", "disklist:1:13: there is no such dumptype", "did you mean \"laptop\"?"),
            ("h /a comp-user-tar\n", "disklist:1:6: there is no such dumptype", NONE),
            ("h \"\" laptop\n", "disklist:1:3: an empty name", FORM),
            (
                "h \"/a laptop\n",
                "disklist:1:3: a quotation mark is never closed",
                "write a name with blanks in quotation marks: \"my docs\"",
            ),
            (
                "h /a laptop one\n",
                "disklist:1:13: the spindle is a whole number",
                "write -1 for a disk that shares its spindle with none; the interface comes behind it",
            ),
            ("h /a laptop 1 wan\n", "disklist:1:15: there is no such interface", "did you mean \"lan\"?"),
            ("h /a laptop 1 le0\n", "disklist:1:15: there is no such interface", "write `define interface le0 {` into amanda.conf"),
            ("h /a laptop 1 lan x\n", "disklist:1:19: the line has to end here", FORM),
            (
                "h /a laptop\nh /a laptop\n",
                "disklist:2:3: h:/a has its files where h:/a of line 1 has them",
                "give one of the two another name, and the directory behind it",
            ),
            (
                "h /a/b laptop\nh /a_b laptop\n",
                "disklist:2:3: h:/a_b has its files where h:/a/b of line 1 has them",
                "give one of the two another name, and the directory behind it",
            ),
            ("h /a laptop\nH /b laptop\n", "disklist:2:1: the host H is h in another line", "write h here, too"),
            ("h /a {\nindxe\n}\n", "disklist:2:1: \"indxe\" is no keyword that can stand here", "did you mean \"index\"?"),
            ("h /a { laptop }\n", "disklist:1:8: the line has to end behind {", "begin the next line here"),
            ("h /a {\nindex\n", "disklist:1:7: this { is never closed", "write } into a line of its own where the disk's settings end"),
            (
                "includefile \"more\"\n",
                "disklist:1:1: more cannot be read: entity not found",
                "write the name of a file that is there and can be read, from / or from the config's directory",
            ),
        ],
        told,
    );
}
