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
    assert!(Site::open(&elsewhere, None).expect("opened").moved.is_none());
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
        ("retention-days 30", "retention-tapes 3", "in volumes"),
        ("\ndefine tapetype VAULT {", "\nusetimestamps no\ndefine tapetype VAULT {", "usetimestamps"),
        ("\ndefine tapetype VAULT {", "\ndefine tapetype VAULT {\npart-size 1 gbytes", "parts"),
        ("%%%", "$c-%%%", "autolabel"),
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
    assert!(trouble.message.contains("amanda.conf:9:1:") && trouble.message.contains("dumpcycle"), "{trouble}");
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
    assert!(trouble.message.contains("belongs to") && trouble.hint.contains("run this as"), "{trouble}");
}
