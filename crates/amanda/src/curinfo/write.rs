//! Printing an info file.

use std::fmt::Write as _;

use super::{Info, Place};

impl Info {
    /// Prints the file.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = self.write(&mut text);
        text.into_bytes()
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "version: 0\ncommand: {}", self.command)?;
        for (name, values) in
            [("full-rate", &self.full.rate), ("full-comp", &self.full.comp), ("incr-rate", &self.incr.rate), ("incr-comp", &self.incr.comp)]
        {
            write!(text, "{name}:")?;
            values.iter().try_for_each(|value| write!(text, " {value:.6}"))?;
            text.push('\n');
        }
        for (level, stats) in &self.stats {
            write!(text, "stats: {level} {} {} {} {}", stats.orig_kb, stats.kb, stats.secs, stats.date)?;
            if let Some(Place { label, file }) = &stats.place {
                write!(text, " {file} {label}")?;
            }
            text.push('\n');
        }
        writeln!(text, "last_level: {} {}", self.last_level, self.consecutive_runs)?;
        for dump in &self.history {
            writeln!(text, "history: {} {} {} {} {}", dump.level, dump.orig_kb, dump.kb, dump.date, dump.secs)?;
        }
        text.push_str("//\n");
        Ok(())
    }
}
