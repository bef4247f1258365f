use proptest::prelude::*;

use super::super::carried_over;
use super::*;

const RUN: &[u8] = include_bytes!("../../../tests/fixtures/files/log.run");

fn printed(entry: Entry<'_>) -> String {
    let mut log = Vec::new();
    entry.print(&mut log);
    String::from_utf8(log).unwrap()
}

fn crc(word: &str) -> Option<Crc> {
    Crc::parse(word.as_bytes())
}

/// Every line here stands in a log of Amanda's.
#[test]
fn lines_are_those_that_amanda_wrote() {
    let docs = Dle::new("localhost", "docs home");
    let data = Dle::new("localhost", "/var/lib/amanda/files4711/src/data");
    let at = "20261123190624";
    let docs_dump = Dump { dle: &docs, datestamp: at, level: 0 };
    let data_dump = Dump { dle: &data, datestamp: at, level: 0 };
    let shelf = Shelf { storage: "files4711", pool: "files4711" };
    let sums = Sums { native: crc("9a1d3138:3205120"), client: crc("00029ba5:3002155"), server: crc("00029ba5:3002155") };
    let docs_sums = Sums { native: crc("bb30c6b0:61440"), client: crc("17c14f56:21757"), server: None };
    let sized = |secs, bytes| Statistics { secs, bytes, orig_kb: 3130 };
    let log = String::from_utf8_lossy(RUN);
    for entry in [
        Entry::Pid("amdump", 13922),
        Entry::PidDone("amdump", 13922),
        Entry::Start("planner", at),
        Entry::Disk(&docs),
        Entry::Start("driver", at),
        Entry::Hostname("vm"),
        Entry::StartupTime(0.071),
        Entry::Warning("planner", "tapecycle (2) <= runspercycle (7)"),
        Entry::Finish("planner", at, 2.403),
        Entry::Info("taper", "Slot 1 without label can be labeled"),
        Entry::Dumped(docs_dump, docs_sums, Statistics { secs: 0.135_03, bytes: 21757, orig_kb: 60 }),
        Entry::Chunked(docs_dump, crc("17c14f56:21757"), Statistics { secs: 1.168_211, bytes: 21757, orig_kb: 60 }, true),
        Entry::Estimate { dump: docs_dump, secs: 25, orig_kb: 51232, kb: 25632, kps: 1024 },
        Entry::Volume { datestamp: at, shelf, label: "files4711-001", number: 1 },
        Entry::Part { dump: data_dump, shelf, label: "files4711-001", file: 2, part: 1, statistics: sized(0.002_036, 2_097_152) },
        Entry::Part { dump: data_dump, shelf, label: "files4711-001", file: 3, part: 2, statistics: sized(0.000_766, 905_003) },
        Entry::Done(data_dump, shelf, 2, sums, sized(0.0, 3_002_155), true),
        Entry::VolumeDone { label: "files4711-001", kb: 6083, files: 5 },
        Entry::Finish("driver", at, 9.087),
    ] {
        let line = printed(entry);
        let same_program = line.split(' ').take(3).collect::<Vec<_>>().join(" ");
        let like: Vec<_> = log.lines().filter(|other| other.starts_with(&same_program)).collect();
        assert!(like.contains(&line.trim_end_matches('\n')), "{line}is not among {like:#?}");
    }
}

#[test]
fn failures_are_lines_that_our_reader_understands() {
    let dle = Dle::new("laptop1", "/home docs");
    let dump = Dump { dle: &dle, datestamp: "20261123190624", level: 1 };
    let shelf = Shelf { storage: "v", pool: "v" };
    let nothing = Statistics { secs: 0.0, bytes: 0, orig_kb: 0 };
    for (entry, line) in [
        (
            Entry::Dumped(dump, Sums::default(), Statistics { secs: 1.066, bytes: 284, orig_kb: 10 }),
            "SUCCESS dumper laptop1 \"/home docs\" 20261123190624 1 00000000:0 00000000:0 [sec 1.066 kb 1 kps 0.9 orig-kb 10]\n",
        ),
        (Entry::Fail("dumper", dump, "the laptop left"), "FAIL dumper laptop1 \"/home docs\" 20261123190624 1 [the laptop left]\n"),
        (
            Entry::TaperFail(dump, shelf, "no room"),
            "FAIL taper \"ST:v\" \"POOL:v\" laptop1 \"/home docs\" 20261123190624 1 error \"no room\"\n",
        ),
        (
            Entry::TaperDenied(dump, shelf, "runtapes=1"),
            "FAIL taper \"ST:v\" \"POOL:v\" laptop1 \"/home docs\" 20261123190624 1 config runtapes=1\n",
        ),
        (
            Entry::PartPartial { dump, shelf, label: "v-1", file: 3, part: 2, statistics: nothing, why: "No space left" },
            "PARTPARTIAL taper \"ST:v\" \"POOL:v\" v-1 3 laptop1 \"/home docs\" 20261123190624 2/-1 1 [sec 0.100000 bytes 0 kps 0.000000 orig-kb 0] \"No space left\"\n",
        ),
        (
            Entry::Partial(dump, shelf, 2, Sums::default(), nothing, "all are needed"),
            "PARTIAL taper \"ST:v\" \"POOL:v\" laptop1 \"/home docs\" 20261123190624 2 1 00000000:0 00000000:0 00000000:0 [sec 0.100000 bytes 0 kps 0.000000 orig-kb 0] \"all are needed\"\n",
        ),
        (
            Entry::Strange(dump, Sums::default(), nothing, &["? tar: a: file changed", "| x"]),
            "STRANGE dumper laptop1 \"/home docs\" 1 00000000:0 00000000:0 [sec 0.000 kb 0 kps 0.0 orig-kb 0]\n  ? tar: a: file changed\n  | x\n",
        ),
        (Entry::Info("driver", "a\nFINISH driver\x1b"), "INFO driver a FINISH driver \n"),
    ] {
        assert_eq!(printed(entry), line);
    }
    assert_eq!(file_name("20261123190624", 0), "log.20261123190624.0");
}

#[test]
fn what_a_later_run_has_to_say_of_a_volume() {
    let carried = carried_over(RUN, "files4711-001");
    assert_eq!(carried.len(), 8, "five parts of three dumps");
    assert!(carried.iter().all(|line| line.starts_with(b"PART taper") || line.starts_with(b"DONE taper")));
    assert!(carried_over(RUN, "files4711-002").is_empty());
    let two = b"PART taper \"ST:v\" \"POOL:v\" v-1 1 h /d 20261123 1/-1 0 [sec]\nPART taper \"ST:v\" \"POOL:v\" v-2 1 h /d 20261123 2/-1 0 [sec]\nDONE taper \"ST:v\" \"POOL:v\" h /d 20261123 2 0 [sec]\nFAIL taper \"ST:v\" \"POOL:v\" h /e 20261123 0 error x\n";
    assert_eq!(carried_over(two, "v-2").len(), 3, "the part on v-1 goes with it");
}

proptest! {
    #[test]
    fn no_name_makes_another_line(host in "[!-~]{1,10}", disk in prop::collection::vec(1..=255u8, 1..40), reason: String) {
        use std::os::unix::ffi::OsStringExt as _;
        let dle = Dle::new(host, std::ffi::OsString::from_vec(disk));
        let dump = Dump { dle: &dle, datestamp: "20261123", level: 0 };
        let shelf = Shelf { storage: "v", pool: "v" };
        let statistics = Statistics { secs: 1.0, bytes: 5000, orig_kb: 7 };
        let mut log = Vec::new();
        let entries = [
            Entry::Fail("dumper", dump, &reason),
            Entry::Dumped(dump, Sums::default(), statistics),
            Entry::Part { dump, shelf, label: "v-1", file: 1, part: 1, statistics },
            Entry::Done(dump, shelf, 1, Sums::default(), statistics, true),
        ];
        for entry in &entries {
            entry.print(&mut log);
        }
        prop_assert_eq!(log.iter().filter(|byte| **byte == b'\n').count(), entries.len());
    }

    #[test]
    fn no_log_breaks_what_carries_it_over(log in prop::collection::vec(prop::sample::select(&b"PART DONE taper \"\\\nSTv-1:"[..]), 0..200)) {
        let _ = carried_over(&log, "v-1");
    }
}
