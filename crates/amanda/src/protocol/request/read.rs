//! From an element to what it asks.

use std::collections::HashSet;

use super::dle::{
    Application, Compress, DataPath, DleError, DleRequest, Encrypt, Estimate, Level, MAX_LEVEL, Patterns, Program, Property, Script,
};
use crate::protocol::xml::Element;

pub fn dle(element: Element) -> Result<DleRequest, DleError> {
    if element.name != "dle" {
        return Err(DleError::NotADle(element.name));
    }
    let (mut program, mut disk) = (None, None);
    let mut dle = DleRequest::of(Program::Gnutar, []);
    for child in children(element, &["level", "property", "script"])? {
        match child.name.as_str() {
            "program" => program = Some(value(child)?),
            "disk" => disk = Some(value(child)?),
            "diskdevice" => dle.device = Some(value(child)?),
            "estimate" => dle.estimates = estimates(child)?,
            "calcsize" => dle.calcsize = yes_or_no(child)?,
            "level" => dle.levels.push(level(child)?),
            "spindle" => dle.spindle = Some(number(child)?),
            "auth" => dle.auth = Some(value(child)?),
            "compress" => dle.compress = compress(child)?,
            "encrypt" => dle.encrypt = encrypt(child)?,
            "record" => dle.record = yes_or_no(child)?,
            "index" => dle.index = yes_or_no(child)?,
            "kencrypt" => dle.kencrypt = yes_or_no(child)?,
            "datapath" => dle.data_path = data_path(child)?,
            "exclude" => dle.exclude = patterns(child)?,
            "include" => dle.include = patterns(child)?,
            "property" => dle.properties.push(property(child)?),
            "backup-program" => dle.application = Some(application(child)?),
            "script" => dle.scripts.push(script(child)?),
            _ => dle.unknown.push(child.name),
        }
    }
    dle.program = match program.ok_or(DleError::Missing("program"))?.as_slice() {
        b"GNUTAR" => Program::Gnutar,
        b"DUMP" => Program::Dump,
        b"APPLICATION" => Program::Application,
        other => Program::Other(other.to_vec()),
    };
    if dle.program == Program::Application && dle.application.is_none() {
        return Err(DleError::Missing("backup-program"));
    }
    dle.disk = disk.ok_or(DleError::Missing("disk"))?;
    Ok(dle)
}

/// Returns the elements in an element that has no text, each there once unless it is `repeated`.
fn children(element: Element, repeated: &[&str]) -> Result<Vec<Element>, DleError> {
    if !element.text.is_empty() {
        return Err(DleError::Content(element.name));
    }
    once(&element.children, repeated)?;
    Ok(element.children)
}

fn once(elements: &[Element], repeated: &[&str]) -> Result<(), DleError> {
    let mut seen = HashSet::new();
    for element in elements {
        if !repeated.contains(&element.name.as_str()) && !seen.insert(element.name.as_str()) {
            return Err(DleError::Twice(element.name.clone()));
        }
    }
    Ok(())
}

/// Returns the text of an element that has nothing else.
fn value(element: Element) -> Result<Vec<u8>, DleError> {
    if !element.children.is_empty() {
        return Err(DleError::Content(element.name));
    }
    if element.text.is_empty() { Err(DleError::Value(element.name)) } else { Ok(element.text) }
}

fn yes_or_no(element: Element) -> Result<bool, DleError> {
    let name = element.name.clone();
    match value(element)? {
        yes if yes.eq_ignore_ascii_case(b"yes") => Ok(true),
        no if no.eq_ignore_ascii_case(b"no") => Ok(false),
        _ => Err(DleError::Value(name)),
    }
}

fn number<T: std::str::FromStr>(element: Element) -> Result<T, DleError> {
    let name = element.name.clone();
    let text = value(element)?;
    // A sign in front of digits is `-` or nothing; Rust would also take `+`.
    let text = std::str::from_utf8(&text).ok().filter(|text| !text.starts_with('+'));
    text.and_then(|text| text.parse().ok()).ok_or(DleError::Value(name))
}

fn estimates(element: Element) -> Result<Vec<Estimate>, DleError> {
    let name = element.name.clone();
    let words = value(element)?;
    let words = words.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let mut estimates = Vec::new();
    for word in words {
        let estimate = match word {
            b"CLIENT" => Estimate::Client,
            b"CALCSIZE" => Estimate::Calcsize,
            b"SERVER" => Estimate::Server,
            _ => return Err(DleError::Value(name)),
        };
        if estimates.contains(&estimate) {
            return Err(DleError::Value(name));
        }
        estimates.push(estimate);
    }
    Ok(estimates)
}

fn level(mut element: Element) -> Result<Level, DleError> {
    let mut server = false;
    once(&element.children, &[])?;
    for child in std::mem::take(&mut element.children) {
        match child.name.as_str() {
            "server" => server = yes_or_no(child)?,
            _ => return Err(DleError::Content(element.name)),
        }
    }
    let level = number(element)?;
    if level > MAX_LEVEL {
        return Err(DleError::Value("level".into()));
    }
    Ok(Level { level, server })
}

fn compress(mut element: Element) -> Result<Compress, DleError> {
    once(&element.children, &[])?;
    let mut program = None;
    for child in std::mem::take(&mut element.children) {
        match child.name.as_str() {
            "custom-compress-program" => program = Some(value(child)?),
            _ => return Err(DleError::Content(element.name)),
        }
    }
    let name = element.name.clone();
    match (value(element)?.as_slice(), program) {
        (b"FAST", None) => Ok(Compress::ClientFast),
        (b"BEST", None) => Ok(Compress::ClientBest),
        (b"SERVER-FAST", None) => Ok(Compress::ServerFast),
        (b"SERVER-BEST", None) => Ok(Compress::ServerBest),
        (b"CUSTOM", Some(program)) => Ok(Compress::ClientCustom(program)),
        (b"SERVER-CUSTOM", Some(program)) => Ok(Compress::ServerCustom(program)),
        (b"CUSTOM" | b"SERVER-CUSTOM", None) => Err(DleError::Missing("custom-compress-program")),
        _ => Err(DleError::Value(name)),
    }
}

fn encrypt(mut element: Element) -> Result<Encrypt, DleError> {
    once(&element.children, &[])?;
    let (mut program, mut decrypt_option) = (None, None);
    for child in std::mem::take(&mut element.children) {
        match child.name.as_str() {
            "custom-encrypt-program" => program = Some(value(child)?),
            "decrypt-option" => decrypt_option = Some(value(child)?),
            _ => return Err(DleError::Content(element.name)),
        }
    }
    let name = element.name.clone();
    match (value(element)?.as_slice(), program) {
        (b"NO", None) if decrypt_option.is_none() => Ok(Encrypt::None),
        (b"CUSTOM", Some(program)) => Ok(Encrypt::Client { program, decrypt_option }),
        (b"SERVER-CUSTOM", Some(program)) => Ok(Encrypt::Server { program, decrypt_option }),
        (b"CUSTOM" | b"SERVER-CUSTOM", None) => Err(DleError::Missing("custom-encrypt-program")),
        _ => Err(DleError::Value(name)),
    }
}

fn data_path(mut element: Element) -> Result<DataPath, DleError> {
    let mut addresses = Vec::new();
    for child in std::mem::take(&mut element.children) {
        match child.name.as_str() {
            "directtcp" => addresses.push(value(child)?),
            _ => return Err(DleError::Content(element.name)),
        }
    }
    let name = element.name.clone();
    match value(element)?.as_slice() {
        b"AMANDA" if addresses.is_empty() => Ok(DataPath::Amanda),
        b"DIRECTTCP" => Ok(DataPath::DirectTcp(addresses)),
        _ => Err(DleError::Value(name)),
    }
}

fn patterns(element: Element) -> Result<Patterns, DleError> {
    let mut patterns = Patterns::default();
    let name = element.name.clone();
    for child in children(element, &["file", "list"])? {
        match child.name.as_str() {
            "file" => patterns.files.push(value(child)?),
            "list" => patterns.lists.push(value(child)?),
            "optional" => patterns.optional = yes_or_no(child)?,
            _ => return Err(DleError::Content(name)),
        }
    }
    Ok(patterns)
}

fn property(element: Element) -> Result<Property, DleError> {
    let mut property = Property::default();
    let outer = element.name.clone();
    for child in children(element, &["value"])? {
        match child.name.as_str() {
            "name" => property.name = value(child)?,
            "priority" => property.priority = yes_or_no(child)?,
            // A property may have an empty value.
            "value" if child.children.is_empty() => property.values.push(child.text),
            _ => return Err(DleError::Content(outer)),
        }
    }
    if property.name.is_empty() { Err(DleError::Missing("name")) } else { Ok(property) }
}

fn application(element: Element) -> Result<Application, DleError> {
    let mut application = Application::default();
    let name = element.name.clone();
    for child in children(element, &["property"])? {
        match child.name.as_str() {
            "plugin" => application.plugin = value(child)?,
            "property" => application.properties.push(property(child)?),
            "client_name" => application.client_name = Some(value(child)?),
            _ => return Err(DleError::Content(name)),
        }
    }
    if application.plugin.is_empty() { Err(DleError::Missing("plugin")) } else { Ok(application) }
}

fn script(element: Element) -> Result<Script, DleError> {
    let mut script = Script::default();
    let name = element.name.clone();
    for child in children(element, &["property"])? {
        match child.name.as_str() {
            "plugin" => script.plugin = value(child)?,
            "execute_on" => script.execute_on = value(child)?.split(|&byte| byte == b',').map(<[u8]>::to_vec).collect(),
            "execute_where" => script.execute_where = value(child)?,
            "property" => script.properties.push(property(child)?),
            "client_name" => script.client_name = Some(value(child)?),
            _ => return Err(DleError::Content(name)),
        }
    }
    if script.plugin.is_empty() { Err(DleError::Missing("plugin")) } else { Ok(script) }
}
