mod broken;
mod office;

use std::collections::BTreeMap;
use std::ffi::OsStr;

use proptest::prelude::*;

use super::holding::Use;
use super::vault::Vault;
use super::*;
use crate::dle::Dle;

/// Files by their names.
#[derive(Default)]
struct Files(BTreeMap<PathBuf, Vec<u8>>);

impl Source for Files {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn files(texts: &[(&str, &[u8])]) -> Files {
    Files(texts.iter().map(|(name, text)| (Path::new("/etc/amanda/daily").join(name), text.to_vec())).collect())
}

fn load(texts: &[(&str, &[u8])]) -> Result<Config, String> {
    Config::load(Path::new("/etc/amanda/daily"), &files(texts)).map_err(|error| error.to_string().replace("/etc/amanda/daily/", ""))
}

fn conf(text: &str) -> Result<Config, String> {
    load(&[("amanda.conf", text.as_bytes())])
}

fn disks(conf: &str, list: &str) -> Result<(Config, Vec<disklist::Disk>), String> {
    let source = files(&[("amanda.conf", conf.as_bytes()), ("disklist", list.as_bytes())]);
    let mut config = Config::load(Path::new("/etc/amanda/daily"), &source).unwrap();
    let path = config.diskfile();
    let disks = disklist::load(&mut config, &path, &source);
    disks.map(|disks| (config, disks)).map_err(|error| error.to_string().replace("/etc/amanda/daily/", ""))
}

/// The config that Amanda ran with when it wrote the other files.
#[test]
fn a_config_that_amanda_runs_with_is_understood() {
    let text = include_bytes!("../../tests/fixtures/files/amanda.conf");
    let list = include_bytes!("../../tests/fixtures/files/disklist");
    let (config, disks) = disks(&String::from_utf8_lossy(text), &String::from_utf8_lossy(list)).unwrap();
    assert_eq!(config.org(), Some(OsStr::new("files4711")));
    assert_eq!(config.infofile(), Path::new("/var/lib/amanda/files4711/curinfo"));
    assert_eq!((config.logdir(), config.diskfile()), ("/var/lib/amanda/files4711/log".into(), "/etc/amanda/daily/disklist".into()));
    assert_eq!(config.tpchanger(), Some(OsStr::new("chg-disk:/var/lib/amanda/files4711/vtapes")));
    assert_eq!((config.dumpcycle(), config.tapecycle(), config.runtapes()), (7, 3, 1));
    assert_eq!((config.tape_length_kb(), config.part_kb()), (100 * 1024, Some(2048)));
    assert_eq!(config.labelstr().unwrap(), "^files4711-[0-9]+$");
    assert_eq!(config.label_template().unwrap(), "files4711-%%%");
    assert_eq!(config.holdingdisks()[0].directory, Path::new("/var/lib/amanda/files4711/holding"));
    assert_eq!(config.settings().int("netusage"), Some(100_000));
    assert_eq!((config.retention_days(), config.settings().get("mailer")), (None, None));
    let [data, docs, plain] = &disks[..] else { panic!("{disks:?}") };
    assert_eq!((&data.dle, data.directory()), (&Dle::new("localhost", "/var/lib/amanda/files4711/src/data"), Path::new(&data.dle.disk)));
    assert_eq!(
        (docs.dle.disk.as_os_str(), docs.directory()),
        (OsStr::new("docs home"), Path::new("/var/lib/amanda/files4711/src/home docs"))
    );
    let zstd = docs.how(&config).unwrap();
    assert_eq!((zstd.custom_compress(), zstd.program()), (Some(OsStr::new("/usr/bin/zstd")), OsStr::new("GNUTAR")));
    assert_eq!((zstd.estimate(), zstd.dumpcycle(), zstd.index()), (vec![Estimate::Server], 7, true));
    assert_eq!(plain.how(&config).unwrap().compress(), Compress::None);
    assert_eq!(plain.at.line, 3);
}

#[test]
fn values_of_every_shape_are_read() {
    let config = conf(concat!(
        "ORG \"a \\\"quoted\\\" name\\\n of two lines\" # comment\n",
        "dump_cycle 2 weeks\nbumpsize 20 mb\nbumpmult 2\nnetusage 8 Mbps\nreserved-tcp-port 700,800\n",
        "autoflush all\nautolabel \"d-%%%\" empty volume_error\nlabelstr MATCH-AUTOLABEL\ndisplayunit \"m\"\n",
        "property \"Some_Name\" \"1\" \"2\"\nproperty append \"some-name\" \"3\"\nproperty \"gone\" \"x\"\nproperty \"gone\"\n",
        "define application app {\nplugin \"amgtar\"\nproperty \"XATTRS\" \"YES\"\n}\n",
        "define script-tool s {\nplugin \"x\"\nexecute-on pre-dle-backup, post_host_estimate\norder 3\n}\n",
        "define dumptype t {\napplication \"app\"\nscript s\nexclude list optional \".ex\"\nexclude file \"*.iso\" \"*.o\"\n",
        "exclude append \"./.cache\"\ncompress best server\nencrypt client\nholdingdisk no\nindex\nrecord off\n",
        "comprate 0.25\npriority high\nstrategy incronly\nestimate calcsize client\ndump-limit same-host server\ntag \"a\" \"b\"\nstarttime 1730\n}\n",
        "define policy p {\nretention-days 30\n}\ndefine storage st {\npolicy \"p\"\ntpchanger \"chg-disk:/v\"\nset-no-reuse\n",
        "dump-selection all full\ndump-selection all incr\nvault offsite 7 days\n}\nstorage st\n",
        "define holdingdisk h1 {\ndirectory \"/h1\"\nuse -100 mb\n}\nholdingdisk h1\n",
    ).replace("dump_cycle", "dumpcycle").as_str());
    let config = config.unwrap();
    let settings = config.settings();
    assert_eq!(config.org(), Some(OsStr::new("a \"quoted\" name of two lines")));
    assert_eq!((config.dumpcycle(), settings.int("bumpsize"), settings.int("netusage")), (14, Some(20 * 1024), Some(8 * 1024)));
    assert_eq!(settings.get("reserved-tcp-port").unwrap().value, Value::List(vec![Value::Int(700), Value::Int(800)]));
    assert_eq!((settings.word("autoflush"), config.labelstr()), (Some("all"), None));
    assert_eq!(settings.list("autolabel"), ["d-%%%", "empty", "volume-error"]);
    let Some(Value::Properties(properties)) = settings.get("property").map(|setting| &setting.value) else { panic!() };
    assert_eq!(properties.iter().collect::<Vec<_>>(), [(&b"some-name".to_vec(), &vec![b"1".to_vec(), b"2".to_vec(), b"3".to_vec()])]);
    let kind = config.dumptype("T").unwrap();
    assert_eq!((kind.compress(), kind.custom_compress(), kind.encrypt()), (Compress::Server(Effort::Best), None, Encrypt::Client));
    assert_eq!(
        kind.exclude(),
        Patterns { file: vec!["*.iso".into(), "*.o".into(), "./.cache".into()], list: vec![".ex".into()], optional: false }
    );
    assert_eq!(
        (kind.holdingdisk(), kind.index(), kind.record(), kind.strategy()),
        (HoldingUse::Never, true, false, super::typed::Strategy::IncrOnly)
    );
    assert_eq!(kind.estimate(), [Estimate::Calcsize, Estimate::Client]);
    assert_eq!(kind.settings().list("dump-limit"), ["same-host", "server"]);
    assert_eq!(kind.settings().text("application"), Some(OsStr::new("app")));
    assert_eq!((config.retention_days(), config.tpchanger()), (Some(30), Some(OsStr::new("chg-disk:/v"))));
    let [holding] = &config.holdingdisks()[..] else { panic!() };
    assert_eq!((holding.name, &*holding.directory, holding.uses), ("h1", Path::new("/h1"), Use::AllBut(100 * 1024)));
    let selection = config.storage().unwrap().settings.get("dump-selection").unwrap().value.clone();
    assert_eq!(selection, Value::List(vec![Value::List(vec![Value::Word("all".into()), Value::Word("incr".into())])]));
}

#[test]
fn a_dumptype_inherits_and_the_last_word_counts() {
    let config = conf(concat!(
        "dumpcycle 3\ndefine dumptype base {\nprogram \"GNUTAR\"\ncompress none\ntag \"a\"\n}\n",
        "define dumptype mine {\ntag \"b\"\nbase\n\"NO-RECORD\"\ncompress client custom\nclient_custom_compress \"/usr/bin/zstd\"\ndumpcycle 9\n}\n",
        "dumpcycle 4\n",
    ));
    let config = config.unwrap();
    let mine = config.dumptype("mine").unwrap();
    assert_eq!((mine.program(), mine.record(), mine.dumpcycle()), (OsStr::new("GNUTAR"), false, 9));
    assert_eq!((mine.custom_compress(), mine.settings().list("tag")), (Some(OsStr::new("/usr/bin/zstd")), vec!["b".into(), "a".into()]));
    // What the config says below a dumptype does not count for it any more, as for Amanda.
    assert_eq!((config.dumpcycle(), config.dumptype("base").unwrap().dumpcycle()), (4, 3));
}

#[test]
fn an_overlay_includes_the_shared_config() {
    let config = load(&[
        ("amanda.conf", b"includefile \"/etc/amanda/daily/shared.conf\"\norg \"laptop1\"\n"),
        ("shared.conf", b"org \"shared\"\nlogdir \"/log\"\nincludefile \"types\"\n"),
        ("types", b"define tapetype t {\nlength 1 g\n}\ntapetype t\n"),
    ]);
    let config = config.unwrap();
    assert_eq!((config.org(), config.logdir()), (Some(OsStr::new("laptop1")), "/log".into()));
    assert_eq!((config.tape_length_kb(), config.files().len()), (1024 * 1024, 3));
}

const TYPES: &str = "define dumptype laptop {\nprogram \"GNUTAR\"\n}\ndefine interface lan {\nuse 1000\n}\n";

#[test]
fn disks_are_read_with_devices_definitions_and_includes() {
    let source = files(&[
        ("amanda.conf", TYPES.as_bytes()),
        ("disklist", b"# comment\nh /a laptop\nh b /dev/b LAPTOP 1 lan # end\n\nh \"/c d\" {\n  laptop\n  compress none\n  application {\n    plugin \"amgtar\"\n  }\n} -1\nincludefile \"more\"\n"),
        ("more", b"i /a laptop"),
    ]);
    let mut config = Config::load(Path::new("/etc/amanda/daily"), &source).unwrap();
    let disks = disklist::load(&mut config, Path::new("/etc/amanda/daily/disklist"), &source).unwrap();
    let [a, b, c, more] = &disks[..] else { panic!("{disks:?}") };
    assert_eq!((a.dumptype.as_str(), a.spindle, a.directory()), ("laptop", None, Path::new("/a")));
    assert_eq!((b.directory(), b.spindle, b.interface.as_deref()), (Path::new("/dev/b"), Some(1), Some("lan")));
    let own = c.how(&config).unwrap();
    assert_eq!((own.program(), own.compress(), c.spindle, c.at.line), (OsStr::new("GNUTAR"), Compress::None, Some(-1), 5));
    let application = own.settings().text("application").and_then(OsStr::to_str).unwrap();
    assert_eq!(config.section(Kind::Application, application).unwrap().settings.text("plugin"), Some(OsStr::new("amgtar")));
    assert_eq!((more.dle.host.as_str(), more.at.line), ("i", 1));
}

#[test]
fn a_vaults_own_files_are_read_back() {
    let vault = Vault {
        name: "vault".into(),
        directory: "/home/me/my \"vault\"".into(),
        dumpuser: "me".into(),
        dumpcycle: 7,
        retention_days: 30,
        volumes: 20,
        volume_kb: 5_000_000,
        compress: "/usr/bin/zstd".into(),
        exclude: vec!["*.iso".into(), "./a \\b".into()],
    };
    let dle = Dle::new("laptop1", "/home/me/my docs");
    let list = vault::disklist([(&dle, None), (&Dle::new("laptop1", "x"), Some(Path::new("/x y")))], "vault");
    let (config, disks) = disks(&String::from_utf8(vault.conf()).unwrap(), &String::from_utf8(list).unwrap()).unwrap();
    assert_eq!((config.dumpcycle(), config.tapecycle(), config.retention_days()), (7, 20, Some(30)));
    assert_eq!(config.tpchanger(), Some(OsStr::new("chg-disk:/home/me/my \"vault\"/vtapes")));
    assert_eq!((config.tape_length_kb(), config.part_kb(), config.storage().unwrap().name.as_str()), (5_000_000, None, "vault"));
    assert_eq!(config.label_template().unwrap(), "vault-%%%");
    assert_eq!(config.tapelist(), Path::new("/home/me/my \"vault\"/tapelist"));
    let how = disks[0].how(&config).unwrap();
    assert_eq!((how.exclude().file, how.custom_compress()), (vault.exclude.clone(), Some(OsStr::new("/usr/bin/zstd"))));
    assert_eq!((&disks[0].dle, disks[1].directory()), (&dle, Path::new("/x y")));
    assert_eq!(vault.label(7), "vault-007");
}

proptest! {
    #[test]
    fn no_text_breaks_the_parsers(words in prop::collection::vec(prop::sample::select(vec![
        "define", "dumptype", "storage", "policy", "a", "b", "{", "}", "\n", "\"x\"", "\"", "exclude", "append", "property", "7", "-2.5", ",",
        "compress", "holdingdisk", "index", "tag", "application", "includefile", "#", "\\", "list", "vault", "weeks", "dumpcycle", "\u{80}",
    ]), 0..80)) {
        let text = words.join(" ");
        let _ = conf(&text);
        let _ = disks(TYPES, &text);
    }

    #[test]
    fn a_value_with_any_text_is_read_back(text in prop::collection::vec(1..=255u8, 0..60)) {
        use std::os::unix::ffi::OsStrExt as _;
        let line = [b"org ", &b"\""[..], &crate::quoting::quote(&[&text[..], b" "].concat())[1..], b"\n"].concat();
        let config = load(&[("amanda.conf", &line)]).unwrap();
        prop_assert_eq!(config.org().unwrap().as_bytes(), [&text[..], b" "].concat());
    }
}
