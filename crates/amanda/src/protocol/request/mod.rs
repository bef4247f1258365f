//! What the server asks of a client: the body of a REQ (amandad-src/amandad.c, common-src/amxml.c).
//!
//! ```text
//! SERVICE sendbackup
//! OPTIONS features=ffff…;maxdumps=1;hostname=laptop1;config=daily;timestamp=20261122003709;
//! <dle>
//!   <program>GNUTAR</program>
//!   <disk>/home</disk>
//!   <level>1</level>
//!   …
//! </dle>
//! ```
//!
//! The lines that stood in the place of the XML before 2.6 are not read: a server sends them only to a client whose
//! features lack `req_xml`.

mod dle;
mod options;
mod print;
mod read;
#[cfg(test)]
mod tests;

pub use dle::{
    Application, Compress, DataPath, DleError, DleRequest, Encrypt, Estimate, Level, MAX_LEVEL, Patterns, Program, Property, Script,
};
pub use options::{Options, OptionsError};

use super::xml::{self, XmlError};

/// The services that a client needs for backups. Amanda's has more: recovery, discovery, restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Asks for the client's features.
    Noop,
    /// Asks whether backups would work.
    Selfcheck,
    /// Asks for the sizes of dumps to come.
    Sendsize,
    /// Asks for a dump.
    Sendbackup,
}

impl Service {
    const ALL: [Self; 4] = [Self::Noop, Self::Selfcheck, Self::Sendsize, Self::Sendbackup];

    /// Returns its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Noop => "noop",
            Self::Selfcheck => "selfcheck",
            Self::Sendsize => "sendsize",
            Self::Sendbackup => "sendbackup",
        }
    }
}

/// A whole request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub service: Service,
    /// By whom and for which run.
    pub options: Options,
    /// About which disks; exactly one, with one level, in a request for a dump.
    pub dles: Vec<DleRequest>,
}

/// Why a request is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No such line in front.
    #[error("the request does not begin with a service")]
    NoService,
    /// Amanda answers such a request with a NAK; see [`reply::unknown_service`](super::reply::unknown_service).
    #[error("the request is for service {0:?}, which is not served")]
    UnknownService(String),
    /// The line of options is missing or wrong.
    #[error("the request's options are not understood")]
    Options(#[from] OptionsError),
    /// The XML is none.
    #[error("the request's disks are not understood")]
    Xml(#[from] XmlError),
    /// A disk's description is not complete, or contradicts itself.
    #[error("the request's disk {number} is not understood")]
    Dle {
        /// Counted from 1.
        number: usize,
        /// What is wrong with it.
        #[source]
        why: DleError,
    },
    /// A dump is of one disk.
    #[error("the request is for the dump of {0} disks, and not of one")]
    Dumps(usize),
    /// A dump has one level.
    #[error("the request is for a dump at {0} levels, and not at one")]
    Levels(usize),
    /// A noop is about no disk.
    #[error("the request for nothing names disks")]
    NoopDisks,
}

impl Request {
    /// Reads the body of a REQ.
    ///
    /// # Errors
    /// When anything in it is not as Amanda's server writes it, elements of unknown names inside a DLE excepted.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let (line, rest) = first_line(body);
        let name = line.strip_prefix(b"SERVICE ").ok_or(RequestError::NoService)?;
        let service = Service::ALL.into_iter().find(|service| service.name().as_bytes() == name);
        let service = service.ok_or_else(|| RequestError::UnknownService(shortened(name)))?;
        let (line, rest) = first_line(rest);
        let options = Options::parse(line)?;
        let dles = xml::parse(rest)?
            .into_iter()
            .enumerate()
            .map(|(at, element)| DleRequest::from_element(element).map_err(|why| RequestError::Dle { number: at + 1, why }))
            .collect::<Result<Vec<_>, _>>()?;
        match (service, dles.as_slice()) {
            (Service::Noop, [_, ..]) => return Err(RequestError::NoopDisks),
            (Service::Sendbackup, [dle]) if dle.levels.len() != 1 => return Err(RequestError::Levels(dle.levels.len())),
            (Service::Sendbackup, dles) if dles.len() != 1 => return Err(RequestError::Dumps(dles.len())),
            _ => {}
        }
        Ok(Self { service, options, dles })
    }

    /// Returns the body of a REQ, which Amanda's client understands. What was not understood ([`Options::unknown`],
    /// [`DleRequest::unknown`]) is not in it.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        let mut body = format!("SERVICE {}\n", self.service.name()).into_bytes();
        body.extend(self.options.print());
        body.push(b'\n');
        for dle in &self.dles {
            body.extend(print::dle(dle));
        }
        body
    }
}

fn first_line(text: &[u8]) -> (&[u8], &[u8]) {
    memchr::memchr(b'\n', text).map_or((text, &[][..]), |end| (&text[..end], &text[end + 1..]))
}

fn shortened(name: &[u8]) -> String {
    crate::escape::printable(&name[..name.len().min(64)])
}
