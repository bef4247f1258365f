//! A piece of the internet between a laptop and the server's sshd: it carries bytes, counts them, and goes wrong when told.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nix::libc::linger;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt;

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Both sides get a TCP reset.
    Reset,
    /// Nothing is carried any more, and nobody is told.
    Silence,
}

/// A relay on the server's end of a cable; it ends with its last connection, after the value is dropped.
#[derive(Debug)]
pub struct Relay {
    /// The port that it listens on.
    pub port: u16,
    state: Arc<State>,
}

/// One direction.
#[derive(Debug, Default)]
struct Lane {
    /// Bytes that a connection may carry before it is cut; 0 is no limit.
    limit: AtomicU64,
    /// The most that one connection has carried.
    carried: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    to_server: Lane,
    to_laptop: Lane,
    resets: AtomicBool,
    cuts: AtomicU64,
    over: AtomicBool,
}

impl Relay {
    /// Begins to carry what comes in at this address to another port of it.
    ///
    /// # Panics
    /// Without a free port.
    pub fn open(address: Ipv4Addr, to: u16) -> Self {
        let listener = TcpListener::bind((address, 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for laptop in listener.incoming().map_while(Result::ok) {
                if shared.over.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(server) = TcpStream::connect(SocketAddr::from((address, to))) else { continue };
                let state = Arc::clone(&shared);
                std::thread::spawn(move || drop(carry(laptop, server, &state)));
            }
        });
        Self { port, state }
    }

    /// Cuts the next connection that has carried so many bytes to the server, and none after it.
    pub fn cut_after(&self, bytes: u64, how: Cut) {
        self.limit(&self.state.to_server, bytes, how);
    }

    /// The same for bytes to the laptop.
    pub fn cut_back_after(&self, bytes: u64, how: Cut) {
        self.limit(&self.state.to_laptop, bytes, how);
    }

    fn limit(&self, lane: &Lane, bytes: u64, how: Cut) {
        self.state.resets.store(how == Cut::Reset, Ordering::Relaxed);
        lane.limit.store(bytes.max(1), Ordering::Relaxed);
    }

    /// Returns the most bytes that one connection has carried to the server so far.
    pub fn carried(&self) -> u64 {
        self.state.to_server.carried.load(Ordering::Relaxed)
    }

    /// The same to the laptop.
    pub fn carried_back(&self) -> u64 {
        self.state.to_laptop.carried.load(Ordering::Relaxed)
    }

    /// Returns how many connections were cut.
    pub fn cuts(&self) -> u64 {
        self.state.cuts.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
    }
}

/// Both ends are ssh's, which never stop reading: a write may wait.
fn carry(laptop: TcpStream, server: TcpStream, state: &State) -> io::Result<()> {
    let mut piece = vec![0; 64 * 1024];
    let mut carried = [0_u64; 2];
    loop {
        let mut both = [PollFd::new(laptop.as_fd(), PollFlags::POLLIN), PollFd::new(server.as_fd(), PollFlags::POLLIN)];
        poll(&mut both, PollTimeout::NONE)?;
        let ready = both.map(|one| one.any().unwrap_or(false));
        let ways = [(&laptop, &server, &state.to_server), (&server, &laptop, &state.to_laptop)];
        for ((from, to, lane), carried) in ways.into_iter().zip(&mut carried).zip(ready).filter(|(_, ready)| *ready).map(|(way, _)| way) {
            let (mut from, mut to) = (from, to);
            let count = from.read(&mut piece)?;
            if count == 0 {
                return Ok(());
            }
            let limit = lane.limit.load(Ordering::Relaxed);
            let left = if limit == 0 { u64::MAX } else { limit.saturating_sub(*carried) };
            let passes = usize::try_from(left).unwrap_or(usize::MAX).min(count);
            to.write_all(&piece[..passes])?;
            *carried += passes as u64;
            lane.carried.fetch_max(*carried, Ordering::Relaxed);
            if passes < count {
                lane.limit.store(0, Ordering::Relaxed);
                state.cuts.fetch_add(1, Ordering::Relaxed);
                return cut(&laptop, &server, state);
            }
        }
    }
}

fn cut(laptop: &TcpStream, server: &TcpStream, state: &State) -> io::Result<()> {
    if state.resets.load(Ordering::Relaxed) {
        for side in [laptop, server] {
            // Closed with nothing to linger for, a connection is reset.
            nix::sys::socket::setsockopt(&side, sockopt::Linger, &linger { l_onoff: 1, l_linger: 0 })?;
        }
        return Ok(());
    }
    // The kernel goes on saying that it has what was sent, until its buffers are full.
    while !state.over.load(Ordering::Relaxed) {
        crate::wait::glance();
    }
    Ok(())
}
