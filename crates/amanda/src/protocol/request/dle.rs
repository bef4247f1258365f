//! What is asked about one disk.

use crate::protocol::xml::Element;

/// Amanda has levels below 400; its planner asks for those up to 9.
pub const MAX_LEVEL: u16 = 399;

/// One disk of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DleRequest {
    /// What makes the dump.
    pub program: Program,
    /// The disk's name, which every answer repeats.
    pub disk: Vec<u8>,
    /// The directory, where it is not the disk's name.
    pub device: Option<Vec<u8>>,
    /// How sizes may be estimated, best first. None: as the client likes.
    pub estimates: Vec<Estimate>,
    /// The word for `calcsize` to a client that does not know the list of estimates.
    pub calcsize: bool,
    /// The levels: up to three for an estimate, one for a dump, none for a check.
    pub levels: Vec<Level>,
    /// Disks of one spindle are not read at once; -1 is none.
    pub spindle: Option<i32>,
    /// How the server reaches the client.
    pub auth: Option<Vec<u8>>,
    /// Who compresses, and how.
    pub compress: Compress,
    /// Who encrypts, and how.
    pub encrypt: Encrypt,
    /// Whether the next level is to begin where this dump ends.
    pub record: bool,
    /// Whether a list of names goes along with the dump.
    pub index: bool,
    /// Whether Kerberos encrypts the connection.
    pub kencrypt: bool,
    /// Which way the bytes take.
    pub data_path: DataPath,
    /// What is left out.
    pub exclude: Patterns,
    /// What alone is taken; everything when there is nothing in it.
    pub include: Patterns,
    /// Properties of the dumptype.
    pub properties: Vec<Property>,
    /// What makes the dump in tar's place.
    pub application: Option<Application>,
    /// What runs before and after.
    pub scripts: Vec<Script>,
    /// Names of elements that are not understood. Who serves the request refuses it because of them.
    pub unknown: Vec<String>,
}

/// What makes a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// GNU tar.
    Gnutar,
    /// The file system's dump.
    Dump,
    /// A plugin: [`DleRequest::application`].
    Application,
    /// Something else.
    Other(Vec<u8>),
}

/// A way to estimate a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Estimate {
    /// The program counts.
    Client,
    /// Another program of the client's counts, faster.
    Calcsize,
    /// The server guesses from history.
    Server,
}

/// A level that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Level {
    /// The level, [`MAX_LEVEL`] at most.
    pub level: u16,
    /// The server can estimate this one itself.
    pub server: bool,
}

/// Who compresses, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Compress {
    /// Nobody.
    #[default]
    None,
    /// The client, fast.
    ClientFast,
    /// The client, well.
    ClientBest,
    /// The client, with a program of the server's choice.
    ClientCustom(Vec<u8>),
    /// The server, fast.
    ServerFast,
    /// The server, well.
    ServerBest,
    /// The server, with a program of its choice.
    ServerCustom(Vec<u8>),
}

/// Who encrypts, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Encrypt {
    /// Nobody.
    #[default]
    None,
    /// The client.
    Client {
        /// With this program of the server's choice.
        program: Vec<u8>,
        /// What makes the program decrypt.
        decrypt_option: Option<Vec<u8>>,
    },
    /// The server. Amanda's tells this to nobody; it stands here because its reader has it.
    Server {
        /// With this program.
        program: Vec<u8>,
        /// What makes the program decrypt.
        decrypt_option: Option<Vec<u8>>,
    },
}

/// Which way the bytes take.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DataPath {
    /// Through Amanda's stream.
    #[default]
    Amanda,
    /// To one of these addresses.
    DirectTcp(Vec<Vec<u8>>),
}

/// What is left out or alone taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Patterns {
    /// Patterns.
    pub files: Vec<Vec<u8>>,
    /// Files on the client with a pattern on each line; relative to the disk's directory.
    pub lists: Vec<Vec<u8>>,
    /// Whether a list may be missing.
    pub optional: bool,
}

impl Patterns {
    /// Says whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.lists.is_empty()
    }
}

/// A property of a dumptype, application or script.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Property {
    /// Its name.
    pub name: Vec<u8>,
    /// Whether it goes before the client's own.
    pub priority: bool,
    /// Its values.
    pub values: Vec<Vec<u8>>,
}

/// A plugin that makes dumps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Application {
    /// Its name.
    pub plugin: Vec<u8>,
    /// Its properties.
    pub properties: Vec<Property>,
    /// The client's own definition of it.
    pub client_name: Option<Vec<u8>>,
}

/// A program that runs before or after something.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script {
    /// Its name.
    pub plugin: Vec<u8>,
    /// When it runs: words such as `PRE-DLE-BACKUP`.
    pub execute_on: Vec<Vec<u8>>,
    /// On which side it runs: `CLIENT` or `SERVER`.
    pub execute_where: Vec<u8>,
    /// Its properties.
    pub properties: Vec<Property>,
    /// The client's own definition of it.
    pub client_name: Option<Vec<u8>>,
}

/// What is wrong with a disk's description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DleError {
    /// Only disks are described.
    #[error("an element {0:?} stands where a <dle> belongs")]
    NotADle(String),
    /// An element is missing.
    #[error("there is no <{0}>")]
    Missing(&'static str),
    /// An element stands there twice.
    #[error("there is more than one <{0}>")]
    Twice(String),
    /// An element has a value that it cannot have.
    #[error("<{0}> has a value that it cannot have")]
    Value(String),
    /// An element has others in it, or text, and neither belongs there.
    #[error("<{0}> has something in it that does not belong there")]
    Content(String),
}

impl DleRequest {
    /// Makes sense of an element.
    ///
    /// # Errors
    /// When it describes no disk.
    pub(super) fn from_element(element: Element) -> Result<Self, DleError> {
        super::read::dle(element)
    }

    /// Reads the description that a dump's header keeps ([`Header::dle_xml`](crate::header::Header::dle_xml)): what the server asked for. `None` when it is not
    /// understood.
    #[must_use]
    pub fn of_header(text: &[u8]) -> Option<Self> {
        let [element] = crate::protocol::xml::parse(text).ok()?.try_into().ok()?;
        Self::from_element(element).ok()
    }

    /// Returns a request about this disk that asks for nothing in particular, as Amanda's reader has it.
    #[must_use]
    pub fn of(program: Program, disk: impl Into<Vec<u8>>) -> Self {
        Self {
            program,
            disk: disk.into(),
            device: None,
            estimates: Vec::new(),
            calcsize: false,
            levels: Vec::new(),
            spindle: None,
            auth: None,
            compress: Compress::None,
            encrypt: Encrypt::None,
            record: true,
            index: false,
            kencrypt: false,
            data_path: DataPath::Amanda,
            exclude: Patterns::default(),
            include: Patterns::default(),
            properties: Vec::new(),
            application: None,
            scripts: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// Returns the directory that is read.
    #[must_use]
    pub fn directory(&self) -> &[u8] {
        self.device.as_deref().unwrap_or(&self.disk)
    }
}
