//! What the disklist and the dumptype wish of a client, as a request; and what of it this engine does not do.

use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use amanda::conf::disklist::Disk;
use amanda::conf::{self, Dumptype, Effort};
use amanda::protocol::features::{Feature, Features};
use amanda::protocol::request::{Compress, DleRequest, Encrypt, Estimate, Level, Patterns, Program};

/// Why a disk cannot be dumped as its dumptype says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unserved(String);

/// What is wished for one disk.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// The disk.
    pub disk: &'a Disk,
    /// How it is dumped.
    pub how: Dumptype<'a>,
}

impl Wish<'_> {
    /// Returns the request about this disk, at no level.
    ///
    /// # Errors
    /// When its dumptype wants something that this engine does not do.
    pub fn dle(&self) -> Result<DleRequest, Unserved> {
        let how = self.how;
        let no = |what: &str| Err(Unserved(format!("dumptype {} {what}, which the embedded engine does not do", how.name())));
        if !how.program().eq_ignore_ascii_case("GNUTAR") {
            return no(&format!("has program {}", how.program().display()));
        }
        if !how.settings().list("script").is_empty() {
            return no("has scripts");
        }
        if how.settings().word("data-path").is_some_and(|path| path == "directtcp") {
            return no("has data-path directtcp");
        }
        let compress = match how.compress() {
            conf::Compress::None => Compress::None,
            conf::Compress::Client(Effort::Fast) => Compress::ClientFast,
            conf::Compress::Client(Effort::Best) => Compress::ClientBest,
            conf::Compress::Client(Effort::Custom) => match how.custom_compress() {
                Some(program) => Compress::ClientCustom(program.as_bytes().to_vec()),
                None => return no("has compress client custom without a client-custom-compress"),
            },
            conf::Compress::Server(_) => return no("compresses on the server"),
        };
        let encrypt = match (how.encrypt(), how.settings().text("client-encrypt")) {
            (conf::Encrypt::None, _) => Encrypt::None,
            (conf::Encrypt::Client, Some(program)) => Encrypt::Client {
                program: program.as_bytes().to_vec(),
                decrypt_option: how.settings().text("client-decrypt-option").map(|option| option.as_bytes().to_vec()),
            },
            (conf::Encrypt::Client, None) => return no("has encrypt client without a client-encrypt"),
            (conf::Encrypt::Server, _) => return no("encrypts on the server"),
        };
        let directory = self.disk.device.as_ref().map(|device| device.as_bytes().to_vec());
        Ok(DleRequest {
            device: directory,
            compress,
            encrypt,
            record: how.record(),
            index: how.index(),
            exclude: patterns(how.exclude()),
            include: patterns(how.include()),
            // The auth of the dumptype is how Amanda itself would reach the client. Its client compares it with its own way of being
            // reached, which is another one here; so nothing is said.
            ..DleRequest::of(Program::Gnutar, self.disk.dle.disk_bytes())
        })
    }

    /// Returns the request at these levels, with the ways of estimating that ask the client.
    ///
    /// # Errors
    /// As [`Self::dle`].
    pub fn estimate(&self, levels: &[u8]) -> Result<DleRequest, Unserved> {
        let ways = self.how.estimate().into_iter().filter_map(|way| match way {
            conf::Estimate::Client => Some(Estimate::Client),
            conf::Estimate::Calcsize => Some(Estimate::Calcsize),
            // Who asks has no history to go by.
            conf::Estimate::Server => None,
        });
        let mut estimates: Vec<_> = ways.collect();
        if estimates.is_empty() {
            estimates.push(Estimate::Client);
        }
        let levels = levels.iter().map(|level| Level { level: u16::from(*level), server: false });
        Ok(DleRequest { estimates, levels: levels.collect(), ..self.dle()? })
    }
}

/// Says what a client does not understand of a request; Amanda's own would do something else instead.
///
/// # Errors
/// In words that name it.
pub fn understood(theirs: Features, dle: &DleRequest) -> Result<(), Unserved> {
    let needed = [
        (true, Feature::ReqXml, "requests in XML"),
        (true, Feature::ProgramGnutar, "program GNUTAR"),
        (matches!(dle.compress, Compress::ClientFast), Feature::OptionsCompressFast, "compress client fast"),
        (matches!(dle.compress, Compress::ClientBest), Feature::OptionsCompressBest, "compress client best"),
        (matches!(dle.compress, Compress::ClientCustom(_)), Feature::OptionsCompressCust, "compress client custom"),
        (matches!(dle.encrypt, Encrypt::Client { .. }), Feature::OptionsEncryptCust, "encrypt client"),
        (!dle.exclude.files.is_empty(), Feature::OptionsExcludeFile, "exclude"),
        (!dle.exclude.lists.is_empty(), Feature::OptionsExcludeList, "exclude list"),
        (dle.exclude.optional, Feature::OptionsOptionalExclude, "exclude optional"),
        (!dle.include.files.is_empty(), Feature::OptionsIncludeFile, "include"),
        (!dle.include.lists.is_empty(), Feature::OptionsIncludeList, "include list"),
        (dle.include.optional, Feature::OptionsOptionalInclude, "include optional"),
        (dle.index, Feature::OptionsIndex, "index"),
        (!dle.record, Feature::OptionsNoRecord, "record no"),
        (dle.device.is_some(), Feature::SendbackupReqDevice, "a device for a disk"),
    ];
    match needed.into_iter().find(|(asked, feature, _)| *asked && !theirs.has(*feature)) {
        Some((_, _, what)) => Err(Unserved(format!("the client does not understand {what}"))),
        None => Ok(()),
    }
}

fn patterns(patterns: conf::Patterns) -> Patterns {
    let bytes = |texts: Vec<std::ffi::OsString>| texts.into_iter().map(std::ffi::OsString::into_vec).collect();
    Patterns { files: bytes(patterns.file), lists: bytes(patterns.list), optional: patterns.optional }
}
