//! The keywords with what they mean here: data, in the order of the parser's tables.

use amanda::conf::Kind;

use super::Meaning::{self, Honoured, Refused, Without};

type Table = &'static [(&'static str, Meaning)];

const COMMENT: Meaning = Without("words for people");
const DEBUG: Meaning = Without("Amanda's own debug files are not written");
const REACH: Meaning = Without("how a client is reached stands in shim.toml, not in the dumptype");
const READS: Meaning = Without("for Amanda's amrecover and amidxtaped, which read this file themselves");
const PORTS: Meaning = Without("no ports are opened");
const REST: Meaning = Without("there is no REST server");
const KEPT: Meaning = Honoured("refused where dumps are kept for days");

const CONFIG: Table = &[
    ("active-storage", Refused("unless it names the storage itself")),
    ("amrecover-changer", READS),
    ("amrecover-check-label", READS),
    ("amrecover-do-fsf", READS),
    ("autoflush", Honoured("")),
    ("autolabel", Honoured("a text with one run of `%`; `$c`, `$o` and `$r` in it; `!`, `$b`, `$m` and `$s` are refused")),
    ("bumpdays", Honoured("")),
    ("bumpmult", Honoured("")),
    ("bumppercent", Honoured("")),
    ("bumpsize", Honoured("")),
    ("changerdev", Without("of a robot, which is refused")),
    ("changerfile", Without("Amanda's own notes about the changer; they are its own")),
    ("columnspec", Without("a report's columns are as wide as what is in them")),
    ("command-file", Without("what Amanda's programs order of each other")),
    ("compress-index", Without("indexes are always compressed; Amanda reads them either way")),
    ("connect-tries", REACH),
    ("ctimeout", Honoured("")),
    ("debug-amandad", DEBUG),
    ("debug-amidxtaped", DEBUG),
    ("debug-amindexd", DEBUG),
    ("debug-amrecover", DEBUG),
    ("debug-auth", DEBUG),
    ("debug-chunker", DEBUG),
    ("debug-days", DEBUG),
    ("debug-driver", DEBUG),
    ("debug-dumper", DEBUG),
    ("debug-event", DEBUG),
    ("debug-holding", DEBUG),
    ("debug-planner", DEBUG),
    ("debug-protocol", DEBUG),
    ("debug-recovery", DEBUG),
    ("debug-selfcheck", DEBUG),
    ("debug-sendbackup", DEBUG),
    ("debug-sendsize", DEBUG),
    ("debug-taper", DEBUG),
    ("device-output-buffer-size", Without("a directory needs no such buffer")),
    ("device-property", Refused("")),
    ("diskfile", Honoured("")),
    ("displayunit", Honoured("")),
    ("dtimeout", Honoured("")),
    ("dumpcycle", Honoured("")),
    ("dumporder", Honoured("")),
    ("dumpuser", Without("shim.toml's `dump_user` is the account; `check` says when the config belongs to another one")),
    ("eject-volume", Without("a directory is not ejected")),
    ("etimeout", Honoured("")),
    ("flush-threshold-dumped", Honoured("")),
    ("flush-threshold-scheduled", Honoured("")),
    ("holdingdisk", Honoured("several; one where dumps are kept for days; without any, dumps are made beside the volumes")),
    ("indexdir", Honoured("")),
    ("infofile", Honoured("")),
    ("inparallel", Honoured("")),
    ("interactivity", Refused("")),
    ("krb5keytab", REACH),
    ("krb5principal", REACH),
    ("label-new-tapes", Honoured("the older word for `autolabel`")),
    ("labelstr", Honoured("an expression, or `match-autolabel`")),
    ("logdir", Honoured("")),
    ("mailer", Honoured("")),
    ("mailto", Honoured("also without quotation marks, as Amanda 2 had it; Amanda 3 refuses that")),
    ("max-dle-by-volume", Refused("")),
    ("maxdumps", Honoured("")),
    ("maxdumpsize", Honoured("")),
    ("meta-autolabel", Refused("")),
    ("netusage", Honoured("")),
    ("org", Honoured("")),
    ("printer", Without("no labels are printed on paper")),
    ("property", Without("for programs that ask for one; none of ours does")),
    ("recovery-limit", Without("stricter here: a key restores its own host, and others only by a grant in shim.toml")),
    ("rep-tries", REACH),
    ("report-format", Without("a report is a text")),
    ("report-next-media", Honoured("")),
    ("report-use-media", Honoured("")),
    ("req-tries", REACH),
    ("reserve", Honoured("")),
    ("reserved-tcp-port", PORTS),
    ("reserved-udp-port", PORTS),
    ("rest-api-port", REST),
    ("rest-ssl-cert", REST),
    ("rest-ssl-key", REST),
    ("runspercycle", Honoured("")),
    ("runtapes", Honoured("")),
    ("send-amreport-on", Honoured("")),
    ("sort-index", Without("indexes are always sorted when they are read")),
    ("ssl-dir", REACH),
    ("storage", Honoured("one; a second one is refused")),
    ("tapecycle", Honoured("")),
    ("tapedev", Honoured("as `tpchanger`, where there is none")),
    ("tapelist", Honoured("")),
    ("taper-parallel-write", Without("one volume is written at a time: what is written is the same")),
    ("taperalgo", Honoured("")),
    ("taperflush", Honoured("")),
    ("taperscan", Refused("unless it is `traditional`, Amanda's own default")),
    ("tapetype", Honoured("")),
    ("tmpdir", Without("no temporary files are made")),
    ("tpchanger", Honoured("`chg-disk:/DIRECTORY`; every other changer and every drive is refused")),
    ("unreserved-tcp-port", PORTS),
    ("usetimestamps", Without("always yes, as for Amanda 3.5 itself, whatever is said")),
    ("vault-storage", Refused("")),
];

const TAPETYPE: Table = &[
    ("blocksize", Refused("unless it is 32 KiB")),
    ("comment", COMMENT),
    ("filemark", Honoured("counted when a run is planned, as Amanda does")),
    ("lbl-templ", Without("no labels are printed on paper")),
    ("length", Honoured("")),
    ("part-cache-dir", Without("a part is read again from where the dump lies")),
    ("part-cache-max-size", Honoured("as a bound of `part-size`")),
    ("part-cache-type", Without("a part is read again from where the dump lies")),
    ("part-size", KEPT),
    ("readblocksize", Refused("unless it is 32 KiB")),
    ("speed", Without("a directory is as fast as it is")),
];

const DUMPTYPE: Table = &[
    ("allow-split", Honoured("")),
    ("amandad-path", REACH),
    ("application", Refused("")),
    ("auth", REACH),
    ("bumpdays", Honoured("")),
    ("bumpmult", Honoured("")),
    ("bumppercent", Honoured("")),
    ("bumpsize", Honoured("")),
    ("client-custom-compress", Honoured("")),
    ("client-decrypt-option", Without("encryption is refused")),
    ("client-encrypt", Without("without `encrypt client`, which is refused, for Amanda neither")),
    ("client-port", REACH),
    ("client-username", REACH),
    ("comment", COMMENT),
    ("comprate", Honoured("")),
    ("compress", Honoured("by the client; `server` is refused")),
    ("data-path", Refused("when it is `directtcp`")),
    ("dump-limit", Honoured("")),
    ("dumpcycle", Honoured("")),
    ("encrypt", Refused("when it is not `none`")),
    ("estimate", Honoured("")),
    ("exclude", Honoured("")),
    ("fallback-splitsize", Honoured("as Amanda has it: with it and without `tape-splitsize` a dump is not divided")),
    ("holdingdisk", Honoured("`never` is refused where dumps are kept for days")),
    ("ignore", Honoured("")),
    ("include", Honoured("")),
    ("index", Honoured("")),
    ("kencrypt", Refused("")),
    ("max-warnings", Without("how many lines of a dump a report shows")),
    ("maxdumps", Honoured("")),
    ("maxpromoteday", Honoured("")),
    ("priority", Honoured("")),
    ("program", Honoured("`GNUTAR`; every other one is refused")),
    ("property", Without("for applications, which are refused")),
    ("record", Refused("when it is `no`")),
    ("recovery-limit", Without("stricter here: a key restores its own host, and others only by a grant in shim.toml")),
    ("retry-dump", Honoured("")),
    ("script", Refused("")),
    ("server-custom-compress", Without("without `compress server`, which is refused, for Amanda neither")),
    ("server-decrypt-option", Without("encryption is refused")),
    ("server-encrypt", Without("without `encrypt server`, which is refused, for Amanda neither")),
    ("skip-full", KEPT),
    ("skip-incr", KEPT),
    ("split-diskbuffer", KEPT),
    ("ssh-keys", REACH),
    ("ssl-ca-cert-file", REACH),
    ("ssl-cert-file", REACH),
    ("ssl-check-certificate-host", REACH),
    ("ssl-check-fingerprint", REACH),
    ("ssl-check-host", REACH),
    ("ssl-cipher-list", REACH),
    ("ssl-fingerprint-file", REACH),
    ("ssl-key-file", REACH),
    ("starttime", KEPT),
    ("strategy", Honoured("where dumps are kept for days: standard, noinc and skip")),
    ("tag", Without("for `dump-selection`, which is refused")),
    ("tape-splitsize", KEPT),
];

const HOLDINGDISK: Table = &[("chunksize", Honoured("")), ("comment", COMMENT), ("directory", Honoured("")), ("use", Honoured(""))];

const INTERFACE: Table = &[("comment", COMMENT), ("src-ip", REACH), ("use", Honoured(""))];

const OF_REFUSED: Meaning = Without("what uses it is refused");

const APPLICATION: Table = &[("client-name", OF_REFUSED), ("comment", COMMENT), ("plugin", OF_REFUSED), ("property", OF_REFUSED)];

const SCRIPT: Table = &[
    ("client-name", OF_REFUSED),
    ("comment", COMMENT),
    ("execute-on", OF_REFUSED),
    ("execute-where", OF_REFUSED),
    ("order", OF_REFUSED),
    ("plugin", OF_REFUSED),
    ("property", OF_REFUSED),
    ("single-execution", OF_REFUSED),
];

const DEVICE: Table = &[("comment", COMMENT), ("device-property", OF_REFUSED), ("tapedev", OF_REFUSED)];

const CHANGER: Table = &[
    ("changerdev", Without("of a robot, which is refused")),
    ("changerfile", Without("Amanda's own notes about the changer; they are its own")),
    ("comment", COMMENT),
    ("device-property", Refused("")),
    ("property", Honoured("`num-slot`, `auto-create-slot`; `mount`, `umount` and `removable` are refused when they say yes")),
    ("tapedev", Honoured("as `tpchanger`, where there is none")),
    ("tpchanger", Honoured("`chg-disk:/DIRECTORY`; every other changer is refused")),
];

const INTERACTIVITY: Table = &[("comment", COMMENT), ("plugin", OF_REFUSED), ("property", OF_REFUSED)];

const TAPERSCAN: Table = &[
    ("comment", COMMENT),
    ("plugin", Refused("unless it is `traditional`, Amanda's own default")),
    ("property", Without("`traditional` has none")),
];

const POLICY: Table = &[
    ("comment", COMMENT),
    ("retention-days", Honoured("dumps are kept for days then, as in a vault")),
    ("retention-full", Refused("")),
    ("retention-recover", Refused("")),
    ("retention-tapes", Honoured("in the place of `tapecycle` - 1; refused beside `retention-days`")),
];

const STORAGE: Table = &[
    ("autoflush", Honoured("")),
    ("autolabel", Honoured("as in the config itself")),
    ("comment", COMMENT),
    ("device-output-buffer-size", Without("a directory needs no such buffer")),
    ("dump-selection", Refused("unless it is `all all`")),
    ("eject-volume", Without("a directory is not ejected")),
    ("erase-on-failure", Refused("when it says yes")),
    ("erase-on-full", Refused("when it says yes")),
    ("erase-volume", Refused("when it says yes")),
    ("flush-threshold-dumped", Honoured("")),
    ("flush-threshold-scheduled", Honoured("")),
    ("interactivity", Refused("")),
    ("labelstr", Honoured("")),
    ("max-dle-by-volume", Refused("")),
    ("meta-autolabel", Refused("")),
    ("policy", Honoured("")),
    ("report-next-media", Honoured("")),
    ("report-use-media", Honoured("")),
    ("runtapes", Honoured("")),
    ("set-no-reuse", Refused("when it says yes")),
    ("tapedev", Honoured("as `tpchanger`, where there is none")),
    ("tapepool", Honoured("")),
    ("taper-parallel-write", Without("one volume is written at a time: what is written is the same")),
    ("taperalgo", Honoured("")),
    ("taperflush", Honoured("")),
    ("taperscan", Refused("unless it is `traditional`, Amanda's own default")),
    ("tapetype", Honoured("")),
    ("tpchanger", Honoured("`chg-disk:/DIRECTORY`; every other changer is refused")),
    ("vault", Refused("")),
];

pub(super) fn of(kind: Option<Kind>) -> Table {
    let Some(kind) = kind else { return CONFIG };
    match kind {
        Kind::Dumptype => DUMPTYPE,
        Kind::Tapetype => TAPETYPE,
        Kind::Holdingdisk => HOLDINGDISK,
        Kind::Interface => INTERFACE,
        Kind::Application => APPLICATION,
        Kind::Script => SCRIPT,
        Kind::Device => DEVICE,
        Kind::Changer => CHANGER,
        Kind::Interactivity => INTERACTIVITY,
        Kind::Taperscan => TAPERSCAN,
        Kind::Policy => POLICY,
        Kind::Storage => STORAGE,
    }
}
