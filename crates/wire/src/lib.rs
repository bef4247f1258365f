//! What the agent on the laptop and the shim on the server say to each other, and nothing else.
//!
//! Bytes and values only: no sockets, no files, no clocks. The grammar is told in `docs/wire-protocol.md`;
//! a change there is a change here, and the other way round.
//!
//! Reading order: [`names`] (the closed grammars), [`receipt`] (the only proof of a backup), [`message`]
//! (what is said), [`frame`] (how it is packed), [`flow`] (how fast a stream may go), [`request`] (the one line that ssh carries), [`exit`] (how both
//! programs end). [`restore`] is the conversation about dumps, on a stream of its own.

pub mod exit;
pub mod flow;
pub mod frame;
pub mod message;
pub mod names;
pub mod receipt;
pub mod request;
pub mod restore;

pub use exit::Exit;
pub use flow::{Flow, FlowError};
pub use frame::{Decoder, Frame, FrameError};
pub use message::{AbortCode, FromAgent, FromShim, Hello, PROTOCOL_VERSION};
pub use names::{ConfigName, DiskName, HostName, NameError};
pub use receipt::{Base, Outcome, Receipt};
