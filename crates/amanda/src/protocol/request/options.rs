//! The line of options in front of the disks (amandad-src/amandad_util.c).

use crate::protocol::features::{Features, FeaturesError};

/// A longer value is none that Amanda writes.
const LONGEST: usize = 1024;

/// Who asks, and for which run. A server leaves out what the client's features do not have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// What the server understands.
    pub features: Option<Features>,
    /// The client's name in the server's disklist.
    pub hostname: Option<Vec<u8>>,
    /// How many of the client's disks may be read at once.
    pub maxdumps: Option<u32>,
    /// The configuration.
    pub config: Option<Vec<u8>>,
    /// When the run began, as Amanda writes it: `20261122003709`.
    pub timestamp: Option<Vec<u8>>,
    /// How the server reaches the client.
    pub auth: Option<Vec<u8>>,
    /// Names of other options, which Amanda's client complains about and passes over.
    pub unknown: Vec<Vec<u8>>,
}

/// What is wrong with the options.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// Amanda takes no request without.
    #[error("there is no line of options")]
    Missing,
    /// The last one has no semicolon: the line was cut.
    #[error("the last option is not ended")]
    Cut,
    /// An option without a value, or with one that is too long or has control characters in it.
    #[error("an option is not a name and a value")]
    Form,
    /// An option stands there twice.
    #[error("an option is given twice")]
    Twice,
    /// The features are none.
    #[error(transparent)]
    Features(#[from] FeaturesError),
    /// Not a number.
    #[error("maxdumps is not a number")]
    Maxdumps,
    /// A name that would leave the directory that it is meant for.
    #[error("a host or configuration has a name that cannot be a file's")]
    Name,
}

impl Options {
    /// Reads a line, without its newline.
    ///
    /// # Errors
    /// When it is not `OPTIONS name=value;…`.
    pub fn parse(line: &[u8]) -> Result<Self, OptionsError> {
        let text = line.strip_prefix(b"OPTIONS ").ok_or(OptionsError::Missing)?;
        let text = text.strip_suffix(b";").ok_or(OptionsError::Cut)?;
        let mut options = Self::default();
        for option in text.split(|&byte| byte == b';').filter(|option| !option.is_empty()) {
            let equals = memchr::memchr(b'=', option).ok_or(OptionsError::Form)?;
            let (name, value) = (&option[..equals], &option[equals + 1..]);
            if value.is_empty() || option.len() > LONGEST || option.iter().any(u8::is_ascii_control) {
                return Err(OptionsError::Form);
            }
            match name {
                b"features" => once(&mut options.features, Features::parse(value)?)?,
                b"hostname" => once(&mut options.hostname, file_name(value)?)?,
                b"maxdumps" => once(&mut options.maxdumps, number(value).ok_or(OptionsError::Maxdumps)?)?,
                b"config" => once(&mut options.config, file_name(value)?)?,
                b"timestamp" => once(&mut options.timestamp, value.to_vec())?,
                b"auth" => once(&mut options.auth, value.to_vec())?,
                other => options.unknown.push(other.to_vec()),
            }
        }
        Ok(options)
    }

    /// Returns the line, without its newline. Options of unknown names are left out: their values are not kept.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        let mut line = b"OPTIONS ".to_vec();
        let mut put = |name: &str, value: Option<&[u8]>| {
            if let Some(value) = value {
                line.extend(name.as_bytes());
                line.push(b'=');
                line.extend(value);
                line.push(b';');
            }
        };
        put("features", self.features.map(|features| features.to_string()).as_deref().map(str::as_bytes));
        put("maxdumps", self.maxdumps.map(|maxdumps| maxdumps.to_string()).as_deref().map(str::as_bytes));
        put("hostname", self.hostname.as_deref());
        put("config", self.config.as_deref());
        put("timestamp", self.timestamp.as_deref());
        put("auth", self.auth.as_deref());
        if line.ends_with(b" ") {
            line.push(b';');
        }
        line
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), OptionsError> {
    if place.replace(value).is_some() { Err(OptionsError::Twice) } else { Ok(()) }
}

/// Amanda's client makes file names of a host's and a configuration's name.
fn file_name(value: &[u8]) -> Result<Vec<u8>, OptionsError> {
    if value.contains(&b'/') || value.starts_with(b".") { Err(OptionsError::Name) } else { Ok(value.to_vec()) }
}

fn number(value: &[u8]) -> Option<u32> {
    std::str::from_utf8(value).ok().filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))?.parse().ok()
}
