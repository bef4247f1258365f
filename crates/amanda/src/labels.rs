//! Which labels a config takes for its own: `labelstr` and the template of `autolabel` (common-src/match.c).
//!
//! Both are templates of regular expressions: `%` stands for a digit and `!` for a letter, `$c` for the config's name, `$o` for its
//! `org`, `$r` for its storage, `$s` for a slot's number, `\x` for x itself. A `labelstr` may match anywhere in a label; one that is
//! `MATCH-AUTOLABEL` has to match all of it.

use regex::{Regex, RegexBuilder};

/// The longest expression, in bytes: Amanda has room for no more.
const LONGEST: usize = 1023;

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelsError {
    /// It is longer than Amanda has room for.
    #[error("it is longer than {LONGEST} bytes")]
    TooLong,
    /// It is no regular expression.
    #[error("it is no regular expression: {0}")]
    Expression(String),
}

/// What a template's letters stand for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Names<'a> {
    /// The config's name, `$c`.
    pub config: &'a str,
    /// Its `org`, `$o`.
    pub org: &'a str,
    /// Its storage, `$r`.
    pub storage: &'a str,
}

/// The labels that belong to a config.
#[derive(Debug, Clone)]
pub struct Labels {
    expression: Regex,
    template: String,
}

impl Labels {
    /// Returns the labels that a `labelstr` matches.
    ///
    /// # Errors
    /// When it is no regular expression.
    pub fn matching(labelstr: &str, names: &Names<'_>) -> Result<Self, LabelsError> {
        Self::of(labelstr, &expanded(labelstr, names))
    }

    /// Returns the labels that an `autolabel` makes, and none else: what `labelstr MATCH-AUTOLABEL` means.
    ///
    /// # Errors
    /// When it is no regular expression.
    pub fn made_by(template: &str, names: &Names<'_>) -> Result<Self, LabelsError> {
        Self::of(template, &format!("^{}$", expanded(template, names)))
    }

    fn of(template: &str, expression: &str) -> Result<Self, LabelsError> {
        if expression.len() > LONGEST {
            return Err(LabelsError::TooLong);
        }
        // Amanda compiles with REG_NEWLINE and no back references; a label has no line ends in it.
        let expression = RegexBuilder::new(expression).size_limit(1 << 20).build();
        let expression = expression.map_err(|error| LabelsError::Expression(error.to_string().replace('\n', " ")))?;
        Ok(Self { expression, template: template.to_owned() })
    }

    /// Says whether a label is one of them.
    #[must_use]
    pub fn has(&self, label: &str) -> bool {
        self.expression.is_match(label)
    }

    /// Returns what stands in amanda.conf, for people.
    #[must_use]
    pub fn template(&self) -> &str {
        &self.template
    }
}

/// Writes the expression out. A barcode (`$b`) and a meta label (`$m`) are empty: directories have none.
fn expanded(template: &str, names: &Names<'_>) -> String {
    let mut expression = String::with_capacity(template.len());
    let mut letters = template.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '%' => expression.push_str("[0-9]"),
            '!' => expression.push_str("[A-Z]"),
            // The expression never sees the backslash.
            '\\' => expression.extend(letters.next()),
            '$' => {
                let stands_for = match letters.peek().copied() {
                    Some('c') => names.config,
                    Some('o') => names.org,
                    Some('r') => names.storage,
                    Some('b' | 'm') => "",
                    Some('s') => "[0-9]*",
                    Some('$') => "$",
                    Some(digit) if digit.is_ascii_digit() => {
                        digits(&mut letters, &mut expression);
                        continue;
                    }
                    _ => {
                        expression.push('$');
                        continue;
                    }
                };
                expression.push_str(stands_for);
                letters.next();
            }
            other => expression.push(other),
        }
    }
    expression
}

/// `$3s`: a slot's number with so many digits.
fn digits(letters: &mut std::iter::Peekable<std::str::Chars<'_>>, expression: &mut String) {
    let mut count = 0usize;
    while let Some(digit) = letters.peek().and_then(|letter| letter.to_digit(10)) {
        count = count.saturating_mul(10).saturating_add(digit as usize);
        letters.next();
    }
    if letters.next() == Some('s') {
        (0..count.min(LONGEST)).for_each(|_| expression.push_str("[0-9]"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names<'_> = Names { config: "ifh", org: "icefloehousing", storage: "vtapes" };

    #[test]
    fn a_labelstr_matches_as_amanda_matches() {
        for (labelstr, label, expected) in [
            ("^ifh[0-9][0-9]*$", "ifh07", true),
            ("^ifh[0-9][0-9]*$", "ifh", false),
            ("^ifh[0-9][0-9]*$", "other-ifh07", false),
            ("ifh", "other-ifh07", true),
            ("$c-%%", "ifh-07", true),
            ("$c-%%", "daily-07", false),
            ("^$o-!!$", "icefloehousing-AB", true),
            ("^$r$2s$", "vtapes12", true),
            ("^$r$2s$", "vtapes1", false),
            ("^a\\%$", "a%", true),
            (".*", "anything", true),
        ] {
            assert_eq!(Labels::matching(labelstr, &NAMES).expect(labelstr).has(label), expected, "{labelstr} {label}");
        }
    }

    #[test]
    fn what_autolabel_makes_is_matched_from_end_to_end() {
        let labels = Labels::made_by("daily-%%%", &NAMES).expect("a template");
        assert!(labels.has("daily-001") && !labels.has("daily-01") && !labels.has("daily-0001") && !labels.has("xdaily-001"));
        assert_eq!(labels.template(), "daily-%%%");
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        assert!(matches!(Labels::matching("^ifh[0-9", &NAMES), Err(LabelsError::Expression(_))));
        assert_eq!(Labels::matching(&"x".repeat(2000), &NAMES).err(), Some(LabelsError::TooLong));
        assert_eq!(Labels::matching("$999999999999s", &NAMES).err(), Some(LabelsError::TooLong));
    }
}
