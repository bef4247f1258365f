//! The output of `amgetconf CONFIG NAME`: one value on one line (`val_t_display_strs` in common-src/conffile.c).
//!
//! Most strings come bare, some (`labelstr`) in quotation marks; lists come as several words.

use crate::quoting;

/// Returns the value as bytes, without its newline and its quotation marks. A value that cannot be unquoted is
/// returned as it stands.
#[must_use]
pub fn value(output: &[u8]) -> Vec<u8> {
    let output = output.trim_ascii();
    let quoted = output.len() >= 2 && output.starts_with(b"\"") && output.ends_with(b"\"");
    let unquoted = if quoted { quoting::unquote(output).ok() } else { None };
    unquoted.unwrap_or_else(|| output.to_vec())
}

/// Returns a yes or no; `None` when the value is neither (`all` among them).
#[must_use]
pub fn boolean(output: &[u8]) -> Option<bool> {
    match output.trim_ascii() {
        b"yes" => Some(true),
        b"no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_bare_and_quoted() {
        for (output, expected) in [
            ("/srv/aafx/fx1/info\n", "/srv/aafx/fx1/info"),
            ("\"^fx1-[0-9][0-9]*$\"\n", "^fx1-[0-9][0-9]*$"),
            ("\"\"\n", ""),
            ("\n", ""),
            ("SAME-HOST \n", "SAME-HOST"),
            ("\"a\" \"b\\\n", "\"a\" \"b\\"),
        ] {
            assert_eq!(value(output.as_bytes()), expected.as_bytes(), "{output:?}");
        }
    }

    #[test]
    fn only_yes_and_no_are_booleans() {
        assert_eq!(boolean(b"yes\n"), Some(true));
        assert_eq!(boolean(b"no\n"), Some(false));
        assert_eq!(boolean(b"all\n"), None);
        assert_eq!(boolean(b""), None);
    }
}
