//! The table that is printed.

use std::time::Duration;

/// What is wanted of a measurement.
pub enum Aim {
    /// Nothing.
    None,
    /// At most so many times the other.
    Times(f64),
    /// At most so much more than the other.
    Within(Duration),
    /// At most.
    Below(Duration),
}

/// What is shown at the end.
#[derive(Default)]
pub struct Table {
    rows: Vec<[String; 6]>,
}

impl Table {
    /// Adds two times and their ratio.
    pub fn time(&mut self, what: &str, took: Duration, beside: &str, other: Duration, aim: Aim) {
        let more = (took.as_secs_f64() - other.as_secs_f64()) * 1000.0;
        let compared = match aim {
            Aim::Within(_) => format!("+{more:.2} ms"),
            Aim::Below(_) => String::new(),
            Aim::None | Aim::Times(_) => ratio(took.as_secs_f64(), other.as_secs_f64()),
        };
        let (aim, met) = match aim {
            Aim::None => (String::new(), true),
            Aim::Times(times) => (format!("{times} x"), took.as_secs_f64() <= times * other.as_secs_f64()),
            Aim::Within(bound) => (format!("+{} ms", bound.as_millis()), took <= other + bound),
            Aim::Below(bound) => (format!("< {} ms", bound.as_millis()), took < bound),
        };
        let other = if beside.is_empty() { String::new() } else { ms(other) };
        let aim = if met { aim } else { format!("{aim}, MISSED") };
        self.row(what.to_owned(), ms(took), beside.to_owned(), other, compared, &aim);
    }

    /// Adds a row.
    pub fn row(&mut self, what: String, value: String, beside: String, other: String, compared: String, aim: &str) {
        self.rows.push([what, value, beside, other, compared, aim.to_owned()]);
    }

    /// Returns the table as text.
    pub fn text(&self) -> String {
        let header = ["what", "median", "beside", "median", "compared", "aim"].map(str::to_owned);
        let rows: Vec<&[String; 6]> = std::iter::once(&header).chain(&self.rows).collect();
        let widths: [usize; 6] = std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
        let line = |row: &&[String; 6]| {
            let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            format!("{}\n", cells.join("  ").trim_end())
        };
        rows.iter().map(line).collect()
    }
}

/// Returns a time for people.
pub fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

/// Returns memory for people.
pub fn kib(kib: u64) -> String {
    if kib >= 10_240 { format!("{:.1} MiB", kib as f64 / 1024.0) } else { format!("{kib} KiB") }
}

/// Returns how many times as much the first is.
pub fn ratio(one: f64, other: f64) -> String {
    format!("{:.2} x", one / other)
}
