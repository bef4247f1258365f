mod office;

use super::*;
use crate::engine::embedded::make::{Plan, make};

fn vault() -> (tempfile::TempDir, Site) {
    let directory = tempfile::tempdir().expect("directory");
    let site = make(&directory.path().join("vault"), &Plan::default()).expect("made");
    (directory, site)
}

fn edited(site: &Site, from: &str, to: &str) {
    let path = site.directory().join(CONF);
    let text = fs::read_to_string(&path).expect("read");
    assert!(text.contains(from), "{text}");
    fs::write(&path, text.replace(from, to)).expect("written");
}

#[test]
fn a_disk_is_added_once_and_is_there_afterwards() {
    let (_keep, mut site) = vault();
    let dle = Dle::new("laptop1", "/home/me/my docs");
    site.add_disk(&dle, None).expect("added");
    site.add_disk(&dle, None).expect("is there");
    site.add_disk(&Dle::new("laptop1", "docs"), Some(Path::new("/srv/docs"))).expect("added");
    assert!(site.add_disk(&Dle::new("laptop1", "docs"), Some(Path::new("/srv/other"))).is_err());
    // Amanda calls the files of both the same.
    assert!(site.add_disk(&Dle::new("laptop1", "_home_me_my docs"), None).is_err());
    let again = Site::open(site.directory(), None).expect("opened");
    let host = "laptop1".parse().expect("name");
    assert_eq!(again.disks_of(&host).map(|disk| disk.dle.clone()).collect::<Vec<_>>(), [dle, Dle::new("laptop1", "docs")]);
    assert_eq!(again.name(), site.name());
}

#[test]
fn a_vault_that_was_moved_is_read_and_put_right_when_it_is_written() {
    let (keep, site) = vault();
    let elsewhere = keep.path().join("else where");
    fs::rename(site.directory(), &elsewhere).expect("moved");
    let before = fs::read(elsewhere.join(CONF)).expect("read");
    let moved = Site::open(&elsewhere, None).expect("opened");
    assert_eq!(moved.holding(), elsewhere.canonicalize().expect("there").join("holding"));
    assert_eq!(fs::read(elsewhere.join(CONF)).expect("read"), before, "reading writes nothing");
    moved.for_writing().expect("written");
    let text = fs::read_to_string(elsewhere.join(CONF)).expect("read");
    assert!(!text.contains(&*site.directory().to_string_lossy()), "{text}");
    assert!(!Site::open(&elsewhere, None).expect("opened").moved);
}

#[test]
fn what_this_engine_cannot_do_is_refused_by_name_and_place() {
    for (from, to, words) in [
        ("program \"GNUTAR\"", "program \"DUMP\"", "DUMP"),
        ("compress client custom", "compress server fast", "on the server"),
        ("index yes", "encrypt client", "encryption"),
        ("index yes", "strategy hanoi", "strategy"),
        ("index yes", "holdingdisk never", "straight to a volume"),
        ("index yes", "record no", "not recorded"),
        ("chg-disk:", "chg-robot:", "chg-robot"),
        ("\nholdingdisk hold {", "\ndefine holdingdisk hold {", "holding disk"),
        ("retention-days 30", "retention-days 30\nretention-tapes 3", "in volumes"),
        ("\ndefine tapetype VAULT {", "\ndefine tapetype VAULT {\npart-size 1 gbytes", "parts"),
        ("%%%", "$b-%%%", "autolabel"),
    ] {
        let (_keep, mut site) = vault();
        site.add_disk(&Dle::new("laptop1", "/home"), None).expect("added");
        edited(&site, from, to);
        let trouble = Site::open(site.directory(), None).expect_err(to);
        assert!(trouble.message.contains(words) && trouble.message.contains("amanda.conf"), "{to}: {trouble}");
        assert!(trouble.hint.contains("engine = \"amanda\""), "{to}: {}", trouble.hint);
    }
}

#[test]
fn an_error_has_its_file_line_and_column() {
    let (_keep, site) = vault();
    edited(&site, "dumpcycle 14 days", "dumpcycel 14 days");
    let trouble = Site::open(site.directory(), None).expect_err("wrong");
    assert!(trouble.message.contains("amanda.conf:9:1:") && trouble.hint.contains("did you mean \"dumpcycle\"?"), "{trouble}");
    edited(&site, "dumpcycel 14 days", "dumpcycle 14 days");
    fs::write(site.directory().join("disklist"), "laptop1 /home\n").expect("written");
    let trouble = Site::open(site.directory(), None).expect_err("wrong");
    assert!(trouble.message.contains("disklist:1:"), "{trouble}");
}

#[test]
fn a_directory_is_a_vault_when_it_has_been_made() {
    let (keep, site) = vault();
    assert!(Site::is_vault(site.directory()));
    assert!(!Site::is_vault(keep.path()));
    fs::write(keep.path().join(CONF), "org \"x\"\n").expect("written");
    assert!(!Site::is_vault(keep.path()), "a config of somebody's");
}

#[test]
fn labels_follow_the_template() {
    let (_keep, site) = vault();
    assert_eq!(site.label(7), Some(format!("{}-007", site.name())));
    assert_eq!(site.label(1_000), None);
}

#[test]
fn a_directory_of_another_account_is_not_written_to() {
    if !geteuid().is_root() {
        return;
    }
    let (_keep, site) = vault();
    std::os::unix::fs::chown(site.directory(), Some(34), Some(34)).expect("given away");
    let trouble = site.for_writing().expect_err("foreign");
    assert_eq!(trouble.code, AbortCode::Refused);
    assert!(trouble.message.contains("belongs to") && trouble.hint.contains("run this as"), "{trouble}");
}

#[test]
fn a_vault_whose_paths_lead_out_of_it_is_not_opened() {
    for (name, setting) in [
        ("tapelist", "tapelist"),
        ("disklist", "diskfile"),
        ("log", "logdir"),
        ("index", "indexdir"),
        ("curinfo", "infofile"),
        ("holding", "holding disk"),
        ("vtapes", "tpchanger"),
    ] {
        for (outside, moved) in [("/../elsewhere", false), ("/holding/..", false), ("/../elsewhere", true)] {
            let (keep, site) = vault();
            let (directory, inside) = (site.directory().display(), site.directory().join(name));
            let mut text = fs::read_to_string(site.directory().join(CONF)).expect("read");
            if name == "disklist" {
                text.push_str(&format!("diskfile \"{}\"\n", inside.display()));
            }
            text = text.replace(&format!("{}\"", inside.display()), &format!("{directory}{outside}\""));
            if moved {
                text = text.replace(&*site.directory().to_string_lossy(), "/nowhere/vault");
                text = text.replace("/nowhere/vault/../elsewhere", &keep.path().join("elsewhere").to_string_lossy());
            }
            fs::write(site.directory().join(CONF), text).expect("written");
            let trouble = Site::open(site.directory(), None).expect_err(setting);
            let words = ["not this vault's", "not in this vault", "include no others"];
            assert!(words.iter().any(|words| trouble.message.contains(words)), "{trouble}");
        }
    }
    let (keep, site) = vault();
    fs::write(keep.path().join("more"), "org \"x\"\n").expect("written");
    edited(&site, "dumpcycle 14 days", &format!("includefile \"{}\"", keep.path().join("more").display()));
    let trouble = Site::open(site.directory(), None).expect_err("included");
    assert!(trouble.message.contains("include no others"), "{trouble}");
    // An administrator's config is where he wants it.
    Site::open(site.directory(), Some(site.name())).expect("opened");
}

#[test]
fn a_vault_whose_directories_are_others_is_not_written_to() {
    use std::os::unix::fs::symlink;
    for name in [
        "log",
        "index",
        "index/laptop1",
        "index/laptop1/_home",
        "curinfo",
        "curinfo/laptop1",
        "holding",
        "holding/20261122003709",
        "vtapes",
        "vtapes/slot1",
        "vtapes/slot2",
        ".asyncamanda/queue",
        ".asyncamanda/disks",
        ".asyncamanda/latest",
    ] {
        let (keep, site) = vault();
        let path = site.directory().join(name);
        if path.exists() {
            fs::rename(&path, keep.path().join("elsewhere")).expect("moved");
        } else {
            fs::create_dir_all(path.parent().expect("one")).expect("made");
            fs::create_dir(keep.path().join("elsewhere")).expect("made");
        }
        site.for_writing().expect("its own");
        if path.exists() {
            fs::remove_dir(&path).expect("made anew");
        }
        symlink(keep.path().join("elsewhere"), &path).expect("planted");
        let trouble = site.for_writing().expect_err(name);
        assert!(trouble.code == AbortCode::Refused && trouble.message.contains(&format!("{} is a symlink", path.display())), "{trouble}");
        if geteuid().is_root() {
            fs::remove_file(&path).expect("removed");
            fs::create_dir(&path).expect("made");
            std::os::unix::fs::chown(&path, Some(34), Some(34)).expect("given away");
            let trouble = site.for_writing().expect_err(name);
            assert!(trouble.message.contains("belongs to"), "{trouble}");
        }
    }
}

#[test]
fn what_is_denied_and_what_is_full_have_their_own_words_and_status() {
    for (errno, code, hint) in [
        (Errno::ENOSPC, AbortCode::Failed, "make room on the file system of /v/log"),
        (Errno::EDQUOT, AbortCode::Failed, "make room on the file system of /v/log"),
        (Errno::EROFS, AbortCode::Refused, "mount the file system so that it can be written"),
        (Errno::EACCES, AbortCode::Refused, "/ "),
        (Errno::EIO, AbortCode::Later, "plugged in"),
    ] {
        let trouble = failed("cannot write", Path::new("/v/log"), &errno.into());
        assert!(trouble.code == code && trouble.hint.contains(hint), "{errno}: {trouble:?}");
    }
}

#[test]
fn two_who_find_a_vault_moved_put_it_right_once_and_keep_what_was_edited() {
    let (keep, site) = vault();
    let elsewhere = keep.path().join("elsewhere");
    fs::rename(site.directory(), &elsewhere).expect("moved");
    let (one, two) = (Site::open(&elsewhere, None).expect("opened"), Site::open(&elsewhere, None).expect("opened"));
    one.for_writing().expect("written");
    edited(&one, "dumpcycle 14 days", "dumpcycle 7 days");
    two.for_writing().expect("written");
    assert!(fs::read_to_string(elsewhere.join(CONF)).expect("read").contains("dumpcycle 7 days"));
}
