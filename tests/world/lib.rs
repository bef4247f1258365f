//! A closed world for whole runs: one throw-away server with a real sshd and a real Amanda, and laptops that call it.
//!
//! Nothing here is a fake. A [`World`] has an Amanda config with vtapes and a holding disk, up to eight hosts with a
//! source tree each (127.0.0.2 … 127.0.0.9 are eight local names), a login account that is not the dump user, one sshd
//! for the laptops (a forced command per key) and one for Amanda's auth "ssh", and the sudoers rule that is the
//! runner's door. All of it lies below one directory in /tmp, except for what the system wants elsewhere
//! ([`system`]); when a world is dropped, its processes are ended and all of it is removed. Worlds can live side by
//! side: every name in them is their own.
//!
//! It needs root, Debian's Amanda, sshd and sudo, and it says so and fails when something is missing: a test that
//! was skipped proves nothing. `tests/run` installs what is needed.
//!
//! Reading order: [`plan`] and [`world`] (what is wanted, and what there is), [`install`] and [`leave`] (how it comes and goes), [`laptop`] and [`shim`] (the two programs as their users call them), [`caller`] (the protocol by hand),
//! [`amanda`] and [`restore`] (the engine, and what it has), [`tree`] (source trees), [`gate`] (dumps that wait until told),
//! [`office`] (a server that has no Amanda), [`net`] and [`relay`] (laptops that nothing can reach, and what may happen to a connection on its way), [`torture`], [`life`] and [`compare`]
//! (trees that make backups difficult, what happens to them, and every difference between two), [`talk`], [`lying_server`] and [`lying_laptop`] (each side of the
//! protocol played by a test),
//! [`home`], [`vault`], [`faults`] and [`ordeal`] (a machine without any of this: a directory to back up into, what is in it, and what can go wrong with it),
//! [`basis`] (what a laptop's next dump builds on), [`procs`] and [`watch`] (who is alive; who dumps what), [`says`] (what tests of bad input repeat), [`sshd`], [`system`], [`child`], [`wait`].

pub mod amanda;
pub mod basis;
pub mod caller;
pub mod child;
pub mod compare;
pub mod faults;
pub mod gate;
pub mod home;
pub mod install;
pub mod itself;
pub mod laptop;
pub mod leave;
pub mod life;
pub mod lying_laptop;
pub mod lying_server;
pub mod mount;
pub mod net;
pub mod office;
pub mod ordeal;
pub mod plan;
pub mod procs;
pub mod relay;
pub mod restore;
pub mod says;
pub mod shim;
pub mod sshd;
pub mod system;
pub mod talk;
pub mod torture;
pub mod tree;
pub mod vault;
pub mod wait;
pub mod watch;
pub mod world;

pub use caller::Caller;
pub use child::{Background, Finished};
pub use faults::Faults;
pub use home::{Home, Whose};
pub use laptop::Laptop;
pub use plan::Plan;
pub use vault::Vault;
pub use wait::until;
pub use world::{Host, World};
