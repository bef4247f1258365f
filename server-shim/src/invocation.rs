//! What the other end of the ssh session asked for, from `SSH_ORIGINAL_COMMAND`: a closed grammar, no shell.
//!
//! ```text
//! request = "asyncamanda-agent 1"                              an agent; frames follow
//!         | amdump SP config *( SP host ) [ " # asyncamanda-agent 1" ]
//! amdump  = "amdump" | "/" path "/amdump"
//! ```
//!
//! The second form is what the Perl script's users have in their anacrontab. With the marker behind it an agent of ours
//! says that it can read frames; without, an old client reads plain text.

use wire::request::{AGENT, MARKER, words};
use wire::{ConfigName, HostName};

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// An agent of ours: frames follow.
    Agent,
    /// An old client's amdump.
    Amdump {
        /// The config it names.
        config: ConfigName,
        /// The hosts it names.
        hosts: Vec<HostName>,
        /// It can read frames.
        frames: bool,
    },
}

/// Why a request is not one. The text of the request is never part of the words: it is the peer's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// An interactive login.
    #[error("this key asks for backups; it opens no shell")]
    Nothing,
    /// Longer than any request.
    #[error("the request is longer than {MAX_REQUEST} bytes")]
    TooLong,
    /// A character that no request has.
    #[error("the request has characters that no request has (a quote, a semicolon, a newline or the like)")]
    Characters,
    /// Some other program.
    #[error("the request is neither an agent's nor an amdump")]
    UnknownProgram,
    /// An option of amdump's.
    #[error("options of amdump are the server's to choose")]
    Option,
    /// No config.
    #[error("the amdump request names no config")]
    NoConfig,
    /// A name outside the grammar.
    #[error("the amdump request has a name that is none: {0}")]
    Name(#[from] wire::NameError),
}

/// The longest request: a full path, a config and some hosts.
pub const MAX_REQUEST: usize = 1024;

/// Reads `SSH_ORIGINAL_COMMAND`; none is an interactive login.
pub fn parse(original: Option<&str>) -> Result<Request, RequestError> {
    let text = original.filter(|text| !text.is_empty()).ok_or(RequestError::Nothing)?;
    if text.len() > MAX_REQUEST {
        return Err(RequestError::TooLong);
    }
    if text == AGENT {
        return Ok(Request::Agent);
    }
    let (line, frames) = text.strip_suffix(MARKER).map_or((text, false), |line| (line, true));
    let words = words(line).ok_or(RequestError::Characters)?;
    let (program, arguments) = words.split_first().ok_or(RequestError::Nothing)?;
    let is_amdump = *program == "amdump" || (program.starts_with('/') && program.ends_with("/amdump"));
    if !is_amdump {
        return Err(RequestError::UnknownProgram);
    }
    if arguments.iter().any(|word| word.starts_with('-')) {
        return Err(RequestError::Option);
    }
    let (config, hosts) = arguments.split_first().ok_or(RequestError::NoConfig)?;
    Ok(Request::Amdump { config: config.parse()?, hosts: hosts.iter().map(|host| host.parse()).collect::<Result<_, _>>()?, frames })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_agent_and_an_old_client_are_understood() {
        assert_eq!(parse(Some("asyncamanda-agent 1")), Ok(Request::Agent));
        let daily = |hosts: &[&str], frames| {
            Ok(Request::Amdump {
                config: "daily".parse().expect("name"),
                hosts: hosts.iter().map(|host| host.parse().expect("name")).collect(),
                frames,
            })
        };
        assert_eq!(parse(Some("/usr/sbin/amdump daily")), daily(&[], false));
        assert_eq!(parse(Some("amdump daily laptop1")), daily(&["laptop1"], false));
        assert_eq!(parse(Some("/usr/sbin/amdump daily # asyncamanda-agent 1")), daily(&[], true));
    }

    #[test]
    fn everything_else_is_refused() {
        for (request, why) in [
            (None, RequestError::Nothing),
            (Some(""), RequestError::Nothing),
            (Some("/usr/sbin/amdump daily; rm -rf /"), RequestError::Characters),
            (Some("/usr/sbin/amdump $(reboot)"), RequestError::Characters),
            (Some("/usr/sbin/amdump daily\nlaptop2"), RequestError::Characters),
            (Some("/usr/sbin/amdump daily `id`"), RequestError::Characters),
            (Some("/usr/sbin/amdump daily # something else"), RequestError::Characters),
            (Some("/usr/sbin/amdump  daily"), RequestError::Characters),
            (Some("/bin/sh"), RequestError::UnknownProgram),
            (Some("evil/amdump daily"), RequestError::UnknownProgram),
            (Some("/usr/sbin/amdump"), RequestError::NoConfig),
            (Some("/usr/sbin/amdump --no-taper daily"), RequestError::Option),
            (Some("/usr/sbin/amdump daily -oreserve=0"), RequestError::Option),
            (Some("asyncamanda-agent 2"), RequestError::UnknownProgram),
        ] {
            assert_eq!(parse(request), Err(why), "{request:?}");
        }
        assert!(matches!(parse(Some("/usr/sbin/amdump ../daily")), Err(RequestError::Name(_))));
        assert_eq!(parse(Some(&"x".repeat(2000))), Err(RequestError::TooLong));
    }

    proptest! {
        #[test]
        fn no_request_panics(text in ".{0,200}") {
            let _ = parse(Some(&text));
        }

        #[test]
        fn what_is_understood_has_only_names(text in "(/usr/sbin/)?amdump( [ -~]{1,12}){0,4}") {
            if let Ok(Request::Amdump { config, hosts, .. }) = parse(Some(&text)) {
                prop_assert!(!config.as_str().starts_with(['-', '.', '/']));
                prop_assert!(hosts.iter().all(|host| !host.as_str().contains(['/', ' ', ';'])));
            }
        }
    }
}
