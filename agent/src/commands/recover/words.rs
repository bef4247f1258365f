//! A line of the shell: amrecover's commands, and how its words are quoted.
//!
//! Words are set apart by blanks. Quotation marks hold blanks, and in them `\n`, `\t`, `\"` and three octal digits mean what they mean to
//! amrecover; outside, a backslash takes the meaning from the character behind it. Unlike amrecover's, a backslash in a pattern stays
//! one: `add \*` is the file of that name, `addx .*\.c` has a full stop.

use amanda::quoting;

/// What a line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// An empty line, or a comment.
    Nothing,
    /// The hosts.
    ListHost,
    /// The disks.
    ListDisk,
    /// Another host.
    SetHost(Vec<u8>),
    /// A disk, and where it was mounted when that is not its name.
    SetDisk(Vec<u8>, Option<Vec<u8>>),
    /// Another time.
    SetDate(String),
    /// Another directory of the disk.
    Cd(Word),
    /// The same by a regular expression.
    Cdx(Word),
    /// Where we are.
    Pwd,
    /// What is here.
    Ls,
    /// Another local directory.
    Lcd(Vec<u8>),
    /// Which local directory.
    Lpwd,
    /// Onto the list.
    Add(Vec<Word>),
    /// The same by regular expressions.
    Addx(Vec<Word>),
    /// Off the list.
    Delete(Vec<Word>),
    /// The same by regular expressions.
    Deletex(Vec<Word>),
    /// The list, into a file when one is named.
    List(Option<Vec<u8>>),
    /// An empty list.
    Clear,
    /// The dumps of the disk.
    History,
    /// Bring back what is on the list.
    Extract,
    /// The commands.
    Help,
    /// The end.
    Quit,
    /// A command of amrecover's about tapes and shares, which is not needed here.
    Needless(&'static str),
}

/// Why a line is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// No such command.
    #[error("Invalid command: {0}")]
    Command(String),
    /// A word is missing.
    #[error("Argument required: {0}")]
    Missing(&'static str),
    /// A word too many, or one that cannot be read.
    #[error("Invalid argument: {0}")]
    Invalid(String),
    /// A quotation mark that is never closed.
    #[error("Unterminated quoted string")]
    Unclosed,
}

/// A word as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word(Vec<u8>);

impl Word {
    /// Returns the bytes that it stands for.
    pub fn plain(&self) -> Result<Vec<u8>, LineError> {
        quoting::unquote(&self.0).map_err(|error| LineError::Invalid(error.to_string()))
    }

    /// Returns it as a pattern: what is in quotation marks is taken out of them, a backslash outside of them stays.
    pub fn pattern(&self) -> Result<Vec<u8>, LineError> {
        self.parts(|quoted| quoting::unquote(quoted).map_err(|error| LineError::Invalid(error.to_string())))
    }

    /// Returns it as a regular expression: of all escapes only `\"` is ours.
    pub fn expression(&self) -> Result<Vec<u8>, LineError> {
        self.parts(|quoted| {
            let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
            let mut bytes = Vec::with_capacity(inner.len());
            for (at, byte) in inner.iter().enumerate() {
                if !(*byte == b'\\' && inner.get(at + 1) == Some(&b'"')) {
                    bytes.push(*byte);
                }
            }
            Ok(bytes)
        })
    }

    /// Returns it as it was typed.
    pub fn as_typed(&self) -> &[u8] {
        &self.0
    }

    /// Returns it for people.
    pub fn shown(&self) -> String {
        crate::report::show(&self.0)
    }

    fn parts(&self, quoted: impl Fn(&[u8]) -> Result<Vec<u8>, LineError>) -> Result<Vec<u8>, LineError> {
        let mut bytes = Vec::with_capacity(self.0.len());
        let mut rest = &self.0[..];
        while !rest.is_empty() {
            let length = if rest[0] == b'"' { quoted_length(rest).ok_or(LineError::Unclosed)? } else { bare_length(rest) };
            let (part, after) = rest.split_at(length);
            match part[0] {
                b'"' => bytes.extend(quoted(part)?),
                _ => bytes.extend_from_slice(part),
            }
            rest = after;
        }
        Ok(bytes)
    }
}

/// How long the quoted part is that this begins with, both marks included.
fn quoted_length(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// How long the part without quotation marks and blanks is that this begins with.
fn bare_length(text: &[u8]) -> usize {
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at,
            blank if blank.is_ascii_whitespace() => return at,
            _ => {}
        }
    }
    text.len()
}

/// Splits a line into its words.
pub fn words(line: &[u8]) -> Result<Vec<Word>, LineError> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let mut length = 0;
        while let Some(byte) = rest.get(length).filter(|byte| !byte.is_ascii_whitespace()) {
            length += if *byte == b'"' { quoted_length(&rest[length..]).ok_or(LineError::Unclosed)? } else { bare_length(&rest[length..]) };
        }
        let (word, after) = rest.split_at(length);
        words.push(Word(word.to_vec()));
        rest = after.trim_ascii_start();
    }
    Ok(words)
}

/// Reads a line.
pub fn parse(line: &[u8]) -> Result<Line, LineError> {
    if line.trim_ascii_start().starts_with(b"#") {
        return Ok(Line::Nothing);
    }
    let mut words = words(line)?.into_iter();
    let Some(command) = words.next() else { return Ok(Line::Nothing) };
    let rest: Vec<Word> = words.collect();
    let none = |line| no_more(&rest, 0).map(|()| line);
    let one = |what| rest.first().ok_or(LineError::Missing(what)).and_then(|word| no_more(&rest, 1).map(|()| word.clone()));
    let some = |what| if rest.is_empty() { Err(LineError::Missing(what)) } else { Ok(rest.clone()) };
    Ok(match &command.0[..] {
        b"listhost" => none(Line::ListHost)?,
        b"listdisk" => no_more(&rest, 1).map(|()| Line::ListDisk)?,
        b"sethost" => Line::SetHost(one("sethost HOST")?.plain()?),
        b"setdisk" => {
            no_more(&rest, 2)?;
            let disk = rest.first().ok_or(LineError::Missing("setdisk DISK [MOUNTPOINT]"))?.plain()?;
            Line::SetDisk(disk, rest.get(1).map(Word::plain).transpose()?)
        }
        b"setdate" => {
            let text = some("setdate TIME")?.iter().map(Word::plain).collect::<Result<Vec<_>, _>>()?.join(&b' ');
            Line::SetDate(String::from_utf8_lossy(&text).into_owned())
        }
        b"cd" => Line::Cd(one("cd DIR")?),
        b"cdx" => Line::Cdx(one("cdx EXPRESSION")?),
        b"pwd" => none(Line::Pwd)?,
        b"ls" => none(Line::Ls)?,
        b"lcd" => Line::Lcd(one("lcd DIR")?.plain()?),
        b"lpwd" => none(Line::Lpwd)?,
        b"add" => Line::Add(some("add PATH …")?),
        b"addx" => Line::Addx(some("addx EXPRESSION …")?),
        b"delete" => Line::Delete(some("delete PATH …")?),
        b"deletex" => Line::Deletex(some("deletex EXPRESSION …")?),
        b"list" => no_more(&rest, 1).and_then(|()| rest.first().map(Word::plain).transpose()).map(Line::List)?,
        b"clear" => none(Line::Clear)?,
        b"history" => none(Line::History)?,
        b"extract" => none(Line::Extract)?,
        b"help" | b"?" => none(Line::Help)?,
        b"quit" | b"exit" => none(Line::Quit)?,
        b"settape" => Line::Needless("settape"),
        b"setdevice" => Line::Needless("setdevice"),
        b"setmode" => Line::Needless("setmode"),
        b"mode" => Line::Needless("mode"),
        b"settranslate" => Line::Needless("settranslate"),
        b"setproperty" => Line::Needless("setproperty"),
        b"listproperty" => Line::Needless("listproperty"),
        b"storage" => Line::Needless("storage"),
        _ => return Err(LineError::Command(command.shown())),
    })
}

fn no_more(words: &[Word], most: usize) -> Result<(), LineError> {
    words.get(most).map_or(Ok(()), |word| Err(LineError::Invalid(word.shown())))
}

/// The commands, for completion.
pub const COMMANDS: [&str; 23] = [
    "add", "addx", "cd", "cdx", "clear", "delete", "deletex", "exit", "extract", "help", "history", "lcd", "list", "listdisk", "listhost",
    "lpwd", "ls", "pwd", "quit", "setdate", "setdisk", "sethost", "?",
];

/// What `help` says.
pub const HELP: &str = "\
valid commands are:

add path1 ...     - add to extraction list (shell wildcards)
addx path1 ...    - add to extraction list (regular expressions)
cd directory      - change cwd on virtual file system (shell wildcards)
cdx directory     - change cwd on virtual file system (regular expression)
clear             - clear extraction list
delete path1 ...  - delete from extraction list (shell wildcards)
deletex path1 ... - delete from extraction list (regular expressions)
extract           - extract selected files into the local working directory
exit, quit        - leave
help, ?           - this list
history           - list the dumps of the disk
lcd directory     - change the local working directory
list [filename]   - display extraction list, or write it into a file
listdisk          - list the disks of the host
listhost          - list the hosts
lpwd              - show the local working directory
ls                - list directory on virtual file system
pwd               - show cwd on virtual file system
setdate time      - YYYY-MM-DD, --MM-DD, ---DD, YYYY-MM-DD-HH-MM-SS, yesterday, 3 days ago, a datestamp
setdisk diskname [mountpoint] - select disk on dump host
sethost host      - select dump host";

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Word {
        Word(text.as_bytes().to_vec())
    }

    #[test]
    fn amrecovers_own_lines_are_understood() {
        for (line, expected) in [
            ("sethost server", Line::SetHost(b"server".to_vec())),
            ("setdisk /etc", Line::SetDisk(b"/etc".to_vec(), None)),
            ("setdisk sda1 \"/mnt/my disk\"", Line::SetDisk(b"sda1".to_vec(), Some(b"/mnt/my disk".to_vec()))),
            ("lcd /etc", Line::Lcd(b"/etc".to_vec())),
            ("add hosts\r", Line::Add(vec![word("hosts")])),
            ("extract", Line::Extract),
            ("quit", Line::Quit),
            ("  exit  ", Line::Quit),
            ("?", Line::Help),
            ("list", Line::List(None)),
            ("setdate 3 days ago", Line::SetDate("3 days ago".to_owned())),
            ("settape 10.0.0.1:file:/x", Line::Needless("settape")),
            ("", Line::Nothing),
            ("# the hosts", Line::Nothing),
        ] {
            assert_eq!(parse(line.as_bytes()), Ok(expected), "{line:?}");
        }
    }

    #[test]
    fn what_is_no_line_is_said() {
        for (line, words) in [
            ("frobnicate it", "Invalid command: frobnicate"),
            ("\u{1b}[2J", "Invalid command: \\x1b[2J"),
            ("add", "Argument required: add PATH …"),
            ("setdisk", "Argument required: setdisk DISK [MOUNTPOINT]"),
            ("pwd x", "Invalid argument: x"),
            ("cd a b", "Invalid argument: b"),
            ("add \"a b", "Unterminated quoted string"),
            ("lcd \"\\777\"", "Invalid argument: the octal escape is not a byte of a name"),
        ] {
            assert_eq!(parse(line.as_bytes()).expect_err(line).to_string(), words);
        }
    }

    #[test]
    fn words_are_quoted_as_amrecover_has_them_and_patterns_keep_their_backslashes() {
        for (text, plain, pattern, expression) in [
            ("\"a b\"", "a b", "a b", "a b"),
            (r#""tab\t\101""#, "tab\tA", "tab\tA", r"tab\t\101"),
            (r"a\ b", "a b", r"a\ b", r"a\ b"),
            (r".*\.c", ".*.c", r".*\.c", r".*\.c"),
            (r#""say \"hi\"""#, "say \"hi\"", "say \"hi\"", "say \"hi\""),
            (r#"a"b c"d"#, "ab cd", "ab cd", "ab cd"),
        ] {
            let words = words(text.as_bytes()).expect("words");
            assert_eq!(words.len(), 1, "{text:?}");
            let of = |bytes: Result<Vec<u8>, LineError>| String::from_utf8(bytes.expect("good")).expect("text");
            let seen = (of(words[0].plain()), of(words[0].pattern()), of(words[0].expression()));
            assert_eq!(seen, (plain.to_owned(), pattern.to_owned(), expression.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn any_bytes_are_a_line_or_an_error() {
        for line in [&b"\xff\xfe"[..], b"add \xff", b"\\", b"add \\", b"\"", b"add \"\\\"", b"add a\\", b"\0"] {
            let parsed = parse(line);
            if let Ok(Line::Add(words)) = parsed {
                let _ = (words[0].plain(), words[0].pattern(), words[0].expression());
            }
        }
        let Ok(Line::Add(words)) = parse(b"add \xff\"\xfe\"") else { panic!("a line") };
        assert_eq!(words[0].pattern(), Ok(b"\xff\xfe".to_vec()));
    }
}
