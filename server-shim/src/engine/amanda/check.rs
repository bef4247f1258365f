//! What would make a first dump fail or wait, and how to mend it: a pure look at what Amanda says of a config.

use amanda::admin::DiskEntry;
use wire::HostName;

use super::survey::Settings;
use crate::engine::Finding;

/// Looks at a config as a laptop's run will meet it.
pub fn findings(config: &str, settings: &Settings, entries: &[DiskEntry], hosts: &[HostName]) -> Vec<Finding> {
    let mut found = Vec::new();
    if settings.holding.is_empty() {
        found.push(Finding::serious(
            format!("{config} has no holding disk, and a laptop's run writes nowhere else"),
            format!("add `holdingdisk hd1 {{ directory \"/var/amanda/holding\" … }}` to {config}/amanda.conf (with `define holdingdisk`, name it in a line `holdingdisk hd1` as well)"),
        ));
    }
    let reserve: u32 = settings.get("RESERVE").parse().unwrap_or(100);
    if reserve > 0 {
        found.push(Finding::minor(
            format!("{config} has `reserve {reserve}`: an amdump --no-taper that is typed by hand skips every new disk (\"can't be dumped in degraded mode\"); the laptops' runs are started with -oreserve=0"),
            format!("put `reserve 0` into {config}/amanda.conf, so that both do the same"),
        ));
    }
    if let (Some(holding), Some(volume)) = (settings.holding_kb, settings.volume_kb)
        && holding < volume / 4
    {
        found.push(Finding::minor(
            format!("the holding disks of {config} take {} MiB, and a volume holds {} MiB", holding / 1024, volume / 1024),
            "with `estimate server` Amanda takes a disk that it has never dumped for a quarter of a volume, and skips it when that does not fit: raise `use`, or let first dumps have `estimate client`",
        ));
    }
    for host in hosts {
        let own: Vec<&DiskEntry> = entries.iter().filter(|entry| entry.dle.host == host.as_str()).collect();
        if own.is_empty() {
            let near = entries.iter().find(|entry| {
                entry.dle.host.eq_ignore_ascii_case(host.as_str()) || entry.dle.host.split('.').next() == host.as_str().split('.').next()
            });
            let mend = match near {
                Some(entry) => format!(
                    "the disklist calls a host \"{}\"; use the same name in [host.…] of shim.toml and in the key's forced command",
                    entry.dle.host
                ),
                None => format!("add a line such as `{host} /home DUMPTYPE` to the disklist"),
            };
            found.push(Finding::serious(format!("the disklist of {config} has no disk for {host}"), mend));
        }
        for entry in own {
            found.extend(disk(config, entry));
        }
    }
    found
}

/// Looks at one disk of a host that calls in.
fn disk(config: &str, entry: &DiskEntry) -> Vec<Finding> {
    let name = format!("{}:{}", entry.dle.host, amanda::escape::printable(entry.dle.disk_bytes()));
    let mut found = Vec::new();
    if entry.ignore() || entry.strategy().eq_ignore_ascii_case("SKIP") {
        found.push(Finding::serious(format!("{name} is never dumped (`ignore` or `strategy skip`)"), "use another dumptype for it"));
    }
    if !entry.from_client() {
        found.push(Finding::minor(
            format!("{name} is also dumped by the nightly run of {config}, which waits for a laptop that may not be there"),
            "put `dump-limit same-host` into its dumptype: then only the laptop's own runs dump it",
        ));
    }
    if entry.estimate().first().is_none_or(|first| first.eq_ignore_ascii_case("CLIENT")) {
        found.push(Finding::minor(
            format!("{name} has `estimate client`: every run first has the laptop read its whole disk to tell sizes, and the batch waits for the slowest one"),
            "put `estimate server` into its dumptype: sizes then come from history",
        ));
    }
    if entry.holdingdisk().eq_ignore_ascii_case("NEVER") {
        found.push(Finding::serious(
            format!("{name} bypasses the holding disk, and a laptop's run has no tape"),
            "put `holdingdisk auto` into its dumptype",
        ));
    }
    if !entry.record() {
        found.push(Finding::minor(
            format!("{name} has `record no`: every dump of it is a full one as far as the client knows"),
            "put `record yes` into its dumptype",
        ));
    }
    if !entry.index() {
        found.push(Finding::minor(
            format!("{name} has no index: its files cannot be listed before a restore"),
            "put `index yes` into its dumptype",
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::amanda::survey::parse_config;

    const GOOD: &str = "RESERVE 0\nTAPETYPE T\nHOLDINGDISK hd1\nDEFINE HOLDINGDISK hd1 {\n DIRECTORY \"/h\"\n USE 100000K\n}\nDEFINE TAPETYPE T {\n LENGTH 400000K\n}\n";
    fn entries(lines: &[(&str, &str)]) -> Vec<DiskEntry> {
        let mut text = String::new();
        for (host, settings) in lines {
            text.push_str(&format!("line 1 (/etc/amanda/daily/disklist):\n    host {host}:\n        interface default\n    disk /home:\n        program \"GNUTAR\"\n{settings}        spindle -1\n\n"));
        }
        amanda::admin::disklist::parse(text.as_bytes())
    }
    const FINE: &str = "        STRATEGY            STANDARD\n        ESTIMATE            SERVER\n        RECORD              yes\n        HOLDINGDISK         AUTO\n        IGNORE              no\n        INDEX               yes\n        DUMP-LIMIT          SAME-HOST \n";

    fn said(config: &str, lines: &[(&str, &str)], host: &str) -> Vec<Finding> {
        findings("daily", &parse_config(config.as_bytes()), &entries(lines), &[host.parse().expect("name")])
    }

    #[test]
    fn a_good_config_is_passed_in_silence() {
        assert_eq!(said(GOOD, &[("laptop1", FINE)], "laptop1"), []);
    }

    #[test]
    fn each_fault_is_found_and_mended() {
        let change = |from: &str, to: &str| FINE.replace(from, to);
        for (config, settings, host, is_serious, part) in [
            ("RESERVE 0\nHOLDINGDISK\n", FINE.to_owned(), "laptop1", true, "no holding disk"),
            (&GOOD.replace("RESERVE 0", "RESERVE 100"), FINE.to_owned(), "laptop1", false, "reserve 100"),
            (&GOOD.replace("400000K", "500000K"), FINE.to_owned(), "laptop1", false, "holding disks"),
            (GOOD, FINE.to_owned(), "laptop2", true, "no disk for laptop2"),
            (GOOD, change("SAME-HOST", "SERVER"), "laptop1", false, "nightly"),
            (GOOD, change("ESTIMATE            SERVER", "ESTIMATE            CLIENT"), "laptop1", false, "estimate client"),
            (GOOD, change("AUTO", "NEVER"), "laptop1", true, "bypasses the holding disk"),
            (GOOD, change("RECORD              yes", "RECORD              no"), "laptop1", false, "record no"),
            (GOOD, change("INDEX               yes", "INDEX               no"), "laptop1", false, "no index"),
            (GOOD, change("IGNORE              no", "IGNORE              yes"), "laptop1", true, "never dumped"),
        ] {
            let found = said(config, &[("laptop1", &settings)], host);
            let hit = found.iter().find(|finding| finding.what.contains(part));
            assert_eq!(hit.map(|finding| finding.serious), Some(is_serious), "{part}: {found:?}");
        }
    }

    #[test]
    fn a_host_that_is_only_called_differently_is_pointed_out() {
        let found = said(GOOD, &[("laptop1.example.com", FINE)], "laptop1");
        assert!(found[0].mend.contains("\"laptop1.example.com\""), "{found:?}");
    }
}
