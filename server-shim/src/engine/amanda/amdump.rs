//! The command lines of a run.

use std::ffi::OsString;

use crate::engine::Survey;
use crate::queue::order::Kind;
use crate::runner::record::RunRecord;

/// Returns the program and its arguments for a run.
///
/// Hosts and configs come from the closed grammar of `wire`, disks from the administrator's disklist: nothing in a ticket
/// can become an option.
pub fn argv(record: &RunRecord, survey: &Survey) -> (&'static str, Vec<OsString>) {
    let config = OsString::from(record.config.as_str());
    let from_client = match record.kind {
        Kind::Nightly => return ("amdump", nightly(config, record, survey)),
        Kind::Foreign => return ("amdump", vec![config]),
        Kind::Flush => return ("amflush", vec!["-b".into(), "-f".into(), config]),
        Kind::Laptops { from_client } => from_client,
    };
    // Without a taper Amanda is in degraded mode, in which it makes no full dumps unless nothing is reserved for
    // incremental ones (`reserve` is 100 by default).
    let mut arguments: Vec<OsString> = vec![config, "--no-taper".into(), "--exact-match".into(), "-oreserve=0".into()];
    if from_client {
        arguments.push("--from-client".into());
    }
    for part in &record.parts {
        arguments.push(part.host.as_str().into());
        if part.disks != survey.disks_in(record.kind, &part.host, &[]) {
            arguments.extend(part.disks.iter().map(|disk| disk.as_os_str().to_owned()));
        }
    }
    ("amdump", arguments)
}

/// Everything, or what was ordered of it.
fn nightly(config: OsString, record: &RunRecord, survey: &Survey) -> Vec<OsString> {
    let mut arguments = vec![config];
    if !record.parts.is_empty() && !record.is_everything(survey) {
        arguments.push("--exact-match".into());
        for part in &record.parts {
            arguments.push(part.host.as_str().into());
            arguments.extend(part.disks.iter().map(|disk| disk.as_os_str().to_owned()));
        }
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::{record, survey};

    fn line(kind: Kind, parts: &[(&str, &[&str])]) -> String {
        let (program, arguments) = argv(&record(kind, parts), &survey(&[("a", "/home"), ("a", "/etc"), ("b", "/home")]));
        format!("{program} {}", arguments.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn laptops_are_dumped_to_the_holding_disk() {
        let parts = [("a", &["/home", "/etc"][..]), ("b", &["/home"])];
        assert_eq!(
            line(Kind::Laptops { from_client: true }, &parts),
            "amdump daily --no-taper --exact-match -oreserve=0 --from-client a b"
        );
        assert_eq!(line(Kind::Laptops { from_client: false }, &parts), "amdump daily --no-taper --exact-match -oreserve=0 a b");
    }

    #[test]
    fn some_disks_of_a_host_are_named() {
        assert_eq!(
            line(Kind::Laptops { from_client: true }, &[("a", &["/etc"]), ("b", &["/home"])]),
            "amdump daily --no-taper --exact-match -oreserve=0 --from-client a /etc b"
        );
    }

    #[test]
    fn the_nightly_run_and_the_flush_are_amandas_own() {
        assert_eq!(line(Kind::Nightly, &[]), "amdump daily");
        assert_eq!(line(Kind::Nightly, &[("a", &[]), ("b", &[])]), "amdump daily");
        assert_eq!(line(Kind::Nightly, &[("b", &[])]), "amdump daily --exact-match b");
        assert_eq!(line(Kind::Nightly, &[("a", &["/etc"]), ("b", &[])]), "amdump daily --exact-match a /etc b");
        assert_eq!(line(Kind::Flush, &[]), "amflush -b -f daily");
    }
}
