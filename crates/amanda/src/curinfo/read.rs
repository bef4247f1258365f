//! Reading an info file.

use super::{AVERAGED, HISTORY, History, Info, Perf, Place, Stats};

/// Amanda keeps a label in so many bytes, one of which is its end.
const LONGEST_LABEL: usize = 79;

/// The longest file that is read, in bytes; Amanda's own are below 16 KiB.
const LONGEST: usize = 1024 * 1024;

/// What is wrong with an info file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InfoError {
    /// A line is not the one that has to stand there.
    #[error("line {line}: {what}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// The file ends before its last line, `//`.
    #[error("the file has no end")]
    Cut,
    /// The file is longer than any that Amanda wrote.
    #[error("the file is longer than 1 MiB")]
    TooLong,
}

impl Info {
    /// Parses the file. Stricter than Amanda, which takes what it can of a damaged one: with less than the whole truth the
    /// next dump would be of the wrong level.
    ///
    /// # Errors
    /// At the first line that Amanda did not write.
    pub fn parse(file: &[u8]) -> Result<Self, InfoError> {
        if file.len() > LONGEST {
            return Err(InfoError::TooLong);
        }
        let mut lines = Lines { rest: file, line: 0 };
        if lines.field("version")?.number::<u32>()? != 0 {
            return Err(lines.error("the version is not 0"));
        }
        let command = lines.field("command")?.number()?;
        let full_rate = lines.field("full-rate")?.rates()?;
        let full_comp = lines.field("full-comp")?.rates()?;
        let incr_rate = lines.field("incr-rate")?.rates()?;
        let incr_comp = lines.field("incr-comp")?.rates()?;
        let mut info = Self {
            command,
            full: Perf { rate: full_rate, comp: full_comp },
            incr: Perf { rate: incr_rate, comp: incr_comp },
            ..Self::default()
        };
        loop {
            let line = lines.next()?;
            match line.name {
                "stats" => {
                    let (level, stats) = line.stats()?;
                    info.stats.insert(level, stats);
                }
                "last_level" => {
                    let mut line = line;
                    info.last_level = line.number()?;
                    info.consecutive_runs = line.number()?;
                    line.end()?;
                }
                "history" => {
                    let dump = line.history()?;
                    if info.history.len() < HISTORY {
                        info.history.push(dump);
                    }
                }
                "//" => return Ok(info),
                _ => return Err(line.error("Amanda has no such line here")),
            }
        }
    }
}

struct Lines<'a> {
    rest: &'a [u8],
    line: usize,
}

impl<'a> Lines<'a> {
    /// Takes the next line that is not empty.
    fn next(&mut self) -> Result<Line<'a>, InfoError> {
        while !self.rest.is_empty() {
            let end = memchr::memchr(b'\n', self.rest).ok_or(InfoError::Cut)?;
            let (line, rest) = (&self.rest[..end], &self.rest[end + 1..]);
            self.rest = rest;
            self.line += 1;
            if line.is_empty() {
                continue;
            }
            let text = std::str::from_utf8(line).map_err(|_| self.error("it is no UTF-8"))?;
            let (name, values) = text.split_once(':').unwrap_or((text, ""));
            return Ok(Line { line: self.line, name, words: values.split_ascii_whitespace() });
        }
        Err(InfoError::Cut)
    }

    /// Takes the next line, which has to have this name.
    fn field(&mut self, name: &str) -> Result<Line<'a>, InfoError> {
        let line = self.next()?;
        if line.name == name { Ok(line) } else { Err(line.error(&format!("{name:?} has to stand here"))) }
    }

    fn error(&self, what: &str) -> InfoError {
        InfoError::Line { line: self.line, what: what.to_owned() }
    }
}

struct Line<'a> {
    line: usize,
    name: &'a str,
    words: std::str::SplitAsciiWhitespace<'a>,
}

impl Line<'_> {
    fn error(&self, what: &str) -> InfoError {
        InfoError::Line { line: self.line, what: what.to_owned() }
    }

    fn number<T: std::str::FromStr>(&mut self) -> Result<T, InfoError> {
        let word = self.words.next().ok_or_else(|| self.error("a number is missing"))?;
        word.parse().map_err(|_| self.error("a number is wrong"))
    }

    fn end(mut self) -> Result<(), InfoError> {
        if self.words.next().is_some() { Err(self.error("something stands behind the last value")) } else { Ok(()) }
    }

    /// A negative rate is none: so does amadmin fill up to three.
    fn rates(mut self) -> Result<Vec<f64>, InfoError> {
        let mut values = Vec::new();
        while let Some(word) = self.words.next() {
            let value = word.parse::<f64>().ok().filter(|value| value.is_finite());
            values.push(value.ok_or_else(|| self.error("a rate is wrong"))?);
        }
        if values.len() > AVERAGED {
            return Err(self.error("there are more rates than three"));
        }
        values.retain(|value| *value >= 0.0);
        Ok(values)
    }

    fn stats(mut self) -> Result<(u8, Stats), InfoError> {
        let level = self.number()?;
        let mut stats = Stats { orig_kb: self.number()?, kb: self.number()?, secs: self.number()?, date: self.number()?, place: None };
        if self.words.clone().next().is_some() {
            let file = self.number()?;
            let label = self.words.next().ok_or_else(|| self.error("the label is missing"))?;
            if label.len() > LONGEST_LABEL {
                return Err(self.error("the label is too long"));
            }
            stats.place = Some(Place { label: label.to_owned(), file });
        }
        self.end()?;
        Ok((level, stats))
    }

    fn history(mut self) -> Result<History, InfoError> {
        let mut dump = History { level: self.number()?, orig_kb: self.number()?, kb: self.number()?, date: self.number()?, secs: -1 };
        if self.words.clone().next().is_some() {
            dump.secs = self.number()?;
        }
        self.end()?;
        Ok(dump)
    }
}
