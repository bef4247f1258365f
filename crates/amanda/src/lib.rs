//! Amanda's own words: its files, its logs and the output of its programs, parsed and printed.
//!
//! Nothing here decides anything and nothing here starts a process, and only [`vtape`] opens files: bytes come in, values go out. The
//! authority for every format but one is Amanda 3.5.1 (tag `tag-community-3.5.1`), and each module names the source files it
//! follows. Names are bytes, as they are for Amanda. Whatever a peer can influence is bounded in size, and parsers pass
//! over what they do not know: a log is read while it is being written, and by a program that is older than the log.
//!
//! In reading order:
//!
//! - [`quoting`]: how Amanda puts a name with spaces into a line, and what it makes of a disk name in a path
//! - [`escape`]: how we show such a name, or anything else a peer said, on a terminal
//! - [`dle`]: a host and a disk, Amanda's unit of backup
//! - [`crc`]: the checksums of a dump, and which of them must agree
//! - [`lines`]: lines out of a growing file, with bounded memory
//! - [`amandates`]: what a client believes it has dumped
//! - [`run_log`]: what a run says it has done, `log.<datestamp>.N`
//! - [`run_trace`]: what a run is doing, `amdump.<datestamp>`
//! - [`admin`]: the words of `amadmin` and `amgetconf`
//! - [`chains`]: which dumps can be restored, out of what `amadmin find` listed
//! - [`conf`]: amanda.conf and the disklist
//! - [`header`]: the 32 KiB in front of a dump, and a volume's label
//! - [`frames`]: a compressed dump that can be read from the middle; the one format here that is ours
//! - [`holding`]: the names on a holding disk
//! - [`vtape`]: volumes in directories, and the changer over them
//! - [`tapelist`]: which volumes there are
//! - [`curinfo`]: what the server remembers of a disk
//! - [`protocol`]: what the server and a client's `amandad` say to each other
//! - [`index`]: the list of names that goes with a dump

pub mod admin;
pub mod amandates;
pub mod chains;
pub mod conf;
pub mod crc;
pub mod curinfo;
pub mod dle;
pub mod escape;
pub mod frames;
pub mod header;
pub mod holding;
pub mod index;
pub mod lines;
pub mod protocol;
pub mod quoting;
pub mod run_log;
pub mod run_trace;
pub mod tapelist;
pub mod vtape;
