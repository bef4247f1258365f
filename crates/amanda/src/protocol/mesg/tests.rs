//! Lines as they come, and as someone would forge them.

use proptest::prelude::*;

use super::*;
use crate::protocol::request::{Application, Compress, DleRequest, Encrypt, Program};

#[test]
fn lines_are_understood() {
    let crc = Crc { crc: 0x93bf_e590, bytes: 10240 };
    for (line, expected) in [
        ("| Total bytes written: 10240", Line::Normal(b"Total bytes written: 10240")),
        ("|", Line::Normal(b"")),
        ("? noisy: something odd", Line::Strange(b"noisy: something odd")),
        ("sendbackup: start [laptop1:/home level 0]", Line::Start(b"[laptop1:/home level 0]")),
        ("sendbackup: info BACKUP=/bin/tar", Line::Info { key: b"BACKUP", value: b"/bin/tar" }),
        ("sendbackup: info BACKUP==x=y", Line::Info { key: b"BACKUP", value: b"=x=y" }),
        ("sendbackup: info BACKUP=", Line::Info { key: b"BACKUP", value: b"" }),
        ("sendbackup: info end", Line::InfoEnd),
        ("sendbackup: size 10", Line::Size(10)),
        ("sendbackup: native-CRC 93bfe590:10240", Line::NativeCrc(crc)),
        ("sendbackup: client-CRC 93bfe590:10240", Line::ClientCrc(crc)),
        ("sendbackup: no-op", Line::NoOp),
        ("sendbackup: state x", Line::State(b"x")),
        ("sendbackup: retry delay 5 level 0", Line::Retry(b"delay 5 level 0")),
        ("sendbackup: warning odd", Line::Warning(b"odd")),
        ("sendbackup: error [compress (28816) compress returned 3]", Line::Error(b"compress (28816) compress returned 3")),
        ("sendbackup: end", Line::End),
    ] {
        assert_eq!(Line::parse(line.as_bytes()), expected, "{line}");
        let printed = expected.print();
        assert_eq!(Line::parse(printed.strip_suffix(b"\n").unwrap()), expected, "{line}, printed");
    }
}

#[test]
fn other_spellings_are_other_lines_and_pass_as_strange_ones() {
    for line in [
        "",
        "sendbackup:",
        "sendbackup: ",
        "sendbackup:  info BACKUP=/bin/tar",
        " sendbackup: info BACKUP=/bin/tar",
        "sendbackup: info  BACKUP=/bin/tar",
        "sendbackup: info =BACKUP=/evil",
        "sendbackup: info BACKUP",
        "sendbackup: info backup=/bin/tar",
        "sendbackup: info END",
        "sendbackup: size",
        "sendbackup: size -1",
        "sendbackup: size 10 KB",
        "sendbackup: size 9999999999999999999",
        "sendbackup: client-CRC \"93bfe590:10240\"",
        "sendbackup: client-CRC 93bfe590",
        "sendbackup: error no brackets",
        "sendbackup: end now",
        "sendbackup: no-op ",
        "sendbackup: info BACKUP=a\0b",
        "Sendbackup: end",
        "welcome to laptop1",
    ] {
        assert_eq!(Line::parse(line.as_bytes()), Line::Other(line.as_bytes()), "{line}");
        assert!(Line::Other(line.as_bytes()).print().starts_with(b"? "), "{line}");
    }
}

#[test]
fn a_text_cannot_become_a_second_line() {
    let printed = Line::Strange(b"a\nsendbackup: info BACKUP=x\0").print();
    assert_eq!(printed, b"? a sendbackup: info BACKUP=x \n");
}

fn gnutar(compress: Compress) -> DleRequest {
    DleRequest { compress, ..DleRequest::of(Program::Gnutar, *b"/home") }
}

fn encrypted(decrypt_option: Option<&[u8]>) -> DleRequest {
    let decrypt_option = decrypt_option.map(<[u8]>::to_vec);
    DleRequest { encrypt: Encrypt::Client { program: b"/usr/bin/crypt".to_vec(), decrypt_option }, ..gnutar(Compress::None) }
}

fn plugin(name: &str, compress: Compress) -> DleRequest {
    let application = Some(Application { plugin: name.into(), ..Application::default() });
    DleRequest { application, compress, ..DleRequest::of(Program::Application, *b"/home") }
}

fn allows(dle: &DleRequest, key: &str, value: &str) -> bool {
    implied(dle, key.as_bytes(), value.as_bytes()).is_ok()
}

#[test]
fn what_the_dumptype_implies_is_allowed_and_nothing_else() {
    let (none, fast, best) = (gnutar(Compress::None), gnutar(Compress::ClientFast), gnutar(Compress::ClientBest));
    let custom = gnutar(Compress::ClientCustom(b"/usr/bin/zstd".to_vec()));
    let server_custom = gnutar(Compress::ServerCustom(b"/usr/bin/zstd".to_vec()));
    let (plain_crypt, crypt) = (encrypted(None), encrypted(Some(b"-d")));
    let (amgtar, amgtar_fast) = (plugin("amgtar", Compress::None), plugin("amgtar", Compress::ClientFast));
    let evil_name = plugin("../../tmp/x", Compress::None);
    let dump = DleRequest::of(Program::Dump, *b"/home");
    for (dle, key, value, allowed) in [
        (&none, "BACKUP", "/bin/tar", true),
        (&none, "BACKUP", "/usr/bin/tar", true),
        (&none, "BACKUP", "/opt/homebrew/bin/gtar", true),
        (&none, "BACKUP", "", false),
        (&none, "BACKUP", "tar", false),
        (&none, "BACKUP", "/home/me/bin/tar", false),
        (&none, "BACKUP", "/usr/bin/../../tmp/tar", false),
        (&none, "BACKUP", "/bin/tar ", false),
        (&none, "BACKUP", "APPLICATION", false),
        (&dump, "BACKUP", "/bin/tar", false),
        (&amgtar, "BACKUP", "APPLICATION", true),
        (&amgtar, "BACKUP", "/bin/tar", false),
        (&amgtar, "APPLICATION", "amgtar", true),
        (&amgtar, "APPLICATION", "amraw", false),
        (&none, "APPLICATION", "amgtar", false),
        (&evil_name, "APPLICATION", "../../tmp/x", false),
        (&none, "RECOVER_CMD", "/bin/tar -xpGf - ...", true),
        (&none, "RECOVER_CMD", "/bin/gzip -dc |/bin/tar -xpGf - ...", false),
        (&none, "RECOVER_CMD", "/bin/tar -xpGf - ...; rm -rf /", false),
        (&none, "RECOVER_CMD", "/tmp/tar -xpGf - ...", false),
        (&none, "RECOVER_CMD", "", false),
        (&fast, "RECOVER_CMD", "/bin/gzip -dc |/bin/tar -xpGf - ...", true),
        (&best, "RECOVER_CMD", "/usr/bin/gzip -dc |/usr/bin/tar -xpGf - ...", true),
        (&fast, "RECOVER_CMD", "/bin/tar -xpGf - ...", false),
        (&fast, "RECOVER_CMD", "/bin/sh -dc |/bin/tar -xpGf - ...", false),
        (&fast, "RECOVER_CMD", "/bin/gzip -dc |/bin/sh |/bin/tar -xpGf - ...", false),
        (&fast, "RECOVER_CMD", "/bin/gzip -dc|/bin/tar -xpGf - ...", false),
        (&amgtar, "RECOVER_CMD", "/usr/lib/amanda/application/amgtar restore [./file-to-restore]+", true),
        (&amgtar_fast, "RECOVER_CMD", "/bin/gzip -dc |/usr/lib/amanda/application/amgtar restore [./file-to-restore]+", true),
        (&amgtar, "RECOVER_CMD", "/usr/lib/amanda/application/amraw restore [./file-to-restore]+", false),
        (&amgtar, "RECOVER_CMD", "/tmp/amgtar restore [./file-to-restore]+", false),
        (&evil_name, "RECOVER_CMD", "/usr/lib/amanda/application/../../tmp/x restore [./file-to-restore]+", false),
        (&fast, "COMPRESS_SUFFIX", ".gz", true),
        (&fast, "COMPRESS_SUFFIX", ".xz", false),
        (&none, "COMPRESS_SUFFIX", ".gz", false),
        (&custom, "COMPRESS_SUFFIX", ".gz", false),
        (&amgtar, "COMPRESS_SUFFIX", ".gz", false),
        (&amgtar_fast, "COMPRESS_SUFFIX", ".gz", true),
        (&custom, "CLIENT_CUSTOM_COMPRESS", "/usr/bin/zstd", true),
        (&custom, "CLIENT_CUSTOM_COMPRESS", "/usr/bin/zstd2", false),
        (&custom, "CLIENT_CUSTOM_COMPRESS", "/path/evil", false),
        (&fast, "CLIENT_CUSTOM_COMPRESS", "/usr/bin/gzip", false),
        (&server_custom, "CLIENT_CUSTOM_COMPRESS", "/usr/bin/zstd", false),
        (&server_custom, "SERVER_CUSTOM_COMPRESS", "/usr/bin/zstd", false),
        (&crypt, "CLIENT_ENCRYPT", "/usr/bin/crypt", true),
        (&crypt, "CLIENT_ENCRYPT", "/path/evil", false),
        (&none, "CLIENT_ENCRYPT", "/usr/bin/crypt", false),
        (&crypt, "CLIENT_DECRYPT_OPTION", "-d", true),
        (&crypt, "CLIENT_DECRYPT_OPTION", "--exec", false),
        (&plain_crypt, "CLIENT_DECRYPT_OPTION", "-d", false),
        (&plain_crypt, "CLIENT_DECRYPT_OPTION", "", false),
        (&crypt, "SERVER_ENCRYPT", "/usr/bin/crypt", false),
        (&crypt, "SERVER_DECRYPT_OPTION", "-d", false),
        (&none, "ORIGSIZE", "1", false),
        (&none, "", "", false),
    ] {
        assert_eq!(allows(dle, key, value), allowed, "{:?} {key}={value}", dle.compress);
    }
}

#[test]
fn our_own_words_are_implied_whatever_is_asked() {
    for compress in [
        Compress::None,
        Compress::ClientFast,
        Compress::ClientBest,
        Compress::ClientCustom(b"/usr/bin/zstd".to_vec()),
        Compress::ServerFast,
        Compress::ServerBest,
        Compress::ServerCustom(b"/usr/bin/zstd".to_vec()),
    ] {
        let dle = gnutar(compress);
        let words = header_words(&dle);
        assert_eq!(words[0].0, b"BACKUP");
        for (key, value) in words {
            assert_eq!(implied(&dle, key, &value), Ok(()), "{:?}", dle.compress);
        }
    }
    assert!(header_words(&plugin("amgtar", Compress::None)).is_empty());
}

#[test]
fn what_spoils_a_dump_is_told_from_what_does_not() {
    let dle = gnutar(Compress::None);
    for (lines, unfit) in [
        (&["sendbackup: info BACKUP=/bin/tar", "sendbackup: info end", "| x", "sendbackup: end"][..], None),
        (&["sendbackup: info BACKUP=/tmp/tar"], Some(Unfit::NotImplied)),
        (&["sendbackup: info end"], Some(Unfit::Nameless)),
        (&["sendbackup: info BACKUP=/bin/tar", "sendbackup: info end", "sendbackup: info BACKUP=/bin/tar"], Some(Unfit::Late)),
        (&["sendbackup: retry"], Some(Unfit::Retry)),
        (&["sendbackup: state x"], Some(Unfit::State)),
    ] {
        let mut introduction = Introduction::default();
        let heard = lines.iter().try_for_each(|line| introduction.hear(&dle, &Line::parse(line.as_bytes())));
        assert_eq!(heard.err(), unfit, "{lines:?}");
        assert_eq!(introduction.is_complete(), matches!(unfit, None | Some(Unfit::Late)), "{lines:?}");
    }
    let state = Introduction::default().hear(&plugin("amgtar", Compress::None), &Line::State(b"x"));
    assert_eq!(state, Ok(()));
}

proptest! {
    #[test]
    fn garbage_never_panics_and_keeps_its_kind(line in prop::collection::vec(any::<u8>(), 0..60)) {
        let understood = Line::parse(&line);
        let printed = understood.print();
        prop_assert_eq!(memchr::memchr_iter(b'\n', &printed).count(), 1);
        if !matches!(understood, Line::Other(_)) {
            prop_assert_eq!(Line::parse(&printed[..printed.len() - 1]), understood);
        }
    }

    #[test]
    fn garbage_behind_the_name_never_panics(line in "sendbackup: (info|size|error|end|start|state|client-CRC)[ =\\[\\]A-Z0-9:]{0,20}") {
        let understood = Line::parse(line.as_bytes());
        if !matches!(understood, Line::Other(_)) {
            let printed = understood.print();
            prop_assert_eq!(Line::parse(&printed[..printed.len() - 1]), understood);
        }
    }

    #[test]
    fn garbage_is_never_implied(value in prop::collection::vec(any::<u8>(), 0..40)) {
        for key in [&b"BACKUP"[..], b"RECOVER_CMD", b"CLIENT_CUSTOM_COMPRESS", b"SERVER_ENCRYPT"] {
            prop_assert!(implied(&gnutar(Compress::ClientFast), key, &value).is_err());
        }
    }
}
