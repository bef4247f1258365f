//! The one unsafe call of this program: marking inherited descriptors close-on-exec.
//!
//! sshd and sudo leave descriptors open in what they start (a session's pipes, a pty). A runner that keeps one keeps
//! the laptop's ssh session open after the laptop's business is done. No safe crate here offers close_range(2).
#![expect(unsafe_code, reason = "close_range(2) has no safe wrapper; with CLOEXEC it closes nothing in this process")]

use std::io;

/// Marks every descriptor from 3 upwards close-on-exec, so that the next program we become or start has none of them.
pub fn forget_inherited_descriptors() -> io::Result<()> {
    // SAFETY: no memory is passed, and CLOSE_RANGE_CLOEXEC leaves all descriptors of this process open and valid.
    let status = unsafe { libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as libc::c_int) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
