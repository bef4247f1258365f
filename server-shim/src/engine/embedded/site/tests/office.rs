//! A small office's own files, with directories in the place of the drive; and what Debian brings as examples.

use super::*;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/amanda/tests/fixtures/office");

/// The office as a config, with a disklist and something behind its settings.
struct Office {
    keep: tempfile::TempDir,
}

impl Office {
    fn new(disklist: &str, more: &str) -> Self {
        let office = Self { keep: tempfile::tempdir().expect("directory") };
        let here = office.here();
        fs::create_dir(&here).expect("made");
        for (from, to) in [("amanda.conf", "ifh.conf"), ("dumptypes", "dumptypes"), (disklist, "disklist")] {
            fs::copy(Path::new(FIXTURES).join(from), here.join(to)).expect("copied");
        }
        let conf = fs::read_to_string(Path::new(FIXTURES).join("site.conf")).expect("read");
        fs::write(here.join(CONF), conf.replace("@HERE@", &here.to_string_lossy()) + more).expect("written");
        office
    }

    fn here(&self) -> PathBuf {
        self.keep.path().join("ifh")
    }

    fn open(&self) -> Result<Site, Trouble> {
        Site::open(&self.here(), Some(&"ifh".parse().expect("name")))
    }
}

#[test]
fn the_office_is_served_as_its_files_stand() {
    let office = Office::new("disklist", "");
    let site = office.open().expect("served");
    assert_eq!(site.rotation(), Rotation::Cycle { tapecycle: 12, runtapes: 1 });
    assert_eq!((site.holding(), site.holdings().len()), ("/var/lib/amanda/dumps".into(), 1));
    assert_eq!(site.changer().directory(), site.directory().join("vtapes"));
    assert_eq!((site.shelf(), site.label(1)), (("ifh".to_owned(), "ifh".to_owned()), None));
    assert_eq!(site.disks().len(), 8);
}

#[test]
fn without_a_holding_disk_dumps_are_made_beside_the_volumes() {
    let office = Office::new("disklist", "");
    let conf = office.here().join("ifh.conf");
    let text = fs::read_to_string(&conf).expect("read").replace("holdingdisk hd1 {", "define holdingdisk hd1 {");
    fs::write(&conf, text).expect("written");
    let site = office.open().expect("served");
    assert_eq!(site.holdings(), [site.straight()]);
    site.for_writing().expect("made");
    assert!(site.straight().is_dir() && site.straight().starts_with(site.changer().directory()));
}

#[test]
fn a_holding_disk_that_is_not_there_is_named_with_what_to_do() {
    let office = Office::new("disklist", "");
    let conf = office.here().join("ifh.conf");
    let text = fs::read_to_string(&conf).expect("read").replace("/var/lib/amanda/dumps", "/nowhere/dumps");
    fs::write(&conf, text).expect("written");
    let trouble = office.open().expect("served").for_writing().expect_err("not there");
    assert!(
        trouble.message.contains("cannot use /nowhere/dumps") && trouble.hint.contains("mkdir -p /nowhere/dumps"),
        "{trouble} ({})",
        trouble.hint
    );
}

#[test]
fn a_share_of_windows_is_refused_by_name_and_place() {
    let office = Office::new("disklist.smb", "");
    let trouble = office.open().expect_err("refused");
    let place = format!("{}/disklist:1:1: ", office.here().canonicalize().expect("there").display());
    assert!(trouble.message.starts_with(&place) && trouble.message.contains("//desktop/BADAPP1, a share of Windows"), "{trouble}");
    assert!(trouble.hint.contains("engine = \"amanda\""), "{}", trouble.hint);
}

#[test]
fn what_a_site_says_that_a_vault_may_not_is_served_where_volumes_go_round() {
    let more = "holdingdisk hd2 {\ndirectory \"/h2\"\nuse 1 gb\n}\nrunspercycle 5\nruntapes 3\nautolabel \"ifh%%\" empty\nusetimestamps no\n\
                define tapetype disk {\nlength 10 gb\npart-size 1 gb\npart-cache-type memory\n}\ntapetype disk\n";
    let mut office = Office::new("disklist", more);
    let list = office.here().join("disklist");
    for setting in [
        "holdingdisk never",
        "holdingdisk required",
        "strategy hanoi",
        "strategy nofull",
        "strategy incronly",
        "skip-full",
        "starttime 2300",
        "tape-splitsize 1 gb",
    ] {
        fs::write(&list, format!("h /a {{\ncomp-user-tar\n{setting}\n}}\n")).expect("written");
        let site = office.open().unwrap_or_else(|trouble| panic!("{setting}: {trouble}"));
        assert_eq!((site.holdings().len(), site.label(7)), (2, Some("ifh07".to_owned())));
        assert_eq!(site.rotation(), Rotation::Cycle { tapecycle: 12, runtapes: 3 });
    }
    // Where dumps are kept for days it is refused.
    office = Office::new("disklist", "define policy ifh {\nretention-days 30\n}\n");
    let trouble = office.open().expect_err("refused");
    assert!(trouble.message.contains("disklist:35:1: ") && trouble.message.contains("kept for days"), "{trouble}");
    office = Office::new("disklist", "define policy ifh {\nretention-tapes 20\n}\n");
    assert_eq!(office.open().expect("served").rotation(), Rotation::Cycle { tapecycle: 21, runtapes: 1 });
}

#[test]
fn what_only_amanda_can_do_is_refused_by_name_and_place_with_the_hint() {
    for (more, at, words) in [
        ("tpchanger \"\"\ntapedev \"/dev/nst0\"\n", "23:1", "a real drive"),
        ("tpchanger \"chg-robot:/dev/sg1\"\n", "22:1", "a robot with tapes"),
        ("tpchanger \"chg-single:tape:/dev/nst0\"\n", "22:1", "a real drive"),
        ("tpchanger \"s3:bucket/\"\n", "22:1", "volumes in S3"),
        ("tpchanger \"chg-disk:vtapes\"\n", "22:1", "not absolute"),
        ("define changer c {\ntpchanger \"chg-disk:/v\"\nproperty \"mount\" \"yes\"\n}\ntpchanger \"c\"\n", "24:1", "mounted for a run"),
        (
            "define changer c {\ntpchanger \"chg-disk:/v\"\ndevice-property \"LEOM\" \"no\"\n}\ntpchanger \"c\"\n",
            "24:1",
            "properties of devices",
        ),
        ("device-property \"COMMENT\" \"x\"\n", "22:1", "properties of devices"),
        ("max-dle-by-volume 1\n", "22:1", "max-dle-by-volume"),
        ("define interactivity i {\nplugin \"tty\"\n}\ninteractivity \"i\"\n", "25:1", "asking an operator"),
        ("define taperscan t {\nplugin \"lexical\"\n}\ntaperscan \"t\"\n", "25:1", "taperscan \"lexical\""),
        ("define storage s {\ndump-selection all full\n}\nstorage \"s\"\n", "23:1", "dump-selection"),
        ("define storage s {\nvault other 3\n}\nstorage \"s\"\n", "23:1", "vaulting"),
        ("define storage s {\n}\ndefine storage t {\n}\nstorage \"s\" \"t\"\n", "26:1", "more than one storage"),
        ("define storage s {\nset-no-reuse yes\n}\nstorage \"s\"\n", "23:1", "written once"),
        ("define policy ifh {\nretention-full 3\n}\n", "23:1", "full dumps"),
        ("define tapetype b {\nblocksize 64 kb\n}\ntapetype b\n", "23:1", "32 KiB"),
        ("autolabel \"$b-%%\" empty\n", "22:1", "barcode"),
    ] {
        let office = Office::new("disklist", more);
        let trouble = office.open().expect_err(more);
        assert!(trouble.message.contains(&format!("/amanda.conf:{at}: ")) && trouble.message.contains(words), "{more}: {trouble}");
        assert!(trouble.hint.contains("engine = \"amanda\""), "{more}: {}", trouble.hint);
    }
    for (setting, at, words) in [
        ("program \"DUMP\"", "3:1", "\"DUMP\""),
        ("program \"APPLICATION\"\napplication {\nplugin \"amgtar\"\n}", "4:1", "applications"),
        ("script {\nplugin \"script-email\"\n}", "3:1", "scripts"),
        ("compress server fast", "3:1", "on the server"),
        ("encrypt client", "3:1", "encryption"),
        ("record no", "3:1", "not recorded"),
        ("kencrypt", "3:1", "Kerberos"),
        ("data-path directtcp", "3:1", "directtcp"),
    ] {
        let office = Office::new("disklist", "");
        fs::write(office.here().join("disklist"), format!("h /a {{\ncomp-user-tar\n{setting}\n}}\n")).expect("written");
        let trouble = office.open().expect_err(setting);
        assert!(trouble.message.contains(&format!("/disklist:{at}: ")) && trouble.message.contains(words), "{setting}: {trouble}");
        assert!(trouble.hint.contains("engine = \"amanda\""), "{setting}: {}", trouble.hint);
    }
}

/// What Debian's packages bring, of which the paths are those of an installation that is not made here.
#[test]
fn debians_examples_are_served_or_refused_for_real_reasons() {
    let templates = Path::new("/usr/share/amanda/template.d");
    let examples = Path::new("/usr/share/doc/amanda-server/examples");
    let Ok(there) = fs::read_dir(templates) else {
        // Where Amanda is not installed, its examples are not either.
        eprintln!("{}: not there", templates.display());
        return;
    };
    let mut seen: Vec<String> = Vec::new();
    let mut cases: Vec<(String, PathBuf)> = there
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().contains("/amanda-"))
        .map(|path| (path.file_name().expect("one").to_string_lossy().into_owned(), path))
        .collect();
    for name in ["amanda.conf.gz", "quick/amanda.conf.gz"] {
        cases.extend(Some((name.to_owned(), examples.join(name))).filter(|(_, path)| path.exists()));
    }
    cases.sort();
    for (name, path) in cases {
        let keep = tempfile::tempdir().expect("directory");
        let here = keep.path().join("DailySet1");
        fs::create_dir(&here).expect("made");
        // As the installation would have it: /etc/amanda/template.d and /etc/amanda/DailySet1.
        let moved = |text: String| {
            let text = text.replace("/etc/amanda/template.d", &templates.to_string_lossy());
            text.replace("\"/etc/amanda/DailySet1/", &format!("\"{}/", here.display()))
        };
        fs::write(here.join(CONF), moved(unpacked(&path))).expect("written");
        fs::copy(templates.join("advanced.conf"), here.join("advanced.conf")).expect("copied");
        for (from, to) in [("quick/dumptypes.gz", "dumptypes"), ("quick/tapetypes", "tapetypes")] {
            if let Some(path) = Some(examples.join(from)).filter(|path| path.exists()) {
                fs::write(here.join(to), unpacked(&path)).expect("written");
            }
        }
        // Without a disk, and with those of the example beside it.
        let list = Some(path.with_file_name("disklist")).filter(|list| name.starts_with("quick") && list.exists());
        for list in std::iter::once(None).chain(list.map(Some)) {
            let text = list.as_ref().map_or_else(String::new, |path| unpacked(path));
            fs::write(here.join("disklist"), text).expect("written");
            let what = if list.is_some() { "with its disklist" } else { "alone" };
            seen.push(format!("{name} {what}: {}", told(&here)));
        }
    }
    let expected = [
        "amanda-CAStor.conf alone: properties of devices",
        "amanda-S3.conf alone: properties of devices",
        "amanda-harddisk.conf alone: served, Cycle { tapecycle: 10, runtapes: 1 }, volumes in //usr/var/lib/amanda/vtapes/DailySet1",
        "amanda-single-tape.conf alone: a real drive (\"chg-single:tape:/dev/nst0\"); it knows chg-disk:/DIRECTORY, volumes in directories",
        "amanda-tape-changer.conf alone: a robot with tapes (\"chg-robot:/dev/sg1\"); it knows chg-disk:/DIRECTORY, volumes in directories",
        "amanda.conf.gz alone: a real drive (\"tape:/dev/YOUR-TAPE-DEVICE-HERE\"); it knows chg-disk:/DIRECTORY, volumes in directories",
        "quick/amanda.conf.gz alone: served, Cycle { tapecycle: 25, runtapes: 1 }, volumes in /backup/DailySet1",
        "quick/amanda.conf.gz with its disklist: applications",
    ];
    assert_eq!(seen, expected);
}

/// Says what became of a config.
fn told(here: &Path) -> String {
    match Site::open(here, Some(&"DailySet1".parse().expect("name"))) {
        Ok(site) => format!("served, {:?}, volumes in {}", site.rotation(), site.changer().directory().display()),
        Err(trouble) => {
            assert!(trouble.hint.contains("engine = \"amanda\""), "{trouble} ({})", trouble.hint);
            trouble.message.split_once("cannot do this yet: ").map_or_else(|| trouble.message.clone(), |(_, what)| what.to_owned())
        }
    }
}

fn unpacked(path: &Path) -> String {
    let bytes = fs::read(path).expect("read");
    let mut text = String::new();
    if path.extension().is_some_and(|end| end == "gz") {
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("gzip");
    } else {
        text = String::from_utf8(bytes).expect("text");
    }
    text
}
