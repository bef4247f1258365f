//! A small office's files, as they stand (tests/fixtures/office): older spellings, a stock dumptype, a holding disk.

use std::ffi::OsString;

use super::*;
use crate::conf::holding::HoldingDisk;
use crate::conf::labels::Autolabel;
use crate::conf::reports::{DisplayUnit, ReportOn};
use crate::conf::rules::{Autoflush, Bump, DumpLimit, Split, TaperAlgo, Thresholds};
use crate::conf::{Effort, HoldingUse};

fn office(list: &[u8]) -> (Config, Result<Vec<disklist::Disk>, String>) {
    let site = String::from_utf8_lossy(include_bytes!("../../../tests/fixtures/office/site.conf")).replace("@HERE@", "/etc/amanda/daily");
    let source = files(&[
        ("amanda.conf", site.as_bytes()),
        ("ifh.conf", include_bytes!("../../../tests/fixtures/office/amanda.conf")),
        ("dumptypes", include_bytes!("../../../tests/fixtures/office/dumptypes")),
        ("disklist", list),
    ]);
    let mut config = Config::load(Path::new("/etc/amanda/daily"), &source).unwrap_or_else(|error| panic!("{error}"));
    let path = config.diskfile();
    let disks = disklist::load(&mut config, &path, &source).map_err(|error| error.to_string());
    (config, disks)
}

#[test]
fn the_offices_files_are_understood_as_they_stand() {
    let (config, disks) = office(include_bytes!("../../../tests/fixtures/office/disklist"));
    assert_eq!((config.org(), config.mailto()), (Some(OsStr::new("icefloehousing")), vec!["amanda@icefloehousing.com"]));
    let [older] = config.older() else { panic!("{:?}", config.older()) };
    assert_eq!((older.at.unwrap().line, older.at.unwrap().column), (2, 8), "{older}");
    assert_eq!((config.dumpcycle(), config.runspercycle(), config.tapecycle(), config.runtapes()), (14, Some(10), 12, 1));
    assert_eq!((config.tape_length_kb(), config.part_kb()), (15_000 * 1024, None));
    let holding = HoldingDisk {
        name: "hd1",
        comment: Some(OsStr::new("main holding disk")),
        directory: "/var/lib/amanda/dumps".into(),
        uses: Use::AllBut(500 * 1024),
        chunk_kb: Some(99 * 1024),
    };
    assert_eq!(config.holdingdisks(), [holding]);
    let labels = config.labels().unwrap();
    assert!(labels.matches("ifh00") && labels.matches("ifh1") && !labels.matches("ifh") && !labels.matches("daily-01"));
    assert_eq!((config.interface_kps(Some("eth0")), config.interface_kps(None)), (8000, 80_000));
    assert_eq!(
        (config.template(), config.autolabel(), config.tpchanger()),
        (Ok(None), Autolabel::default(), Some(OsStr::new("chg-disk:/etc/amanda/daily/vtapes")))
    );
    let disks = disks.unwrap();
    assert_eq!(disks.len(), 8);
    for disk in &disks {
        let how = disk.how(&config).unwrap();
        assert_eq!((how.program(), how.compress(), how.index()), (OsStr::new("GNUTAR"), Compress::Client(Effort::Fast), true), "{disk:?}");
        assert_eq!((how.priority(), how.dumpcycle(), how.maxdumps(), how.split()), (1, 14, 1, Split::AtEnd), "{disk:?}");
        let bypasses = disk.dle.disk == "/var/lib/amanda/dumps";
        assert_eq!(how.holdingdisk() == HoldingUse::Never, bypasses, "{disk:?}");
        let list = if disk.dle.disk == "/var" { vec![OsString::from("/var/lib/amanda/ifh/exclude")] } else { vec![] };
        assert_eq!(how.exclude().list, list, "{disk:?}");
    }
    assert_eq!((disks[0].dle.host.as_str(), disks[0].at), ("firewall.icefloehousing.com", Place { line: 1, column: 1 }));
}

#[test]
fn a_share_of_windows_is_a_disk_like_any_other_to_the_parser() {
    let (_, disks) = office(include_bytes!("../../../tests/fixtures/office/disklist.smb"));
    let disks = disks.unwrap();
    assert_eq!(disks[0].directory(), Path::new("//desktop/BADAPP1"));
}

#[test]
fn what_is_not_said_is_as_amanda_has_it() {
    let config = conf("").unwrap();
    assert_eq!((config.inparallel(), config.maxdumps(), config.netusage_kps(), config.reserve()), (10, 1, 80_000, 100));
    assert_eq!((config.dumpcycle(), config.runspercycle(), config.tapecycle(), config.runtapes()), (10, Some(10), 15, 1));
    assert_eq!((config.dumporder(), config.maxdumpsize_kb(), config.taperalgo()), (OsStr::new("ttt"), None, TaperAlgo::First));
    assert_eq!(config.bump(), Bump { size_kb: 10 * 1024, percent: 0, days: 2, mult: 1.5 });
    assert_eq!((config.autoflush(), config.thresholds()), (Autoflush::No, Thresholds { dumped: 0, scheduled: 0, taperflush: 0 }));
    assert_eq!((config.displayunit(), config.send_amreport_on(), config.report_media()), (DisplayUnit::Kilo, ReportOn::All, (true, true)));
    assert_eq!((config.mailto(), config.mailer(), config.columnspec(), config.auto_slots()), (vec![], None, None, None));
    assert_eq!((config.name(), config.storage_name(), config.tapepool()), ("daily".into(), "daily".into(), "daily".into()));
    assert!(config.labels().unwrap().matches("anything"));
    let how = config.dumptype("NO-HOLD").unwrap();
    assert_eq!((how.maxdumps(), how.maxpromoteday(), how.starttime(), how.retry_dump()), (1, 10_000, None, 2));
    assert_eq!((how.skip_full(), how.skip_incr(), how.comprate(), how.bump()), (false, false, (0.5, 0.5), config.bump()));
    assert_eq!((how.dump_limit(), how.split()), (DumpLimit { server: true, same_host: false }, Split::AtEnd));
}

#[test]
fn rules_that_are_said_are_those_of_the_storage_first() {
    let config = conf(concat!(
        "inparallel 4\nmaxdumps 2\nnetusage 8000 kbps\nruntapes 3\nautoflush yes\ntaperalgo largestfit\nmaxdumpsize 5 gb\nreserve 30\n",
        "flush-threshold-dumped 50\nbumpsize 20 mb\nbumppercent 20\nbumpdays 1\nbumpmult 4\nrunspercycle -1\ndumporder \"sssS\"\n",
        "mailto \"a@b.org root\"\ndisplayunit \"g\"\nsend-amreport-on strange\norg \"office\"\n",
        "define interface lan {\nuse 100 mbps\n}\n",
        "define tapetype t {\nlength 10 gb\npart-size 2 gb\npart-cache-type none\n}\n",
        "define storage shelf {\nruntapes 2\nautoflush all\nflush-threshold-scheduled 80\ntaperflush 120\ntapetype \"t\"\ntapepool \"$o-$r\"\n",
        "labelstr match-autolabel\nautolabel \"$c-$r-%%\" other-config\n}\nstorage \"shelf\"\n",
        "define dumptype d {\npriority low\nstarttime 2315\nskip-incr\nmaxpromoteday 3\ncomprate 0.2, 0.9\ndump-limit same-host\nretry-dump 1\n}\n",
        "define dumptype split {\ntape-splitsize 1 gb\n}\ndefine dumptype whole {\nallow-split no\n}\ndefine dumptype old {\nfallback-splitsize 10 mb\n}\n",
    ));
    let config = config.unwrap();
    assert_eq!((config.inparallel(), config.maxdumps(), config.interface_kps(None), config.runtapes()), (4, 2, 8000, 2));
    assert_eq!((config.interface_kps(Some("lan")), config.runspercycle(), config.reserve()), (100 * 1024, None, 30));
    assert_eq!((config.autoflush(), config.taperalgo(), config.maxdumpsize_kb()), (Autoflush::All, TaperAlgo::LargestFit, Some(5 << 20)));
    assert_eq!(config.thresholds(), Thresholds { dumped: 50, scheduled: 80, taperflush: 120 });
    assert_eq!(
        (config.mailto(), config.displayunit().kib(), config.send_amreport_on()),
        (vec!["a@b.org", "root"], 1 << 20, ReportOn::Strange)
    );
    assert_eq!((config.tapepool(), config.dumporder()), ("office-shelf".into(), OsStr::new("sssS")));
    let labels = config.labels().unwrap();
    assert!(labels.matches("daily-shelf-07") && !labels.matches("daily-shelf-7") && !labels.matches("x-daily-shelf-07"));
    let template = config.template().unwrap().unwrap();
    assert_eq!((template.label(7), template.label(100), template.label(0)), (Some("daily-shelf-07".into()), None, None));
    assert_eq!(config.autolabel(), Autolabel { other_config: true, ..Autolabel::default() });
    let how = config.dumptype("d").unwrap();
    assert_eq!((how.priority(), how.starttime(), how.maxdumps(), how.maxpromoteday()), (0, Some(23 * 3600 + 15 * 60), 2, 3));
    assert_eq!((how.skip_incr(), how.comprate(), how.retry_dump(), how.split()), (true, (0.2, 0.9), 1, Split::Parts(2 << 20)));
    assert_eq!(how.dump_limit(), DumpLimit { server: false, same_host: true });
    let split = |name: &str| config.dumptype(name).unwrap().split();
    assert_eq!((split("split"), split("whole"), split("old")), (Split::Parts(1 << 20), Split::No, Split::No));
}

#[test]
fn a_template_for_labels_has_a_number_or_is_refused() {
    use crate::conf::labels::WrongTemplate;
    for (template, wrong) in [
        ("daily", WrongTemplate::Number),
        ("a-%-%", WrongTemplate::Number),
        ("a-!!", WrongTemplate::Letters),
        ("$b-%%", WrongTemplate::Variable('b')),
        ("$5s", WrongTemplate::Variable('5')),
        ("a/%%", WrongTemplate::Word),
        ("a%%$", WrongTemplate::Word),
    ] {
        let config = conf(&format!("autolabel \"{template}\"\n")).unwrap();
        assert_eq!(config.template(), Err(wrong), "{template}");
    }
    let older = conf("label-new-tapes \"old%%\"\n").unwrap();
    assert_eq!(older.template().unwrap().unwrap().label(3), Some("old03".into()));
    assert_eq!(older.autolabel(), Autolabel { volume_error: true, empty: true, ..Autolabel::default() });
    assert!(conf("labelstr \"a(\"\n").unwrap().labels().is_err());
}
