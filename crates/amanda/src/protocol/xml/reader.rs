//! From text to elements.

use super::{Element, MAX_DEPTH, MAX_ELEMENTS, XmlError, XmlFault, base64};

/// Reads elements that stand side by side, with blanks between them.
///
/// # Errors
/// At the first thing that Amanda's programs would not write.
pub fn parse(text: &[u8]) -> Result<Vec<Element>, XmlError> {
    Reader { text, at: 0, elements: 0 }.siblings()
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    elements: usize,
}

/// An element whose end has not come yet.
struct Open {
    element: Element,
    raw: Option<Vec<u8>>,
}

impl Reader<'_> {
    fn siblings(mut self) -> Result<Vec<Element>, XmlError> {
        let mut done = Vec::new();
        let mut open: Vec<Open> = Vec::new();
        while self.at < self.text.len() {
            if self.text[self.at] != b'<' {
                let text = self.characters()?;
                match open.last_mut() {
                    _ if text.trim_ascii().is_empty() => {}
                    // Amanda would let the second text replace the first one, or not, after the element.
                    Some(inner) if inner.element.text.is_empty() => inner.element.text = text.trim_ascii_end().to_vec(),
                    Some(_) => return self.fail(XmlFault::Text),
                    None => return self.fail(XmlFault::Loose),
                }
                continue;
            }
            self.at += 1;
            if self.eat(b'/') {
                let name = self.name()?;
                self.blanks();
                if !self.eat(b'>') {
                    return self.fail(XmlFault::Tag);
                }
                let Some(Open { mut element, raw }) = open.pop().filter(|inner| inner.element.name == name) else {
                    return self.fail(XmlFault::Mismatch);
                };
                if let Some(raw) = raw {
                    element.text = raw;
                }
                open.last_mut().map_or(&mut done, |outer| &mut outer.element.children).push(element);
            } else {
                let begun = self.start()?;
                if open.len() == MAX_DEPTH {
                    return self.fail(XmlFault::Deep);
                }
                self.elements += 1;
                if self.elements > MAX_ELEMENTS {
                    return self.fail(XmlFault::Many);
                }
                open.push(begun);
            }
        }
        if open.is_empty() { Ok(done) } else { self.fail(XmlFault::Cut) }
    }

    fn fail<T>(&self, what: XmlFault) -> Result<T, XmlError> {
        Err(XmlError { what, at: self.at })
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn blanks(&mut self) -> bool {
        let start = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.at > start
    }

    fn name(&mut self) -> Result<String, XmlError> {
        let rest = &self.text[self.at..];
        let length = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')).count();
        if !(1..=64).contains(&length) {
            return self.fail(XmlFault::Tag);
        }
        let name = rest[..length].iter().map(|&byte| char::from(byte)).collect();
        self.at += length;
        Ok(name)
    }

    /// Reads a start tag behind its `<`.
    fn start(&mut self) -> Result<Open, XmlError> {
        let name = self.name()?;
        let (mut encoding, mut raw) = (false, None);
        loop {
            let blank = self.blanks();
            if self.eat(b'>') {
                break;
            }
            if !blank {
                return self.fail(XmlFault::Tag);
            }
            let attribute = self.name()?;
            if !self.eat(b'=') || !self.eat(b'"') {
                return self.fail(XmlFault::Attribute);
            }
            let rest = &self.text[self.at..];
            let Some(length) = memchr::memchr(b'"', rest) else { return self.fail(XmlFault::Cut) };
            let value = &rest[..length];
            match attribute.as_str() {
                "encoding" if !encoding && value == b"raw" => encoding = true,
                "raw" if raw.is_none() => {
                    let value = base64::decode(value).filter(|value| !value.contains(&0));
                    raw = Some(value.map_or_else(|| self.fail(XmlFault::Raw), Ok)?);
                }
                _ => return self.fail(XmlFault::Attribute),
            }
            self.at += length + 1;
        }
        // Amanda takes either alone, and its programs write both.
        if encoding != raw.is_some() {
            return self.fail(XmlFault::Attribute);
        }
        Ok(Open { element: Element { name, ..Element::default() }, raw })
    }

    /// Reads text up to the next tag.
    fn characters(&mut self) -> Result<Vec<u8>, XmlError> {
        let rest = &self.text[self.at..];
        let length = memchr::memchr(b'<', rest).unwrap_or(rest.len());
        let coded = &rest[..length];
        // Amanda puts every control character into base64, except for 127.
        let is_control = |byte: &u8| *byte < b' ' && !byte.is_ascii_whitespace();
        if std::str::from_utf8(coded).is_err() || coded.iter().any(is_control) {
            return self.fail(XmlFault::Text);
        }
        let mut text = Vec::with_capacity(length);
        let mut rest = coded;
        while let Some(start) = memchr::memchr(b'&', rest) {
            text.extend(&rest[..start]);
            let reference = &rest[start + 1..];
            let Some((character, length)) = resolve(reference) else { return self.fail(XmlFault::Reference) };
            text.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &reference[length..];
        }
        text.extend(rest);
        self.at += length;
        Ok(text)
    }
}

/// Resolves a reference behind its `&`, and says how long it is with its `;`.
fn resolve(text: &[u8]) -> Option<(char, usize)> {
    let end = memchr::memchr(b';', &text[..text.len().min(12)])?;
    let character = match &text[..end] {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"quot" => '"',
        b"apos" => '\'',
        [b'#', number @ ..] => {
            let (digits, radix) = match number {
                [b'x', digits @ ..] => (digits, 16),
                digits => (digits, 10),
            };
            let value = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|digit| digit.is_ascii_alphanumeric()))?;
            char::from_u32(u32::from_str_radix(value, radix).ok()?).filter(|&character| character != '\0')?
        }
        _ => return None,
    };
    Some((character, end + 1))
}
