//! Dumps that wait until a test lets them through.
//!
//! A gated host's dumptype has a custom compressor that compresses nothing. While its gate is closed it lets a trickle
//! through (so that nobody takes the dump for dead and progress can be seen), and everything at once after that. So a test
//! holds a dump in its middle for as long as it needs, and no longer.

use std::fs;
use std::path::{Path, PathBuf};

use crate::system;

/// Bytes that pass a closed gate per second: a tree of [`crate::world::GATED_BYTES`] would need many minutes.
pub const TRICKLE: u64 = 2560;

/// The gate of one host.
#[derive(Debug, Clone)]
pub struct Gate {
    program: PathBuf,
    closed: PathBuf,
}

impl Gate {
    /// Makes a gate, open, and the program that stands in it.
    pub fn make(dir: &Path, host: &str) -> Self {
        let gate = Self { program: dir.join(format!("compress-{host}")), closed: dir.join(format!("closed-{host}")) };
        // Perl, since Amanda cannot be without it. With -d it gives back what it got, as Amanda asks when it restores.
        let script = format!(
            "#!/usr/bin/perl\n\
             use strict; use warnings;\n\
             $| = 1; binmode STDIN; binmode STDOUT;\n\
             my $restoring = @ARGV && $ARGV[0] eq '-d';\n\
             my $passed = 0;\n\
             while (sysread(STDIN, my $piece, 65536)) {{\n\
             \x20   while (!$restoring && -e '{closed}' && $passed >= -s _ && length $piece) {{\n\
             \x20       all(substr($piece, 0, 512, ''));\n\
             \x20       select(undef, undef, undef, 0.2);\n\
             \x20   }}\n\
             \x20   $passed += length $piece;\n\
             \x20   all($piece);\n\
             }}\n\
             sub all {{ my ($rest) = @_; while (length $rest) {{ my $n = syswrite(STDOUT, $rest) // exit 1; substr($rest, 0, $n, ''); }} }}\n",
            closed = gate.closed.display()
        );
        system::file(&gate.program, &script, "root", "root", 0o755);
        gate
    }

    /// Returns the program for `client_custom_compress`.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Lets only a trickle through from now on.
    pub fn close(&self) {
        fs::write(&self.closed, "").expect("the gates' directory is ours");
    }

    /// Lets this many bytes of each dump through, more or less, and then only a trickle.
    pub fn close_after(&self, bytes: u64) {
        // The size of the file says it.
        let file = fs::File::create(&self.closed).expect("the gates' directory is ours");
        file.set_len(bytes).expect("a sparse file");
    }

    /// Lets everything through.
    pub fn open(&self) {
        let _open_already = fs::remove_file(&self.closed);
    }
}
