//! Volumes: which one the next run wants, which are in the slots, and which may be overwritten when.

mod choice;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use amanda::conf::Config;
use amanda::escape::printable;
use amanda::tapelist::{Tape, Tapelist};
use amanda::vtape::changer::ChgDisk;
use serde::Serialize;
use wire::Exit;

use self::choice::{Begun, Choice};
use super::find::{self, date};
use super::place::Place;
use super::plain;
use super::report::about;
use super::report::text::{lines, table};
use super::retention::{self, Kept, Rules, Wanted};
use crate::engine::embedded::catalog::words;
use crate::engine::embedded::site::failed;
use crate::engine::embedded::stamp;
use crate::engine::{Finding, Trouble};
use crate::report::Words;

/// What is in a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// A volume with this label.
    Volume(String),
    /// Nothing, or a volume without a label.
    Nothing,
    /// Something that cannot be used.
    Odd(String),
}

/// A volume of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Its label.
    pub label: String,
    /// When it was written last; `0` when never.
    pub written: String,
    /// The slot it is in, when it is in one.
    pub slot: Option<u32>,
    /// Why it may not be overwritten; `None` when it may.
    pub kept: Option<Kept>,
    /// The volumes that are written before it may be overwritten, for one of the youngest.
    pub after: Option<u32>,
    /// The datestamp from which on it may be overwritten, for one that is not old enough.
    pub until: Option<String>,
}

/// Volumes of a config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Volumes {
    /// What the next run wants.
    pub wanted: Wanted,
    /// The volumes, youngest first.
    pub volumes: Vec<Volume>,
    /// The slots; `None` when only the changer knows.
    pub slots: Option<BTreeMap<u32, Content>>,
    /// Slots with volumes that the list does not have, and that have dumps on them.
    pub unlisted: BTreeSet<u32>,
    /// The list is missing or empty, although volumes of this config are there.
    pub is_lost: bool,
    /// The slot where a changer stands.
    pub current: Option<u32>,
    /// A run labels a new one itself.
    pub labels_itself: bool,
    /// What the embedded engine chooses, where it serves the config and volumes go round.
    pub choice: Option<Choice>,
}

/// Looks at the volumes of a config.
///
/// # Errors
/// When its files cannot be read.
pub fn look(place: &Place, now: i64) -> Result<Volumes, Trouble> {
    let rules = about::rules(&place.conf, &place.name);
    let (tapelist, labels) = (place.tapelist()?, place.labels()?);
    let matches = |label: &str| labels.matches(label);
    let rows = if rules.recover > 0 || rules.full > 0 { find::rows(place)? } else { Vec::new() };
    let mut kept = retention::kept(&tapelist, &rules, &matches, &rows, &|days| stamp::of(now - i64::from(days) * 86_400));
    let mut wanted = retention::wanted(&tapelist, &rules, &matches, &kept);
    let choice = Choice::of(place, now)?;
    if let Some(choice) = &choice {
        let is_fresh = |begun: &Begun| !begun.is_new && tapelist.get(&begun.label).is_some_and(|tape| tape.datestamp == "0");
        choice.put_right(&mut wanted, choice.next.as_ref().is_some_and(is_fresh));
        for tape in tapelist.tapes().iter().filter(|tape| choice.is_needed(&tape.label)) {
            kept.entry(tape.label.clone()).or_insert(Kept::Needed);
        }
    }
    let changer = changer(place);
    let slots = changer.as_ref().map(slots).transpose()?;
    let mut youngest = 0;
    let of = |tape: &Tape| volume(tape, &rules, &kept, slots.as_ref(), &mut youngest);
    let unlisted = changer.as_ref().zip(slots.as_ref()).map(|(changer, slots)| unlisted(changer, slots, &tapelist));
    Ok(Volumes {
        unlisted: unlisted.unwrap_or_default(),
        is_lost: tapelist.tapes().is_empty() && slots.iter().flatten().any(|(_, content)| content.label().is_some_and(matches)),
        volumes: tapelist.tapes().iter().map(of).collect(),
        wanted,
        current: changer.and_then(|changer| changer.current()),
        labels_itself: place.conf.template().is_ok_and(|template| template.is_some()) && place.conf.autolabel().empty,
        slots,
        choice,
    })
}

fn volume(tape: &Tape, rules: &Rules, kept: &BTreeMap<String, Kept>, slots: Option<&BTreeMap<u32, Content>>, youngest: &mut u32) -> Volume {
    let why = kept.get(&tape.label).copied();
    let in_it = |content: &Content| matches!(content, Content::Volume(label) if *label == tape.label);
    let slot = slots.and_then(|slots| slots.iter().find(|(_, content)| in_it(content)));
    let after = (why == Some(Kept::Tapes)).then(|| {
        *youngest += 1;
        // The volumes behind it in the list have gone by then.
        rules.tapes.saturating_sub(*youngest - 1)
    });
    let until = (why == Some(Kept::Days)).then(|| stamp::seconds(&tape.datestamp)).flatten();
    Volume {
        label: tape.label.clone(),
        written: tape.datestamp.clone(),
        slot: slot.map(|(slot, _)| *slot),
        kept: why,
        after,
        until: until.map(|seconds| stamp::of(seconds + i64::from(rules.days) * 86_400)),
    }
}

fn changer(place: &Place) -> Option<ChgDisk> {
    place.site.as_ref().map(|site| site.changer()).or_else(|| of_directories(&place.conf))
}

fn of_directories(config: &Config) -> Option<ChgDisk> {
    ChgDisk::named(config.tpchanger()?.to_str()?)
}

/// Looks into the slots.
///
/// # Errors
/// When they cannot be listed.
pub fn slots(changer: &ChgDisk) -> Result<BTreeMap<u32, Content>, Trouble> {
    let slots = changer.slots().map_err(|error| failed("cannot list", changer.directory(), &error))?;
    let content = |slot: u32| match changer.volume(slot).label() {
        Ok(Some(start)) => Content::Volume(start.label),
        Ok(None) => Content::Nothing,
        Err(error) => Content::Odd(words(&error)),
    };
    Ok(slots.into_iter().map(|slot| (slot, content(slot))).collect())
}

/// Returns the slots with volumes that the list does not have and that have dumps on them. What cannot be looked at may have some.
fn unlisted(changer: &ChgDisk, slots: &BTreeMap<u32, Content>, list: &Tapelist) -> BTreeSet<u32> {
    let has_dumps = |slot: u32| changer.volume(slot).files().map_or(true, |files| files.iter().any(|file| file.number > 0));
    let strange = slots.iter().filter(|(_, content)| content.label().is_some_and(|label| list.get(label).is_none()));
    strange.map(|(slot, _)| *slot).filter(|slot| has_dumps(*slot)).collect()
}

impl Content {
    fn label(&self) -> Option<&str> {
        if let Self::Volume(label) = self { Some(label) } else { None }
    }
}

impl Volume {
    /// Says whether it may be overwritten, and when not, until when.
    fn when(&self) -> String {
        match (self.kept, self.after, &self.until) {
            (None, ..) if self.written == "0" => "new".to_owned(),
            (None, ..) => "may be overwritten".to_owned(),
            (Some(Kept::Tapes), Some(1), _) => "when 1 more volume has been written".to_owned(),
            (Some(Kept::Tapes), Some(after), _) => format!("when {after} more volumes have been written"),
            (Some(Kept::Days), _, Some(until)) => format!("from {} on", date(until)),
            (Some(Kept::Tapes | Kept::Days), ..) => "later".to_owned(),
            (Some(Kept::NoReuse), ..) => "never: marked no-reuse".to_owned(),
            (Some(Kept::OtherConfig), ..) => "never: of another config".to_owned(),
            (Some(Kept::Recover), ..) => "when no restore of the last days needs it (retention-recover)".to_owned(),
            (Some(Kept::Needed), ..) => "when the newest state of no disk needs it".to_owned(),
            (Some(Kept::Full), ..) => "when there are newer full dumps (retention-full)".to_owned(),
        }
    }
}

impl Volumes {
    fn slot_of(&self, label: &str) -> Option<u32> {
        self.volumes.iter().find(|volume| volume.label == label)?.slot
    }

    /// Returns the volume that the engine begins, where it says that.
    fn begun(&self) -> Option<&Begun> {
        self.choice.as_ref()?.next.as_ref()
    }

    /// Says whether the engine has looked for a volume and found none.
    fn is_refused(&self) -> bool {
        self.choice.as_ref().is_some_and(|choice| choice.next.is_none())
    }

    /// Returns the volumes that are wanted besides that one.
    fn others(&self) -> &[Option<String>] {
        self.wanted.volumes.get(usize::from(self.begun().is_some())..).unwrap_or_default()
    }

    /// Returns the labels of new volumes, without that one.
    fn labelled(&self) -> impl Iterator<Item = &String> {
        self.wanted.labelled.iter().filter(|label| !self.is_begun(label))
    }

    fn is_begun(&self, label: &str) -> bool {
        self.begun().is_some_and(|begun| begun.label == label)
    }

    /// Returns the others by their labels, as far as there are any.
    fn named(&self, new: usize) -> Vec<&String> {
        // Amanda takes new ones first: those that are there, from the slot where its changer stands on.
        let is_fresh = |volume: &&Volume| volume.written == "0" && volume.kept.is_none() && volume.slot.is_some();
        let mut fresh: Vec<&Volume> = self.volumes.iter().filter(is_fresh).filter(|volume| !self.is_begun(&volume.label)).collect();
        fresh.sort_by_key(|volume| (volume.slot < self.current, volume.slot));
        let there = fresh.into_iter().map(|volume| &volume.label);
        let away = self.labelled().filter(|label| self.slot_of(label).is_none());
        there.chain(away).take(new).chain(self.others().iter().flatten()).collect()
    }

    /// Says what the next run writes to, and whether it is there.
    pub fn next(&self) -> Vec<String> {
        if self.slots.is_none() {
            return plain::next(&self.wanted).into_iter().collect();
        }
        if self.is_lost {
            return Vec::new();
        }
        let new = self.others().iter().filter(|volume| volume.is_none()).count();
        let (there, away): (Vec<&String>, Vec<&String>) = self.named(new).into_iter().partition(|label| self.slot_of(label).is_some());
        let there = there.iter().map(|label| format!("{label} (slot {})", self.slot_of(label).unwrap_or(0)));
        let begun = self.begun().filter(|begun| !begun.is_new).map(|begun| format!("{} (slot {})", begun.label, begun.slot));
        // Where the engine takes none, none that is there will do.
        let there: Vec<String> = begun.into_iter().chain(there).filter(|_| !self.is_refused()).collect();
        let mut said = Vec::new();
        if let Some(Begun { slot, label, .. }) = self.begun().filter(|begun| begun.is_new) {
            said.push(format!("The next run labels a new volume by itself: {label}, in slot {slot}."));
        }
        if !there.is_empty() {
            said.push(format!("The next run writes to {}.", there.join(" and ")));
        }
        if !away.is_empty() {
            let away: Vec<&str> = away.iter().map(|label| label.as_str()).collect();
            said.push(format!("For the next run put in {}.", away.join(" and ")));
        }
        if new > self.labelled().count() {
            said.push(match (self.labels_itself, self.free_slot()) {
                (true, Some(slot)) => format!("The next run labels a new volume by itself, in slot {slot}."),
                (true, None) => "For the next run put in a new volume: the run labels it by itself, and no slot is free.".to_owned(),
                (false, _) => "For the next run put in a new volume, and label it: asyncamanda-shim label CONFIG LABEL.".to_owned(),
            });
        }
        said
    }

    /// Returns a slot where a run would label a volume: none when the engine has found none.
    fn free_slot(&self) -> Option<u32> {
        if self.is_refused() {
            return None;
        }
        let taken = self.begun().map(|begun| begun.slot);
        let mut slots = self.slots.as_ref()?.iter();
        slots.find(|(slot, content)| **content == Content::Nothing && Some(**slot) != taken).map(|(slot, _)| *slot)
    }

    /// Finds that volumes are wanted and not there; where the engine has chosen one, those that it may want besides.
    fn missing(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for label in self.others().iter().flatten().filter(|label| self.slot_of(label).is_none()) {
            let what = format!("the next run wants volume {label}, and it is in no slot");
            // Another one that may be overwritten is taken, or a new one.
            let is_other = |volume: &Volume| volume.kept.is_none() && volume.slot.is_some() && !self.is_begun(&volume.label);
            let mend = format!("put {label} in; asyncamanda-shim tape says what is in the slots");
            let other = self.volumes.iter().any(is_other);
            found.push(if other || self.takes_new() { Finding::minor(what, mend) } else { Finding::serious(what, mend) });
        }
        let new = self.others().iter().filter(|volume| volume.is_none()).count();
        let there = self.labelled().filter(|label| self.slot_of(label).is_some()).count();
        if new > there && !self.takes_new() {
            found.push(Finding::serious(
                "the next run wants a new volume, and there is none that it may label",
                "put one in and label it: asyncamanda-shim label CONFIG LABEL --slot N",
            ));
        }
        found
    }

    /// Finds what keeps the next run from writing: for a look in the afternoon, while somebody is there to put a volume in.
    pub fn findings(&self) -> Vec<Finding> {
        let Some(slots) = &self.slots else { return Vec::new() };
        let mut found = match self.lost(slots) {
            // All else that is to be said of volumes comes from that.
            Some(lost) => vec![lost],
            None => self.of_the_next_run(),
        };
        found.extend(self.twice(slots));
        let odd = slots.iter().filter_map(|(slot, content)| if let Content::Odd(why) = content { Some((slot, why)) } else { None });
        found.extend(
            odd.map(|(slot, why)| Finding::minor(format!("the volume in slot {slot} cannot be used: {why}"), "look at it, or take it out")),
        );
        if !self.is_lost {
            let labels = slots.iter().filter_map(|(slot, content)| Some((*slot, content.label()?)));
            found.extend(labels.filter(|(_, label)| !self.has(label)).map(|(slot, label)| self.stranger(slot, label)));
        }
        found
    }

    fn has(&self, label: &str) -> bool {
        self.volumes.iter().any(|volume| volume.label == label)
    }

    fn of_the_next_run(&self) -> Vec<Finding> {
        let mut found = self.choice.as_ref().map(|choice| choice.findings(&self.wanted)).unwrap_or_default();
        // Of a run that finds no volume at all nothing more is to be said.
        if !self.is_refused() {
            found.extend(self.missing());
        }
        found
    }

    /// Finds that the list of volumes is lost: no run knows what is on them then, and whoever labels them anew wipes the backups.
    fn lost(&self, slots: &BTreeMap<u32, Content>) -> Option<Finding> {
        let labels: Vec<String> = slots.values().filter_map(|content| Some(printable(content.label()?.as_bytes()))).collect();
        let what = format!("the tapelist is lost: it is missing or empty, and the slots have volumes with labels ({})", labels.join(", "));
        self.is_lost
            .then(|| Finding::serious(what, "asyncamanda-shim reindex CONFIG makes it again from the volumes; do not label them anew"))
    }

    /// Finds a volume that the list does not have.
    fn stranger(&self, slot: u32, label: &str) -> Finding {
        let what = format!("the volume {} in slot {slot} is not in the list of volumes: no run writes to it", printable(label.as_bytes()));
        if self.unlisted.contains(&slot) {
            return Finding::minor(what, "take it out, or asyncamanda-shim reindex CONFIG if it is yours: there are dumps on it");
        }
        Finding::minor(what, "take it out, or label it anew: asyncamanda-shim label CONFIG LABEL --slot N --force")
    }

    /// Says that the list is lost, or why the engine takes no volume, and what to do; nothing where it takes one.
    fn refusal(&self) -> Vec<String> {
        let lost = self.slots.as_ref().and_then(|slots| self.lost(slots));
        let refused = self.choice.as_ref().filter(|choice| choice.has_reasons() && lost.is_none());
        let refused = refused.into_iter().flat_map(|choice| choice.findings(&self.wanted));
        lost.into_iter().chain(refused).flat_map(|finding| told(&finding)).collect()
    }

    /// Finds labels that two slots have.
    fn twice(&self, slots: &BTreeMap<u32, Content>) -> Vec<Finding> {
        let mut first: BTreeMap<&str, u32> = BTreeMap::new();
        let mut found = Vec::new();
        for (slot, content) in slots {
            let Content::Volume(label) = content else { continue };
            if let Some(other) = first.insert(label, *slot) {
                found.push(Finding::minor(
                    format!("slots {other} and {slot} have both a volume {}", printable(label.as_bytes())),
                    "find out which is the right one, and take the other one out",
                ));
            }
        }
        found
    }

    fn takes_new(&self) -> bool {
        self.labels_itself && self.free_slot().is_some()
    }
}

/// Tells a finding in lines of a report.
pub fn told(finding: &Finding) -> [String; 2] {
    [format!("Look at the volumes: {}.", finding.what), format!("  What to do: {}.", finding.mend)]
}

/// `tape CONFIG`.
///
/// # Errors
/// When the config's files cannot be read.
pub fn command(place: &Place, as_json: bool, now: i64) -> Result<(Exit, String), Words> {
    let volumes = look(place, now)?;
    if as_json {
        let text = serde_json::to_string(&volumes).map_err(|error| Words::new(Exit::Failed, error.to_string()))?;
        return Ok((Exit::Done, format!("{text}\n")));
    }
    let mut text = String::new();
    if place.is_vault() {
        text.push_str("Nothing has to be put in: a run chooses volumes by their room, and overwrites none that is not old enough.\n");
    } else {
        volumes.next().iter().chain(&volumes.refusal()).for_each(|line| text.extend([line, "\n"]));
    }
    if !volumes.volumes.is_empty() {
        let mut shown = table(&["volume", "written", "slot", "may be overwritten"], 4);
        for volume in &volumes.volumes {
            let slot = volume.slot.map_or_else(|| "-".to_owned(), |slot| slot.to_string());
            let written = if volume.written == "0" { "never".to_owned() } else { date(&volume.written) };
            shown.add_row([printable(volume.label.as_bytes()), written, slot, volume.when()]);
        }
        text.push('\n');
        lines(&shown, &mut text);
    }
    match &volumes.slots {
        None => text.push_str("\nWhat is in the slots the changer knows: amtape CONFIG show\n"),
        Some(slots) => {
            let known = |label: &String| volumes.volumes.iter().any(|volume| volume.label == *label);
            for (slot, content) in slots {
                let _ = match content {
                    Content::Volume(label) if known(label) => Ok(()),
                    Content::Volume(label) => {
                        writeln!(text, "Slot {slot} has a volume {} that is not in the list.", printable(label.as_bytes()))
                    }
                    Content::Nothing => writeln!(text, "Slot {slot} is free."),
                    Content::Odd(why) => writeln!(text, "Slot {slot} cannot be used: {}.", printable(why.as_bytes())),
                };
            }
        }
    }
    Ok((Exit::Done, text))
}

#[cfg(test)]
mod tests;
