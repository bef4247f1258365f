//! What labels look like: `labelstr` and `autolabel` (`match_labelstr` in common-src/match.c, `make_new_tape_label` in
//! Amanda/Changer.pm).

use std::ffi::OsStr;

use regex::{Regex, RegexBuilder};

use super::{Config, Value};

/// The most memory that a label's expression may take, in bytes.
const LARGEST: usize = 1 << 20;

/// What the labels of a config's volumes have to match.
#[derive(Debug, Clone)]
pub enum Labelstr {
    /// Every label is good.
    Any,
    /// This is found in the label.
    Pattern(Regex),
}

impl Labelstr {
    /// Says whether a volume with this label may be written.
    #[must_use]
    pub fn matches(&self, label: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Pattern(pattern) => pattern.is_match(label),
        }
    }
}

/// Which volumes are labelled by a run that finds them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Autolabel {
    /// Volumes with a label that does not match, or of another config: what is on them is overwritten.
    pub other_config: bool,
    /// Volumes that something else than Amanda has written.
    pub non_amanda: bool,
    /// Volumes that cannot be read.
    pub volume_error: bool,
    /// Volumes with nothing on them; for a directory, with no label in it.
    pub empty: bool,
}

/// What a template for new labels is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// In front of the number.
    before: String,
    /// The digits of the number.
    width: usize,
    /// Behind it.
    after: String,
}

impl Template {
    /// Returns the label with this number; `None` when it has more digits than the template.
    #[must_use]
    pub fn label(&self, number: u32) -> Option<String> {
        let digits = format!("{number:0width$}", width = self.width);
        (number > 0 && digits.len() <= self.width).then(|| format!("{}{digits}{}", self.before, self.after))
    }
}

/// What is the matter with a template that no label can be made by here; it goes on "a template with …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongTemplate {
    /// No `%`, or `%` at two places.
    #[error("no number in it, for the digits of which one run of % stands")]
    Number,
    /// `!`, letters for digits.
    #[error("letters that are counted (!)")]
    Letters,
    /// A barcode, a name of all volumes in a cartridge, a slot.
    #[error("${0} in it: a directory has no barcode and no meta label, and its slot is no part of a label")]
    Variable(char),
    /// A label is one word.
    #[error("another character in it than letters, digits, . _ - + :")]
    Word,
}

impl Config {
    /// Returns the config's name: that of its directory.
    #[must_use]
    pub fn name(&self) -> String {
        self.directory().file_name().map_or_else(|| "default".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    /// Returns the name of the storage that is in use.
    #[must_use]
    pub fn storage_name(&self) -> String {
        self.storage().map_or_else(|| self.name(), |section| section.name.clone())
    }

    /// Returns the pool that the volumes belong to: the config's name, unless the storage has one.
    #[must_use]
    pub fn tapepool(&self) -> String {
        let pool = self.storage().and_then(|section| section.settings.text("tapepool"));
        let pool = pool.map_or_else(|| "$c".to_owned(), |pool| pool.to_string_lossy().into_owned());
        let pool = pool.replacen("$o", &self.org_text(), 1).replacen("$c", &self.name(), 1);
        pool.replacen("$r", &self.storage_name(), 1)
    }

    fn org_text(&self) -> String {
        self.org().map(OsStr::to_string_lossy).unwrap_or_default().into_owned()
    }

    /// Returns what labels have to match; the template of `autolabel` when `labelstr match-autolabel` says so.
    ///
    /// # Errors
    /// When it is no regular expression.
    pub fn labels(&self) -> Result<Labelstr, String> {
        let expression = match self.of_storage("labelstr") {
            Some(Value::Str(text)) => self.expression(&String::from_utf8_lossy(text)),
            Some(Value::Word(_)) => match self.label_template() {
                Some(template) => format!("^{}$", self.expression(&template.to_string_lossy())),
                None => return Ok(Labelstr::Any),
            },
            _ => return Ok(Labelstr::Any),
        };
        let built = RegexBuilder::new(&expression).size_limit(LARGEST).build();
        built.map(Labelstr::Pattern).map_err(|_| format!("{expression:?} is no regular expression that can be used"))
    }

    /// What stands for digits, letters, names in a template or in `labelstr`, as an expression.
    fn expression(&self, template: &str) -> String {
        let mut expression = String::new();
        let mut letters = template.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '%' => expression.push_str("[0-9]"),
                '!' => expression.push_str("[A-Z]"),
                // Amanda takes the next character as it stands, also where the expression needs the backslash.
                '\\' => expression.extend(letters.next()),
                '$' => match letters.peek().copied() {
                    Some('$') => expression.extend(letters.next()),
                    Some('c') => expression.push_str(&taken(&mut letters, &self.name())),
                    Some('o') => expression.push_str(&taken(&mut letters, &self.org_text())),
                    Some('r') => expression.push_str(&taken(&mut letters, &self.storage_name())),
                    Some('b' | 'm') => drop(letters.next()),
                    Some('s') => expression.push_str(&taken(&mut letters, "[0-9]*")),
                    Some(digit) if digit.is_ascii_digit() => {
                        let mut number = String::new();
                        while let Some(digit) = letters.next_if(char::is_ascii_digit) {
                            number.push(digit);
                        }
                        let times = number.parse().unwrap_or(0).min(64);
                        if letters.next() == Some('s') {
                            expression.push_str(&"[0-9]".repeat(times));
                        }
                    }
                    _ => expression.push('$'),
                },
                other => expression.push(other),
            }
        }
        expression
    }

    /// Returns the template of new labels, with the names of config, storage and organisation in it; `None` when volumes are not
    /// labelled by themselves.
    ///
    /// # Errors
    /// When it is one that no number can be put into here.
    pub fn template(&self) -> Result<Option<Template>, WrongTemplate> {
        let Some(template) = self.label_template().filter(|template| !template.is_empty()) else { return Ok(None) };
        let template = template.to_str().ok_or(WrongTemplate::Word)?;
        let (mut pieces, mut width) = ([String::new(), String::new()], 0);
        let mut letters = template.chars().peekable();
        while let Some(letter) = letters.next() {
            let at = usize::from(width > 0);
            match letter {
                '%' if pieces[1].is_empty() => width += 1,
                '%' => return Err(WrongTemplate::Number),
                '!' => return Err(WrongTemplate::Letters),
                '$' => match letters.next() {
                    Some('c') => pieces[at].push_str(&self.name()),
                    Some('o') => pieces[at].push_str(&self.org_text()),
                    Some('r') => pieces[at].push_str(&self.storage_name()),
                    Some(other) => return Err(WrongTemplate::Variable(other)),
                    None => return Err(WrongTemplate::Word),
                },
                other => pieces[at].push(other),
            }
        }
        let [before, after] = pieces;
        if width == 0 || width > 9 {
            return Err(WrongTemplate::Number);
        }
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-+:".contains(letter);
        if !before.chars().chain(after.chars()).all(plain) {
            return Err(WrongTemplate::Word);
        }
        Ok(Some(Template { before, width, after }))
    }

    /// Returns which volumes a run labels; none without a template.
    #[must_use]
    pub fn autolabel(&self) -> Autolabel {
        let Some(Value::List(words)) = self.of_storage("autolabel") else {
            // The older word for it.
            let older = self.settings().text("label-new-tapes").is_some();
            return Autolabel { volume_error: older, empty: older, ..Autolabel::default() };
        };
        let says = |word: &str| words.iter().any(|other| matches!(other, Value::Word(other) if other == word || other == "any"));
        let modes = Autolabel {
            other_config: says("other-config"),
            non_amanda: says("non-amanda"),
            volume_error: says("volume-error"),
            empty: says("empty"),
        };
        if words.is_empty() || modes != Autolabel::default() {
            return modes;
        }
        Autolabel { volume_error: true, empty: true, ..modes }
    }
}

/// Steps over a letter, and returns what it stands for.
fn taken(letters: &mut std::iter::Peekable<std::str::Chars<'_>>, meaning: &str) -> String {
    letters.next();
    meaning.to_owned()
}
