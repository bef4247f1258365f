//! Reads `agent.toml` into a [`Layer`]. Every fault names the file and the line; an unknown key also the nearest known one.
//!
//! The table is walked by hand and not derived, since a setting must remember the line it came from, and an interval may
//! be a number or a string. Paths without a leading slash are relative to the file's directory.

use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{ConfigError, Disk, Layer, Setting, Source, Ways};

const CLIENT: &[&str] = &["kind", "lists"];
const TOP: &[&str] = &["host", "interval", "state", "amandates", "client", "programs", "amandad", "gnutar_lists", "server", "disk"];
const SERVER: &[&str] = &["destination", "identity", "known_hosts", "connect_timeout"];
const DISK: &[&str] = &["path", "device", "exclude"];

type Key<'t, 'i> = &'t Spanned<std::borrow::Cow<'i, str>>;
type Value<'t, 'i> = &'t Spanned<DeValue<'i>>;

/// Reads the text of a configuration file.
pub fn parse(text: &str, path: &Arc<Path>, home: Option<&Path>) -> Result<Layer, ConfigError> {
    let reader = Reader { text, path, ways: Ways { base: path.parent(), home } };
    let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        path: path.to_path_buf(),
        line: reader.line(error.span().map_or(0, |span| span.start)),
        message: error.message().lines().next().unwrap_or_default().to_owned(),
    })?;
    let mut layer = Layer::default();
    for (key, value) in table.get_ref() {
        match key.get_ref().as_ref() {
            "host" => layer.host = Some(reader.text(key, value)?.parsed(super::host)?),
            "interval" => layer.interval = Some(reader.number_or_text(key, value)?.parsed(super::interval)?),
            "state" => layer.state = Some(reader.way(key, value)?),
            "amandates" => layer.amandates = Some(reader.way(key, value)?),
            "client" => reader.client(key, value, &mut layer)?,
            "programs" => layer.programs = Some(reader.programs(key, value)?),
            "amandad" => layer.amandad = Some(reader.text(key, value)?.parsed(super::absolute)?),
            "gnutar_lists" => layer.gnutar_lists = Some(reader.text(key, value)?.parsed(super::absolute)?),
            "server" => reader.server(reader.table(key, value)?, &mut layer)?,
            "disk" => layer.disks = reader.disks(key, value)?,
            _ => return Err(reader.unknown(key, "", TOP)),
        }
    }
    Ok(layer)
}

struct Reader<'a> {
    text: &'a str,
    path: &'a Arc<Path>,
    ways: Ways<'a>,
}

impl Reader<'_> {
    fn line(&self, offset: usize) -> usize {
        1 + self.text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count()
    }

    fn source(&self, offset: usize) -> Source {
        Source::File { path: Arc::clone(self.path), line: self.line(offset) }
    }

    fn unknown(&self, key: Key<'_, '_>, table: &'static str, known: &'static [&'static str]) -> ConfigError {
        let name = key.get_ref();
        let nearest = known
            .iter()
            .map(|candidate| (strsim::damerau_levenshtein(name, candidate), *candidate))
            .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 3)
            .min()
            .map(|(_, candidate)| candidate);
        // A key of [server] that was written above it, or the other way round.
        let elsewhere = [("", TOP), ("[client]", CLIENT), ("[server]", SERVER), ("[[disk]]", DISK)]
            .into_iter()
            .find_map(|(place, keys)| (place != table && keys.contains(&name.as_ref())).then_some(place));
        ConfigError::UnknownKey {
            path: Arc::clone(self.path),
            line: self.line(key.span().start),
            key: amanda::escape::printable(name.as_bytes()),
            table,
            nearest,
            elsewhere,
            known,
        }
    }

    fn wrong_type(&self, key: Key<'_, '_>, wanted: &str) -> ConfigError {
        ConfigError::Value { key: key.get_ref().to_string(), place: self.source(key.span().start), problem: format!("it must be {wanted}") }
    }

    fn setting(&self, key: Key<'_, '_>, value: &str) -> Setting<String> {
        Setting { key: key.get_ref().to_string(), value: value.to_owned(), from: self.source(key.span().start) }
    }

    fn text(&self, key: Key<'_, '_>, value: Value<'_, '_>) -> Result<Setting<String>, ConfigError> {
        match value.get_ref() {
            DeValue::String(text) => Ok(self.setting(key, text)),
            _ => Err(self.wrong_type(key, "a string")),
        }
    }

    fn number_or_text(&self, key: Key<'_, '_>, value: Value<'_, '_>) -> Result<Setting<String>, ConfigError> {
        match value.get_ref() {
            DeValue::String(text) => Ok(self.setting(key, text)),
            DeValue::Integer(number) => Ok(self.setting(key, &number.to_string())),
            _ => Err(self.wrong_type(key, "a whole number or a string")),
        }
    }

    fn way(&self, key: Key<'_, '_>, value: Value<'_, '_>) -> Result<Setting<std::path::PathBuf>, ConfigError> {
        self.text(key, value)?.parsed(|text| self.ways.path(text))
    }

    fn table<'t, 'i>(&self, key: Key<'_, '_>, value: &'t Spanned<DeValue<'i>>) -> Result<&'t DeTable<'i>, ConfigError> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(table),
            _ => Err(self.wrong_type(key, "a table: [server]")),
        }
    }

    fn texts<'t>(&self, key: Key<'_, '_>, value: &'t Spanned<DeValue<'_>>) -> Result<Vec<&'t str>, ConfigError> {
        let DeValue::Array(items) = value.get_ref() else { return Err(self.wrong_type(key, "a list of strings")) };
        let text = |item: &'t Spanned<DeValue<'_>>| match item.get_ref() {
            DeValue::String(text) => Ok(text.as_ref()),
            _ => Err(self.wrong_type(key, "a list of strings")),
        };
        items.iter().map(text).collect()
    }

    fn programs(&self, key: Key<'_, '_>, value: Value<'_, '_>) -> Result<Setting<Vec<std::path::PathBuf>>, ConfigError> {
        let paths = self.texts(key, value)?.into_iter().map(|text| self.setting(key, text).parsed(super::absolute));
        let values = paths.map(|path| path.map(|path| path.value)).collect::<Result<_, _>>()?;
        Ok(Setting { key: key.get_ref().to_string(), value: values, from: self.source(key.span().start) })
    }

    /// Reads `client = "native"`, or the table `[client]` with more than that.
    fn client(&self, key: Key<'_, '_>, value: Value<'_, '_>, layer: &mut Layer) -> Result<(), ConfigError> {
        let DeValue::Table(table) = value.get_ref() else {
            layer.client = Some(self.text(key, value)?.parsed(super::client_kind)?);
            return Ok(());
        };
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "kind" => layer.client = Some(self.text(key, value)?.parsed(super::client_kind)?),
                "lists" => layer.lists = Some(self.text(key, value)?.parsed(super::absolute)?),
                _ => return Err(self.unknown(key, "[client]", CLIENT)),
            }
        }
        Ok(())
    }

    fn server(&self, table: &DeTable<'_>, layer: &mut Layer) -> Result<(), ConfigError> {
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "destination" => layer.destination = Some(self.text(key, value)?.parsed(|text| self.ways.destination(text))?),
                "identity" => layer.identity = Some(self.way(key, value)?),
                "known_hosts" => layer.known_hosts = Some(self.way(key, value)?),
                "connect_timeout" => layer.connect_timeout = Some(self.number_or_text(key, value)?.parsed(super::seconds)?),
                _ => return Err(self.unknown(key, "[server]", SERVER)),
            }
        }
        Ok(())
    }

    fn disks(&self, key: Key<'_, '_>, value: Value<'_, '_>) -> Result<Vec<Setting<Disk>>, ConfigError> {
        let DeValue::Array(items) = value.get_ref() else { return Err(self.wrong_type(key, "a list of tables: [[disk]]")) };
        let mut disks: Vec<Setting<Disk>> = Vec::with_capacity(items.len());
        for item in items.iter() {
            let DeValue::Table(table) = item.get_ref() else { return Err(self.wrong_type(key, "a list of tables: [[disk]]")) };
            let disk = self.disk(key, item.span().start, table)?;
            if disks.iter().any(|earlier| earlier.value.name == disk.value.name) {
                return Err(ConfigError::Value {
                    key: "path".to_owned(),
                    place: disk.from,
                    problem: "this disk is named twice".to_owned(),
                });
            }
            disks.push(disk);
        }
        if disks.len() > wire::message::MAX_DISKS {
            return Err(self.wrong_type(key, &format!("a list of at most {} tables", wire::message::MAX_DISKS)));
        }
        Ok(disks)
    }

    fn disk(&self, list: Key<'_, '_>, start: usize, table: &DeTable<'_>) -> Result<Setting<Disk>, ConfigError> {
        let mut path = None;
        let mut device = None;
        let mut exclude = Vec::new();
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "path" => path = Some(self.text(key, value)?.parsed(super::disk_name)?),
                "device" => device = Some(self.text(key, value)?.parsed(super::absolute)?),
                "exclude" => {
                    let patterns = self.texts(key, value)?.into_iter().map(|text| self.setting(key, text).parsed(super::pattern));
                    exclude = patterns.map(|pattern| pattern.map(|pattern| pattern.value)).collect::<Result<_, _>>()?;
                }
                _ => return Err(self.unknown(key, "[[disk]]", DISK)),
            }
        }
        let Some(path) = path else {
            return Err(ConfigError::Value {
                key: list.get_ref().to_string(),
                place: self.source(start),
                problem: "this [[disk]] has no path".to_owned(),
            });
        };
        let device = device.map_or_else(|| std::path::PathBuf::from(path.value.as_os_str()), |device| device.value);
        Ok(Setting { key: "disk".to_owned(), value: Disk { name: path.value, device, exclude }, from: path.from })
    }
}
