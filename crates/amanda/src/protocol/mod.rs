//! Amanda's network protocol as auth "ssh" speaks it: everything that passes between the server's programs and a
//! client's `amandad`, as values, without a socket in sight.
//!
//! ```text
//! bytes ─ token ─> (handle, payload) ─ packet ─> REQ ─ request ─> what the server asks
//!                                              └ REP ─ reply ───> what the client answers
//!                                   └ streams named in the REP: DATA (bytes), MESG (lines: mesg), INDEX (lines)
//! ```
//!
//! Both sides read what a stranger wrote, so every length is checked before memory is taken, and what is not
//! understood is either refused or kept by name, for the caller to refuse. Amanda itself guesses more than we do.
//!
//! In reading order:
//!
//! - [`token`]: the frames on the wire
//! - [`packet`]: REQ, REP, PREP, ACK, NAK
//! - [`features`]: what each side understands
//! - [`xml`]: the subset of XML in a request
//! - [`request`]: SERVICE, OPTIONS and the DLEs
//! - [`reply`]: what the services answer
//! - [`mesg`]: the lines of a dump's message stream, and which of them a dumptype implies
//! - [`tar_words`]: which of GNU tar's words are worth an operator's attention

pub mod features;
pub mod mesg;
pub mod packet;
pub mod reply;
pub mod request;
pub mod tar_words;
pub mod token;
pub mod xml;
