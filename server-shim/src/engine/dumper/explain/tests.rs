use std::fs;

use super::*;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/amanda/tests/fixtures/office");

/// A small office's config, with more behind it, explained; its directory is called HERE.
fn explained(list: Option<&str>, more: &str) -> String {
    let keep = tempfile::tempdir().expect("directory");
    let here = keep.path().canonicalize().expect("there").join("ifh");
    fs::create_dir(&here).expect("made");
    for (from, to) in [("amanda.conf", "ifh.conf"), ("dumptypes", "dumptypes"), ("disklist", "disklist")] {
        fs::copy(Path::new(FIXTURES).join(from), here.join(to)).expect("copied");
    }
    if let Some(list) = list {
        fs::write(here.join("disklist"), list).expect("written");
    }
    let conf = fs::read_to_string(Path::new(FIXTURES).join("site.conf")).expect("read");
    fs::write(here.join("amanda.conf"), conf.replace("@HERE@", &here.to_string_lossy()) + more).expect("written");
    let site = Site::open(&here, Some(&"ifh".parse().expect("name"))).unwrap_or_else(|trouble| panic!("{trouble}"));
    explain(&site, Around { free: &|_| Some(20 << 30), slots: 12 }).replace(&*here.to_string_lossy(), "HERE")
}

#[test]
fn the_office_is_told_so_that_a_newcomer_understands_it() {
    assert_eq!(explained(None, ""), include_str!("office.txt"));
}

#[test]
fn what_is_said_of_one_disk_and_of_several_volumes_is_told() {
    let list = "h \"my docs\" /home/docs {\nuser-tar\nexclude \"*.iso\" \"./.cache\"\ncompress client custom\nclient-custom-compress \"/usr/bin/zstd\"\n\
                priority high\nstrategy noinc\nstarttime 2230\n} -1 eth0\nh /b {\nuser-tar\ninclude \"./x*\"\nallow-split no\nholdingdisk required\n}\n\
                h /c {\nuser-tar\nignore\n}\n";
    let more = "runtapes 2\nautoflush all\nautolabel \"$c%%\" empty volume-error\nlabelstr match-autolabel\nflush-threshold-dumped 50\ntaperflush 100\n\
                send-amreport-on never\nrunspercycle -1\ndefine policy ifh {\nretention-tapes 20\n}\nkrb5keytab \"/k\"\n";
    assert_eq!(explained(Some(list), more), include_str!("several.txt"));
}

#[test]
fn a_vault_is_told_as_one_that_keeps_days() {
    let keep = tempfile::tempdir().expect("directory");
    let path = keep.path().canonicalize().expect("there").join("vault");
    let site = crate::engine::embedded::make::make(&path, &crate::engine::embedded::make::Plan::default()).expect("made");
    let text = explain(&site, Around { free: &|_| None, slots: 3 });
    assert!(
        text.contains("is kept for 30 days") && text.contains("it is not there") && text.contains("a run labels empty volumes itself"),
        "{text}"
    );
}
