//! The XML of Amanda's requests, and no more of it: elements, text, the five entities and character references, and
//! the attributes `encoding` and `raw` (common-src/amxml.c).
//!
//! A name that would be awkward in XML stands in `raw`, in base64, and the element's text is then only a likeness of
//! it. Amanda passes over text of blanks alone and cuts blanks off the end of other text; so do we. There are no
//! declarations, comments, processing instructions or CDATA: nothing that Amanda's programs write has them.

mod base64;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::parse;
pub(super) use writer::Writer;

/// The deepest element: a DLE's script's property's value is at 4.
pub const MAX_DEPTH: usize = 6;
/// Elements in one request. A host has tens of disks, and each of those tens of patterns.
pub const MAX_ELEMENTS: usize = 50_000;

/// An element and what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// Its name: letters, digits, `-` and `_`.
    pub name: String,
    /// Its text: decoded, without blanks at its end, or the value of `raw`.
    pub text: Vec<u8>,
    /// The elements in it, in order.
    pub children: Vec<Element>,
}

/// What is wrong with the XML, and where: the byte at which it was noticed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at} of the disks' description")]
pub struct XmlError {
    /// What is wrong.
    pub what: XmlFault,
    /// The offset.
    pub at: usize,
}

/// What can be wrong with the XML.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum XmlFault {
    /// Text where only elements may stand.
    #[error("text outside of any element")]
    Loose,
    /// Neither a name nor an end of an element.
    #[error("a tag that is none")]
    Tag,
    /// The end of another element.
    #[error("an end tag that ends another element")]
    Mismatch,
    /// Neither `encoding` nor `raw`, or one of them twice.
    #[error("an attribute that is not understood")]
    Attribute,
    /// Neither an entity nor a character.
    #[error("a reference to no character")]
    Reference,
    /// `raw` is not base64, or has a zero byte in it.
    #[error("a raw value that is none")]
    Raw,
    /// A control character, not UTF-8, or a second text in one element.
    #[error("text that is not text")]
    Text,
    /// Deeper than [`MAX_DEPTH`].
    #[error("an element that is too deep")]
    Deep,
    /// More than [`MAX_ELEMENTS`].
    #[error("too many elements")]
    Many,
    /// The end came too early.
    #[error("an element that is not ended")]
    Cut,
}
