//! What is done to a vault as a whole: made for laptops that call, read back, handed to the installed Amanda.
//!
//! A vault is a directory that is an Amanda config with its volumes ([`crate::engine::embedded`]). A person has one on a drive; a
//! server has one for each config in `config_dir`. [`make`], [`verify`] and [`adopt`] are the commands.

pub mod adopt;
pub mod make;
pub mod verify;
