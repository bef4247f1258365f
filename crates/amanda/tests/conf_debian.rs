//! The judge of what we read: the installed Amanda prints a config and its disks as it understood them (`amadmin CONFIG config`,
//! `amadmin CONFIG disklist`), and every value that is interpreted here has to be the same.
//!
//! It needs Amanda's server and root (amadmin runs as Amanda's account only), and does nothing where they are not. Where they are is
//! said on standard error.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use amanda::conf::disklist::{self, Disk};
use amanda::conf::rules::{Autoflush, Bump, TaperAlgo};
use amanda::conf::{Compress, Config, Dumptype, Effort, Encrypt, Estimate, HoldingUse, Kind, Patterns, Source, Strategy};

const AMADMIN: &str = "/usr/sbin/amadmin";
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/office");

/// A config of its own directory; `None` where there is no judge.
struct World(tempfile::TempDir);

impl World {
    fn new() -> Option<Self> {
        if !Path::new(AMADMIN).exists() || !rustix::process::geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none(), "CI has Debian's Amanda");
            eprintln!("not judged: it takes root, and {AMADMIN}");
            return None;
        }
        let keep = tempfile::tempdir().expect("directory");
        fs::set_permissions(keep.path(), fs::Permissions::from_mode(0o755)).expect("readable");
        Some(Self(keep))
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).expect("written");
    }

    /// What amadmin prints of the config in this directory.
    fn amadmin(&self, what: &str) -> String {
        let mut command = Command::new("/usr/sbin/runuser");
        command.args(["-u", "backup", "--", AMADMIN, ".", what]).current_dir(self.0.path());
        let output = command.output().expect("runuser");
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    fn load(&self) -> (Config, Vec<Disk>) {
        let mut config = Config::load(self.0.path(), &Files).unwrap_or_else(|error| panic!("{error}: {}", error.hint));
        let path = config.diskfile();
        let disks = disklist::load(&mut config, &path, &Files).unwrap_or_else(|error| panic!("{error}: {}", error.hint));
        (config, disks)
    }

    /// Compares every disk and the config as a whole.
    fn judge(&self) {
        let (config, disks) = self.load();
        let theirs = self.amadmin("disklist");
        let theirs: Vec<_> = theirs.split("\n\n").filter(|block| !block.trim().is_empty()).map(of_disk).collect();
        assert_eq!(theirs.len(), disks.len());
        for (disk, theirs) in disks.iter().zip(&theirs) {
            same(&disk.dle.to_string(), &ours_of_disk(&config, &disks, disk), theirs);
        }
        let theirs = sections(&self.amadmin("config"));
        for (section, ours) in ours(&config) {
            same(&section, &ours, theirs.get(&section).unwrap_or_else(|| panic!("{section} is not there: {:?}", theirs.keys())));
        }
    }
}

struct Files;

impl Source for Files {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }
}

type Values = BTreeMap<String, String>;

fn same(what: &str, ours: &Values, theirs: &Values) {
    for (key, value) in ours {
        assert_eq!(Some(value), theirs.get(key), "{what}: {key}");
    }
}

/// `KEY   value`; patterns have two words for a key.
fn pair(line: &str) -> (String, String) {
    let line = line.trim();
    let (key, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let value = value.trim();
    match (key, value.split_once(' ').unwrap_or((value, ""))) {
        ("EXCLUDE" | "INCLUDE", (kind, rest)) => (format!("{key} {kind}"), rest.trim().to_owned()),
        _ => (key.to_owned(), value.to_owned()),
    }
}

fn of_disk(block: &str) -> Values {
    let mut values: Values = block.lines().skip(1).map(|line| pair(line.trim().trim_end_matches(':'))).collect();
    let line = block.split_whitespace().nth(1).unwrap_or_default();
    values.insert("line".to_owned(), line.to_owned());
    values
}

/// The config's own settings are the section with no name.
fn sections(text: &str) -> BTreeMap<String, Values> {
    let mut found: BTreeMap<String, Values> = BTreeMap::new();
    let mut section = String::new();
    for line in text.lines().map(|line| line.trim_start_matches('#').trim()).filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix("DEFINE ") {
            section = name.trim_end_matches(" {").to_owned();
        } else if line == "}" {
            section.clear();
        } else {
            let (key, value) = pair(line);
            found.entry(section.clone()).or_default().insert(key, value);
        }
    }
    found
}

fn values<const N: usize>(pairs: [(&str, String); N]) -> Values {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn yes(says: bool) -> String {
    if says { "yes" } else { "no" }.to_owned()
}

fn quoted(text: Option<&std::ffi::OsStr>) -> String {
    format!("\"{}\"", text.unwrap_or_default().to_string_lossy())
}

fn bumps(bump: Bump, values: &mut Values) {
    values.insert("BUMPSIZE".to_owned(), format!("{}K", bump.size_kb));
    values.insert("BUMPPERCENT".to_owned(), bump.percent.to_string());
    values.insert("BUMPDAYS".to_owned(), bump.days.to_string());
    values.insert("BUMPMULT".to_owned(), format!("{:.5}", bump.mult));
}

fn ours_of_disk(config: &Config, disks: &[Disk], disk: &Disk) -> Values {
    let how = disk.how(config).expect("defined");
    let last = disklist::of_host(disks, &disk.dle.host).and_then(|last| last.interface.clone());
    let interface = last.unwrap_or_else(|| "default".to_owned());
    let mut found = of_dumptype(how);
    found.extend(values([
        ("line", disk.at.line.to_string()),
        ("host", disk.dle.host.clone()),
        ("disk", disk.dle.disk.to_string_lossy().into_owned()),
        ("spindle", disk.spindle.unwrap_or(-1).to_string()),
        ("interface", interface),
        ("program", quoted(Some(how.program()))),
    ]));
    if let Some(device) = &disk.device {
        found.insert("device".to_owned(), device.to_string_lossy().into_owned());
    }
    found
}

fn of_dumptype(how: Dumptype<'_>) -> Values {
    let text = |name| quoted(how.settings().text(name));
    let mut found = values([
        ("PROGRAM", quoted(Some(how.program()))),
        ("CLIENT-CUSTOM-COMPRESS", text("client-custom-compress")),
        (
            "PRIORITY",
            ["LOW", "MEDIUM", "HIGH"].get(how.priority() as usize).map_or_else(|| how.priority().to_string(), ToString::to_string),
        ),
        ("DUMPCYCLE", how.dumpcycle().to_string()),
        ("MAXDUMPS", how.maxdumps().to_string()),
        ("MAXPROMOTEDAY", how.maxpromoteday().to_string()),
        ("STARTTIME", how.starttime().map_or_else(|| "000".to_owned(), |at| format!("{}{:02}", at / 3600, at % 3600 / 60))),
        ("STRATEGY", strategy(how.strategy()).to_owned()),
        ("ESTIMATE", how.estimate().into_iter().map(estimate).collect::<Vec<_>>().join(" ")),
        ("COMPRESS", compress(how.compress()).to_owned()),
        ("ENCRYPT", encrypt(how.encrypt()).to_owned()),
        ("COMPRATE", format!("{:.5} {:.5}", how.comprate().0, how.comprate().1)),
        ("TAPE-SPLITSIZE", format!("{}K", how.settings().int("tape-splitsize").unwrap_or(0))),
        ("RECORD", yes(how.record())),
        ("SKIP-INCR", yes(how.skip_incr())),
        ("SKIP-FULL", yes(how.skip_full())),
        ("HOLDINGDISK", holding(how.holdingdisk()).to_owned()),
        ("IGNORE", yes(how.ignore())),
        ("INDEX", yes(how.index())),
        ("ALLOW-SPLIT", yes(how.settings().bool("allow-split").unwrap_or(true))),
        ("RETRY-DUMP", how.retry_dump().to_string()),
    ]);
    let limit = how.dump_limit();
    let limits = [(limit.same_host, "SAME-HOST"), (limit.server, "SERVER")];
    found.insert("DUMP-LIMIT".to_owned(), limits.iter().filter(|(says, _)| *says).map(|(_, word)| *word).collect::<Vec<_>>().join(" "));
    patterns("EXCLUDE", &how.exclude(), &mut found);
    patterns("INCLUDE", &how.include(), &mut found);
    bumps(how.bump(), &mut found);
    found
}

fn patterns(key: &str, patterns: &Patterns, found: &mut Values) {
    let optional = if patterns.optional { "OPTIONAL " } else { "" };
    for (kind, list) in [("LIST", &patterns.list), ("FILE", &patterns.file)] {
        let words: Vec<_> = list.iter().map(|pattern| format!("\"{}\"", pattern.to_string_lossy())).collect();
        found.insert(format!("{key} {kind}"), format!("{optional}{}", words.join(" ")).trim().to_owned());
    }
}

fn strategy(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Skip => "SKIP",
        Strategy::Standard => "STANDARD",
        Strategy::NoFull => "NOFULL",
        Strategy::NoInc => "NOINC",
        Strategy::Hanoi => "HANOI",
        Strategy::IncrOnly => "INCRONLY",
    }
}

fn estimate(way: Estimate) -> &'static str {
    match way {
        Estimate::Client => "CLIENT",
        Estimate::Server => "SERVER",
        Estimate::Calcsize => "CALCSIZE",
    }
}

fn compress(compress: Compress) -> &'static str {
    match compress {
        Compress::None => "NONE",
        Compress::Client(Effort::Fast) => "CLIENT FAST",
        Compress::Client(Effort::Best) => "CLIENT BEST",
        Compress::Client(Effort::Custom) => "CLIENT CUSTOM",
        Compress::Server(Effort::Fast) => "SERVER FAST",
        Compress::Server(Effort::Best) => "SERVER BEST",
        Compress::Server(Effort::Custom) => "SERVER CUSTOM",
    }
}

fn encrypt(encrypt: Encrypt) -> &'static str {
    match encrypt {
        Encrypt::None => "NONE",
        Encrypt::Client => "CLIENT",
        Encrypt::Server => "SERVER",
    }
}

fn holding(holding: HoldingUse) -> &'static str {
    match holding {
        HoldingUse::Never => "NEVER",
        HoldingUse::Auto => "AUTO",
        HoldingUse::Required => "REQUIRED",
    }
}

/// Everything but the disks.
fn ours(config: &Config) -> Vec<(String, Values)> {
    let text = |text: Option<&std::ffi::OsStr>| quoted(text);
    let mut whole = values([
        ("ORG", text(config.org())),
        ("MAILTO", format!("\"{}\"", config.mailto().join(" "))),
        ("DUMPCYCLE", config.dumpcycle().to_string()),
        ("TAPECYCLE", config.tapecycle().to_string()),
        ("INPARALLEL", config.inparallel().to_string()),
        ("MAXDUMPS", config.maxdumps().to_string()),
        ("NETUSAGE", format!("{}K", config.netusage_kps())),
        ("DUMPORDER", text(Some(config.dumporder()))),
        ("RESERVE", config.reserve().to_string()),
        ("MAXDUMPSIZE", config.maxdumpsize_kb().map_or_else(|| "-1K".to_owned(), |kb| format!("{kb}K"))),
        ("SEND-AMREPORT-ON", format!("{:?}", config.send_amreport_on()).to_ascii_uppercase()),
        ("DISPLAYUNIT", format!("\"{}\"", &format!("{:?}", config.displayunit())[..1])),
        ("COLUMNSPEC", text(config.columnspec())),
        ("LOGDIR", text(Some(config.logdir().as_os_str()))),
        ("INFOFILE", text(Some(config.infofile().as_os_str()))),
        ("INDEXDIR", text(Some(config.indexdir().as_os_str()))),
        ("STORAGE", config.storage_name()),
    ]);
    bumps(config.bump(), &mut whole);
    let thresholds = config.thresholds();
    let storage = values([
        ("TPCHANGER", config.in_use("tpchanger").map_or_else(|| "\"\"".to_owned(), |_| text(config.settings().text("tpchanger")))),
        ("RUNTAPES", config.runtapes().to_string()),
        ("TAPEPOOL", format!("\"{}\"", config.tapepool())),
        ("TAPERALGO", algo(config.taperalgo()).to_owned()),
        (
            "AUTOFLUSH",
            match config.autoflush() {
                Autoflush::No => "no".to_owned(),
                Autoflush::Yes => "yes".to_owned(),
                Autoflush::All => "all".to_owned(),
            },
        ),
        ("FLUSH-THRESHOLD-DUMPED", thresholds.dumped.to_string()),
        ("FLUSH-THRESHOLD-SCHEDULED", thresholds.scheduled.to_string()),
        ("TAPERFLUSH", thresholds.taperflush.to_string()),
        ("REPORT-USE-MEDIA", yes(config.report_media().0)),
        ("REPORT-NEXT-MEDIA", yes(config.report_media().1)),
    ]);
    let mut found = vec![(String::new(), whole), (format!("STORAGE {}", config.storage_name()), storage)];
    for section in config.sections(Kind::Dumptype).filter(|section| !section.name.starts_with("custom(")) {
        found.push((format!("DUMPTYPE {}", section.name), of_dumptype(config.dumptype(&section.name).expect("defined"))));
    }
    for section in config.sections(Kind::Interface) {
        found.push((format!("INTERFACE {}", section.name), values([("USE", format!("{}K", config.interface_kps(Some(&section.name))))])));
    }
    found.push(("INTERFACE default".to_owned(), values([("USE", format!("{}K", config.interface_kps(None)))])));
    for disk in config.holdingdisks() {
        let uses = match disk.uses {
            amanda::conf::holding::Use::AtMost(kb) => format!("{kb}K"),
            amanda::conf::holding::Use::AllBut(0) => "0K".to_owned(),
            amanda::conf::holding::Use::AllBut(kb) => format!("-{kb}K"),
        };
        let mut said = values([("USE", uses), ("DIRECTORY", text(Some(disk.directory.as_os_str())))]);
        said.extend(disk.chunk_kb.map(|kb| ("CHUNKSIZE".to_owned(), format!("{kb}K"))));
        found.push((format!("HOLDINGDISK {}", disk.name), said));
    }
    if let Some(tapetype) = config.tapetype() {
        found.push((format!("TAPETYPE {}", tapetype.name), values([("LENGTH", format!("{}K", config.tape_length_kb()))])));
    }
    found
}

fn algo(algo: TaperAlgo) -> &'static str {
    match algo {
        TaperAlgo::First => "FIRST",
        TaperAlgo::FirstFit => "FIRSTFIT",
        TaperAlgo::Largest => "LARGEST",
        TaperAlgo::LargestFit => "LARGESTFIT",
        TaperAlgo::Smallest => "SMALLEST",
        TaperAlgo::Last => "LAST",
    }
}

fn fixture(name: &str) -> String {
    fs::read_to_string(PathBuf::from(FIXTURES).join(name)).expect("read")
}

#[test]
fn amanda_understands_the_offices_files_as_we_do() {
    let Some(world) = World::new() else { return };
    // Amanda 3 refuses the one line of 2002 that has no quotation marks.
    let site = fixture("amanda.conf").replace("mailto amanda@icefloehousing.com", "mailto \"amanda@icefloehousing.com\"");
    world.write("ifh.conf", &site);
    world.write("amanda.conf", &fixture("site.conf").replace("@HERE@", &world.0.path().to_string_lossy()));
    world.write("dumptypes", &fixture("dumptypes"));
    world.write("disklist", &fixture("disklist"));
    world.judge();
}

#[test]
fn amanda_understands_settings_of_every_kind_as_we_do() {
    let Some(world) = World::new() else { return };
    let conf = "org \"office\"\nmailto \"a@b.org root\"\ntpchanger \"chg-disk:/v\"\nlogdir \"/l\"\ninfofile \"/i\"\nindexdir \"/x\"\n\
        inparallel 4\ndumpcycle 1 week\nrunspercycle 5\ntapecycle 9 tapes\nruntapes 2\nnetusage 8 Mbps\ndumporder \"sssS\"\nmaxdumpsize 5 gb\n\
        reserve 30\nbumpsize 20 Mb\nbumppercent 20\nbumpdays 1\nbumpmult 4\nautoflush all\ntaperalgo largestfit\nflush-threshold-dumped 50\n\
        flush-threshold-scheduled 80\ntaperflush 120\nsend-amreport-on strange\ndisplayunit \"g\"\ncolumnspec \"HostName=0:12,OutKB=1:-7\"\n\
        define tapetype t {\nlength 10 gb\npart-size 2 gb\n}\ntapetype t\ndefine interface lan {\nuse 1000 kps\n}\n\
        holdingdisk hd1 {\ndirectory \"/h1\"\nuse 1000000 kb\nchunksize 100 kb\n}\ndefine holdingdisk hd2 {\ndirectory \"/h2\"\nuse -77 kb\n}\nholdingdisk hd2\n\
        define dumptype early {\nprogram \"GNUTAR\"\ncompress client best\nestimate calcsize server\nexclude list optional \".ex\"\nexclude file \"*.o\"\n}\n\
        dumpcycle 3\nmaxdumps 3\nbumpsize 7 mb\n\
        define dumptype late {\nearly\nPriority High\nstrategy INCRONLY\nholdingdisk required\nstarttime 1730\ncomprate 0.25\nretry-dump 4\n\
        dump-limit same-host server\nexclude append \"./a b\"\ninclude \"./x*\"\nrecord no\nskip_incr\nindex false\nmaxpromoteday 4\n}\n\
        define dumptype zstd {\nlate\ncompress custom client\nclient_custom_compress \"/usr/bin/zstd\"\nallow-split off\ntape-splitsize 3 gb\npriority high\nignore\n}\n\
        define dumptype small {\nearly\ncompress server best\nencrypt none\nholdingdisk no\nstrategy hanoi\ndumpcycle 0\nbumpmult 2\nskip-full yes\n}\n";
    world.write("amanda.conf", conf);
    world.write(
        "disklist",
        "# a comment\nh /a early\nh \"my docs\" /home/docs late 2 lan # another\n\nsrv.example.org /c {\n  zstd\n  priority low # mine\n  holdingdisk yes\n} -1 default\nh /d NO-FULL\nh /e small 1 lan\n",
    );
    world.judge();
}
