//! The one line that ssh carries: what the agent asks the forced command for (`SSH_ORIGINAL_COMMAND`).
//!
//! An agent with a configuration file says [`AGENT`]. The Perl script's own command line sends its amdump as it always
//! did, with [`MARKER`] behind it: a shell reads a comment and runs amdump, our shim reads "I speak the protocol".

/// What an agent says that knows there is a shim.
pub const AGENT: &str = "asyncamanda-agent 1";

/// What stands behind an amdump command line of an agent that can talk to a shim, if there is one.
pub const MARKER: &str = " # asyncamanda-agent 1";

/// Returns the command with the marker, when it is plain enough for a shell to read the marker as a comment: words of
/// harmless characters with single spaces. Anything else goes as it is, and a shim will not be recognised behind it.
pub fn marked(command: &str) -> Option<String> {
    words(command).map(|_| format!("{command}{MARKER}"))
}

/// Splits a command into words when every character is one that no shell reads as more than itself.
pub fn words(command: &str) -> Option<Vec<&str>> {
    let harmless = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-=:@+,%".contains(&byte));
    let words: Vec<&str> = command.split(' ').collect();
    words.iter().all(|word| harmless(word)).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_command_gets_the_marker() {
        assert_eq!(marked("/usr/sbin/amdump daily").as_deref(), Some("/usr/sbin/amdump daily # asyncamanda-agent 1"));
        for odd in [
            "",
            "amdump daily; rm x",
            "amdump \"my config\"",
            "amdump daily \\",
            "amdump  daily",
            "amdump\ndaily",
            "amdump $(id)",
            "cat <<EOF",
        ] {
            assert_eq!(marked(odd), None, "{odd:?}");
        }
    }
}
