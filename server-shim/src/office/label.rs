//! Labelling a volume by hand: `label CONFIG LABEL`. What may be labelled is the engine's to say.

use std::sync::Mutex;

use amanda::escape::printable;
use wire::{DiskName, Exit, HostName, Outcome};

use super::place::Place;
use crate::engine::embedded::Watch;
use crate::engine::embedded::label::{Ask, label};
use crate::report::Words;

/// Keeps what is said on the way.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Watch for Notes {
    fn planned(&self, _: &HostName, _: &DiskName, _: u8, _: &str, _: Option<u64>) {}
    fn moved(&self, _: &HostName, _: &DiskName, _: u64) {}
    fn ended(&self, _: &HostName, _: &DiskName, _: Outcome) {}
    fn noted(&self, what: &str) {
        if let Ok(mut notes) = self.0.lock() {
            notes.push(what.to_owned());
        }
    }
}

/// Labels a volume; returns what was done, in lines. `now` in seconds since 1970.
///
/// # Errors
/// When it may not be labelled so, the volume or the tapelist cannot be written, or the installed Amanda labels the config's volumes.
pub fn command(place: &Place, ask: &Ask, now: i64) -> Result<(Exit, String), Words> {
    let named = printable(ask.label.as_bytes());
    let Some(site) = &place.site else {
        return Err(Words::new(Exit::Refused, "the installed Amanda labels its own volumes")
            .because("engine = \"amanda\" in shim.toml")
            .hint(format!("as the dump user: amlabel {} {named}", place.name)));
    };
    let notes = Notes::default();
    let slot = label(site, ask, &notes, now)?;
    let mut lines = vec![format!("The volume in slot {slot} is {named} now.")];
    lines.extend(notes.0.into_inner().unwrap_or_default());
    Ok((Exit::Done, lines.join("\n") + "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::embedded::make::{Plan, make};
    use crate::office::tape;

    #[test]
    fn a_volume_is_labelled_and_listed() {
        let dir = tempfile::tempdir().expect("directory");
        let place = Place::of(make(&dir.path().join("vault"), &Plan::default()).expect("made"));
        let volumes = tape::look(&place, 0).expect("looked");
        let (slot, old) = volumes.volumes.iter().find_map(|volume| Some((volume.slot?, volume.label.clone()))).expect("a volume");
        let new = format!("{}9", &old[..old.len() - 1]);
        let ask = |force| Ask { label: new.clone(), slot: Some(slot), force };
        assert!(command(&place, &ask(false), 0).expect_err("refused").hint.contains("--force"));
        let (_, text) = command(&place, &ask(true), 0).expect("labelled");
        assert!(text.starts_with(&format!("The volume in slot {slot} is {new} now.\n")), "{text}");
        let after = tape::look(&place, 0).expect("looked");
        let there = |label: &str| after.volumes.iter().find(|volume| volume.label == label).and_then(|volume| volume.slot);
        assert_eq!((there(&new), there(&old)), (Some(slot), None));
    }
}
