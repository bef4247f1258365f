//! What amanda.conf says of volumes, as the taper needs it.

use amanda::conf::{Config, Kind, Section, Value};
use amanda::labels::{Labels, Names};
use amanda::tapelist::Tapelist;

use crate::engine::Trouble;
use crate::engine::embedded::site::Site;
use crate::engine::embedded::volumes::flush::Thresholds;
use crate::engine::embedded::volumes::{Rotation, rotation};

/// So many slots are made at most.
const MOST_SLOTS: u32 = 10_000;

/// What amanda.conf says.
pub(in crate::engine::embedded) struct Settings {
    /// So many volumes there are at least.
    pub tapecycle: usize,
    /// So many a run may begin.
    pub runtapes: u32,
    /// The labels that are this config's.
    pub labels: Labels,
    /// A slot without a label gets one.
    pub labels_empty: bool,
    /// Slots up to this one are made when they are not there.
    pub makes_slots: u32,
    /// Bytes that a volume holds.
    pub length: u64,
    /// The longest part of a dump, in bytes.
    pub part: Option<u64>,
    /// How much has to wait for a volume.
    pub thresholds: Thresholds,
}

impl Settings {
    /// Returns a config's.
    ///
    /// # Errors
    /// When its labelstr is no regular expression.
    pub fn of(site: &Site) -> Result<Self, Trouble> {
        let config = site.config();
        let (tapecycle, runtapes) = match rotation(site) {
            Rotation::Cycle { tapecycle, runtapes } => (tapecycle, runtapes),
            Rotation::Kept => (config.tapecycle(), config.runtapes()),
        };
        let number =
            |name: &str| of_storage(config, name).and_then(|value| if let Value::Int(number) = value { Some(*number) } else { None });
        let percent = |name: &str| number(name).and_then(|number| u64::try_from(number).ok()).unwrap_or(0);
        let length = site.volume_bytes();
        let words = match of_storage(config, "autolabel") {
            Some(Value::List(words)) => &words[..],
            _ => &[],
        };
        Ok(Self {
            tapecycle: tapecycle as usize,
            runtapes,
            labels: labels(site)?,
            labels_empty: words.iter().any(|word| matches!(word, Value::Word(word) if word == "empty" || word == "any")),
            makes_slots: slots(config).unwrap_or(0).min(MOST_SLOTS),
            length,
            part: config.part_kb().map(|kb| kb.saturating_mul(1024)),
            thresholds: Thresholds {
                length,
                dumped: percent("flush-threshold-dumped"),
                scheduled: percent("flush-threshold-scheduled"),
                taperflush: percent("taperflush"),
            },
        })
    }

    /// Returns the label that the next volume without one gets.
    pub fn new_label(&self, site: &Site, tapes: &Tapelist) -> Option<String> {
        if !self.labels_empty {
            return None;
        }
        (1..).map_while(|number| site.label(number)).find(|label| tapes.get(label).is_none())
    }
}

/// Returns the labels that are a config's own.
///
/// # Errors
/// When its labelstr is no regular expression.
pub(in crate::engine::embedded) fn labels(site: &Site) -> Result<Labels, Trouble> {
    let config = site.config();
    let org = config.org().and_then(|org| org.to_str()).unwrap_or_default();
    let (storage, _) = site.shelf();
    let names = Names { config: site.name().as_str(), org, storage: &storage };
    let text = |text: Option<std::ffi::OsString>| text.map(|text| text.to_string_lossy().into_owned());
    let labels = match (text(config.labelstr()), text(config.label_template())) {
        (Some(labelstr), _) => Labels::matching(&labelstr, &names),
        (None, Some(template)) => Labels::made_by(&template, &names),
        // Amanda's default.
        (None, None) => Labels::matching(".*", &names),
    };
    labels.map_err(|error| {
        let conf = config.directory().join(crate::engine::embedded::site::CONF);
        Trouble::config(format!("the labelstr of {} cannot be used: {error}", conf.display()), "correct it; see labelstr in amanda.conf(5)")
    })
}

/// The storage's word on something, or the config's.
fn of_storage<'a>(config: &'a Config, name: &str) -> Option<&'a Value> {
    let storage = config.storage().and_then(|storage| storage.settings.get(name));
    storage.or_else(|| config.settings().get(name)).map(|setting| &setting.value)
}

/// The changer's `num-slot`, when it is to make its slots (`auto-create-slot`).
fn slots(config: &Config) -> Option<u32> {
    let Some(Value::Str(changer)) = of_storage(config, "tpchanger") else { return None };
    let section: &Section = config.section(Kind::Changer, std::str::from_utf8(changer).ok()?)?;
    let Value::Properties(properties) = &section.settings.get("property")?.value else { return None };
    let word = |name: &str| properties.get(name.as_bytes()).and_then(|words| std::str::from_utf8(words.first()?).ok());
    let makes = word("auto-create-slot").is_some_and(|word| ["yes", "y", "true", "t", "on", "1"].contains(&&*word.to_ascii_lowercase()));
    word("num-slot")?.parse().ok().filter(|_| makes)
}
