//! A config as it was understood, for somebody who has never read one.
//!
//! Everything comes in as values; how much room a directory has is asked of the caller.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use amanda::conf::holding::Use;
use amanda::conf::labels::{Autolabel, Labelstr};
use amanda::conf::reports::ReportOn;
use amanda::conf::rules::{Autoflush, Split};
use amanda::conf::{Compress, Config, Dumptype, Effort, HoldingUse, Strategy};
use amanda::escape::printable;
use comfy_table::{Table, presets};
use wire::HostName;

use super::survey;
use crate::engine::embedded::site::{Rotation, Site, meaning};

/// What was found around a config.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// Tells how many bytes are free on a directory's file system; `None` when it is not there.
    pub free: &'a dyn Fn(&Path) -> Option<u64>,
    /// The slots that are there.
    pub slots: usize,
}

/// Explains the configs that the hosts of shim.toml belong to, those that can be read. To be called as the dump user.
pub fn all(config: &crate::config::Config, only: Option<&HostName>) -> Vec<String> {
    let mut names: Vec<_> =
        config.hosts.iter().filter(|(host, _)| only.is_none_or(|only| only == *host)).map(|(_, rule)| &rule.config).collect();
    names.sort();
    names.dedup();
    let free = |path: &Path| rustix::fs::statvfs(path).ok().map(|there| there.f_bavail.saturating_mul(there.f_frsize));
    let explained = |site: Site| {
        let slots = site.changer().slots().map_or(0, |slots| slots.len());
        explain(&site, Around { free: &free, slots })
    };
    names.into_iter().filter_map(|name| survey::open(config, name).ok()).map(explained).collect()
}

/// Explains a config.
pub fn explain(site: &Site, around: Around<'_>) -> String {
    let config = site.config();
    let mut lines = vec![
        format!(
            "{}: what {} says, as it is understood here",
            site.name(),
            config.files().first().map_or_else(String::new, |path| shown(path))
        ),
        String::new(),
    ];
    let mut row = |name: &str, text: String| lines.push(format!("  {name:<14}{text}"));
    row("Full dumps", cycle(config));
    row("Volumes", volumes(site, around.slots));
    row("Labels", labels(site));
    for text in holding(site, around) {
        row("Holding disk", text);
    }
    row("At once", at_once(config));
    row("Onto volumes", flushing(config));
    row("Reports", reports(config));
    lines.push(String::new());
    lines.push(disks(site));
    let dumptypes: Vec<_> = site.disks().iter().map(|disk| disk.dumptype.clone()).collect();
    let unused = meaning::unused(config, &dumptypes);
    if !unused.is_empty() {
        lines.push("\nWithout meaning here, and nothing is lost by it:".to_owned());
        lines.extend(unused.iter().map(|one| format!("  {} ({}): {}", one.keyword, one.place, one.why)));
    }
    if !config.older().is_empty() {
        lines.push("\nUnderstood here, and refused by Amanda 3 itself:".to_owned());
        lines.extend(config.older().iter().map(|older| format!("  {older}: {}", older.hint)));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn shown(path: &Path) -> String {
    printable(path.as_os_str().as_bytes())
}

fn count(number: u32, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

fn size(kb: u64) -> String {
    match kb {
        0..10_240 => format!("{kb} KiB"),
        10_240..10_485_760 => format!("{} MiB", kb >> 10),
        _ => {
            let tenths = kb.saturating_mul(10) >> 20;
            if tenths.is_multiple_of(10) { format!("{} GiB", tenths / 10) } else { format!("{}.{} GiB", tenths / 10, tenths % 10) }
        }
    }
}

fn cycle(config: &Config) -> String {
    match (config.dumpcycle(), config.runspercycle()) {
        (0, _) => "in every run, of every disk".to_owned(),
        (days, Some(runs)) => format!("of every disk within {}, spread over {}", count(days, "day"), count(runs, "run")),
        (days, None) => format!("of every disk within {}; how many runs there are is told by the dates of the volumes", count(days, "day")),
    }
}

fn volumes(site: &Site, slots: usize) -> String {
    let config = site.config();
    let there = match (slots, config.auto_slots()) {
        (0, None) => "there are none yet".to_owned(),
        (_, Some(most)) => format!("{slots} are there, and more are made up to {most}"),
        (1, None) => "1 is there".to_owned(),
        (_, None) => format!("{slots} are there"),
    };
    let each = format!(
        "directories slot1, slot2, … in {} ({there}), each for {}",
        shown(site.changer().directory()),
        size(config.tape_length_kb())
    );
    match site.rotation() {
        Rotation::Kept { days } => format!("{each}; what is on them is kept for {}", count(days, "day")),
        Rotation::Cycle { tapecycle, runtapes } => {
            format!("{each}; {tapecycle} go round, the oldest is used again, and a run writes {} at most", count(runtapes, "volume"))
        }
    }
}

fn labels(site: &Site) -> String {
    let config = site.config();
    let wanted = match config.labels() {
        Ok(Labelstr::Pattern(pattern)) => format!("they match {pattern}"),
        _ => "any".to_owned(),
    };
    match config.template() {
        Ok(Some(template)) if config.autolabel() != Autolabel::default() => {
            let first = template.label(1).unwrap_or_default();
            format!("{wanted}; a run labels {} itself: {first} and so on", kinds(config.autolabel()))
        }
        _ => format!("{wanted}; a run labels none: asyncamanda-shim label {} LABEL", site.name()),
    }
}

fn kinds(which: Autolabel) -> String {
    let kinds = [
        (which.empty, "empty volumes"),
        (which.volume_error, "volumes that it cannot read"),
        (which.non_amanda, "volumes of other programs"),
        (which.other_config, "volumes with other labels"),
    ];
    kinds.iter().filter(|(said, _)| *said).map(|(_, words)| *words).collect::<Vec<_>>().join(", ")
}

fn holding(site: &Site, around: Around<'_>) -> Vec<String> {
    let disks = site.config().holdingdisks();
    if disks.is_empty() {
        return vec![format!("none: dumps are made beside the volumes, in {}", shown(&site.straight()))];
    }
    let disk = |disk: &amanda::conf::holding::HoldingDisk<'_>| {
        let uses = match disk.uses {
            Use::AllBut(0) => "all that is free".to_owned(),
            Use::AllBut(kb) => format!("all that is free but {}", size(kb)),
            Use::AtMost(kb) => format!("at most {}", size(kb)),
        };
        let room = (around.free)(&disk.directory).map(|bytes| disk.uses.room_kb(bytes >> 10));
        let room = room.map_or_else(|| "it is not there".to_owned(), |kb| format!("{} now", size(kb)));
        format!("{} in {}: {uses}, {room}", disk.name, shown(&disk.directory))
    };
    disks.iter().map(disk).collect()
}

fn at_once(config: &Config) -> String {
    let networks = config.sections(amanda::conf::Kind::Interface).filter(|section| !section.name.eq_ignore_ascii_case("default"));
    let networks: Vec<_> = networks.map(|section| format!("{} over {}", config.interface_kps(Some(&section.name)), section.name)).collect();
    let others = if networks.is_empty() { String::new() } else { format!(" ({})", networks.join(", ")) };
    format!(
        "{}, {} of a host unless its dumptype says more; {} KiB/s of the network{others}",
        count(config.inparallel(), "dump"),
        config.maxdumps(),
        config.interface_kps(None)
    )
}

fn flushing(config: &Config) -> String {
    let thresholds = config.thresholds();
    let leftover = match config.autoflush() {
        Autoflush::No => "what earlier runs left on the holding disk stays there until a flush",
        Autoflush::Yes => "a run writes what earlier ones left of its own disks",
        Autoflush::All => "a run writes all that earlier ones left",
    };
    let begun = match (thresholds.dumped, thresholds.scheduled) {
        (0, 0) => "at once".to_owned(),
        (dumped, 0) => format!("when {dumped} % of a volume wait"),
        (0, scheduled) => format!("when {scheduled} % of a volume wait or are still to be dumped"),
        (dumped, scheduled) => format!("when {dumped} % of a volume wait, and {scheduled} % with what is still to be dumped"),
    };
    let last = if thresholds.taperflush == 0 { String::new() } else { format!("; at a run's end, when {} % wait", thresholds.taperflush) };
    format!("{begun}{last}; {leftover}")
}

fn reports(config: &Config) -> String {
    let to = config.mailto();
    let when = match config.send_amreport_on() {
        ReportOn::All => "after every run",
        ReportOn::Strange => "when something was strange or went wrong",
        ReportOn::Error => "when something went wrong",
        ReportOn::Never => return "none are mailed".to_owned(),
    };
    if to.is_empty() {
        "none are mailed: there is no mailto".to_owned()
    } else {
        format!("to {}, {when}", printable(to.join(", ").as_bytes()))
    }
}

fn disks(site: &Site) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["Host", "Disk", "Dumptype", "How", "Left out", "Priority", "Levels"]);
    for disk in site.disks() {
        let Some(how) = disk.how(site.config()) else { continue };
        let name = printable(disk.dle.disk_bytes());
        let name = if disk.device.is_some() { format!("{name} ({})", shown(disk.directory())) } else { name };
        table.add_row([printable(disk.dle.host.as_bytes()), name, dumptype(how), program(how), left_out(how), priority(how), levels(how)]);
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A disk's own definition is called by what it takes over.
fn dumptype(how: Dumptype<'_>) -> String {
    match how.parents() {
        parents if !how.name().starts_with("custom(") || parents.is_empty() => how.name().to_owned(),
        parents => parents.join(" "),
    }
}

fn program(how: Dumptype<'_>) -> String {
    let compressed = match how.compress() {
        Compress::None => "not compressed".to_owned(),
        Compress::Client(Effort::Fast) => "gzip --fast".to_owned(),
        Compress::Client(Effort::Best) => "gzip --best".to_owned(),
        Compress::Client(Effort::Custom) => {
            how.custom_compress().map_or_else(|| "compressed".to_owned(), |program| printable(program.as_bytes()))
        }
        Compress::Server(_) => "compressed on the server".to_owned(),
    };
    let program = if how.program() == "GNUTAR" { "GNU tar".into() } else { how.program().to_string_lossy() };
    let holding = match how.holdingdisk() {
        HoldingUse::Never => ", straight to a volume",
        HoldingUse::Required => ", by the holding disk only",
        HoldingUse::Auto => "",
    };
    let parts = if how.split() == Split::No { ", on one volume" } else { "" };
    format!("{program}, {compressed}{holding}{parts}")
}

fn left_out(how: Dumptype<'_>) -> String {
    let (exclude, include) = (how.exclude(), how.include());
    let mut words: Vec<_> = exclude.file.iter().map(|pattern| printable(pattern.as_bytes())).collect();
    words.extend(exclude.list.iter().map(|list| format!("list {}", printable(list.as_bytes()))));
    if !include.file.is_empty() || !include.list.is_empty() {
        let only = include.file.iter().chain(&include.list).map(|pattern| printable(pattern.as_bytes()));
        words.push(format!("all but {}", only.collect::<Vec<_>>().join(" ")));
    }
    if words.is_empty() { "nothing".to_owned() } else { words.join(" ") }
}

fn priority(how: Dumptype<'_>) -> String {
    match how.priority() {
        0 => "low".to_owned(),
        1 => "medium".to_owned(),
        2 => "high".to_owned(),
        other => other.to_string(),
    }
}

fn levels(how: Dumptype<'_>) -> String {
    let strategy = match how.strategy() {
        _ if how.ignore() => "ignored",
        Strategy::Skip => "never dumped",
        Strategy::Standard => "full and incremental",
        Strategy::NoFull => "level 1 always",
        Strategy::NoInc => "full always",
        Strategy::Hanoi => "as the towers of Hanoi",
        Strategy::IncrOnly => "incremental only",
    };
    let start = how.starttime().map_or_else(String::new, |at| format!(", from {:02}:{:02}", at / 3600, at % 3600 / 60));
    let limit = how.dump_limit();
    let asks = if limit.same_host && !limit.server { ", when its host calls" } else { "" };
    format!("{strategy}{start}{asks}")
}

#[cfg(test)]
mod tests;
