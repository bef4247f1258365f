//! From elements to text, as Amanda lays it out.

use super::base64;

/// Says whether a value stands in base64 (`amxml_format_tag`).
fn needs_raw(value: &[u8]) -> bool {
    value.iter().any(|&byte| is_awkward(byte))
}

fn is_awkward(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | 0x80.. | b'<' | b'>' | b'"' | b'&' | b'\\' | b'\'')
}

/// Writes a request's elements. Nothing but names of elements is passed in unescaped.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Writer {
    out: Vec<u8>,
    depth: usize,
}

impl Writer {
    /// Begins an element that has others in it, with text in front of them.
    pub fn open(&mut self, name: &str, text: &str) {
        self.indent();
        self.out.extend(format!("<{name}>{text}\n").into_bytes());
        self.depth += 1;
    }

    /// Ends an element that was begun with [`Self::open`].
    pub fn close(&mut self, name: &str) {
        self.depth -= 1;
        self.indent();
        self.out.extend(format!("</{name}>\n").into_bytes());
    }

    /// Writes an element with a value in it.
    pub fn value(&mut self, name: &str, value: &[u8]) {
        self.indent();
        self.out.extend(format!("<{name}").into_bytes());
        if needs_raw(value) {
            self.out.extend(format!(" encoding=\"raw\" raw=\"{}\"", base64::encode(value)).into_bytes());
        }
        self.out.push(b'>');
        self.out.extend(value.iter().map(|&byte| if is_awkward(byte) { b'_' } else { byte }));
        self.out.extend(format!("</{name}>\n").into_bytes());
    }

    /// Writes an element with a word of ours in it.
    pub fn word(&mut self, name: &str, word: &str) {
        self.indent();
        self.out.extend(format!("<{name}>{word}</{name}>\n").into_bytes());
    }

    /// Returns the text.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    fn indent(&mut self) {
        self.out.extend(std::iter::repeat_n(b' ', 2 * self.depth));
    }
}
