//! Connections that end before their time, in a sentence for people: what the server had asked for, and what went wrong.

use std::io;

use amanda::escape::printable;
use amanda::protocol::request::{Request, Service};
use amanda::protocol::token::TokenError;

use super::connection::words;

/// Why a connection ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// Reading failed.
    #[error("what the server says cannot be read")]
    Read(#[source] io::Error),
    /// The bytes are not Amanda's.
    #[error("what the server says is not Amanda's protocol, or was cut off")]
    Tokens(#[from] TokenError),
    /// The installed client failed.
    #[error("the installed amandad does not work")]
    Amandad(#[source] io::Error),
    /// The installed client says something else.
    #[error("what the installed amandad says is not Amanda's protocol, or was cut off")]
    AmandadsTokens(#[source] TokenError),
}

/// A connection that ended before its time. It reads as a whole sentence.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", opening(asked.as_ref()), words(why))]
pub struct ServeError {
    /// What the server asked for last.
    pub asked: Option<Asked>,
    /// What happened. It is in the sentence, with what is behind it.
    pub why: Why,
}

/// What a server asked for, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked(String);

impl Asked {
    /// Describes a request.
    pub fn of(request: &Request) -> Self {
        let disks = match request.dles.as_slice() {
            [] => "no disk".to_owned(),
            [one] => printable(&one.disk),
            [first, rest @ ..] => format!("{} and {} more", printable(&first.disk), rest.len()),
        };
        Self(match request.service {
            Service::Noop => "what this client can do".to_owned(),
            Service::Selfcheck => format!("a check of {disks}"),
            Service::Sendsize => format!("the size of {disks}"),
            Service::Sendbackup => {
                let level = request.dles.first().and_then(|dle| dle.levels.first()).map_or(0, |level| level.level);
                format!("a dump of {disks} at level {level}")
            }
        })
    }
}

fn opening(asked: Option<&Asked>) -> String {
    match asked {
        Some(Asked(what)) => format!("the server's Amanda asked for {what}, and then the connection broke"),
        None => "a connection of the server's Amanda broke before anything was asked for".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amanda::protocol::request::{DleRequest, Level, Options, Program};

    #[test]
    fn the_sentence_says_what_was_asked_for_and_what_went_wrong() {
        let dle = |disk| DleRequest { levels: vec![Level { level: 1, server: false }], ..DleRequest::of(Program::Gnutar, disk) };
        let asked = |service, dles| Some(Asked::of(&Request { service, options: Options::default(), dles }));
        let cut = || Why::Tokens(TokenError::Cut { missing: 3 });
        let lost = || Why::Amandad(io::Error::other("/x cannot be run"));
        for (asked, why, sentence) in [
            (
                asked(Service::Sendbackup, vec![dle("/home")]),
                cut(),
                "the server's Amanda asked for a dump of /home at level 1, and then the connection broke: what the server says is not \
                 Amanda's protocol, or was cut off: the connection ended 3 bytes short of a whole token",
            ),
            (
                asked(Service::Sendsize, vec![dle("/home"), dle("/srv\n"), dle("/")]),
                lost(),
                "the server's Amanda asked for the size of /home and 2 more, and then the connection broke: the installed amandad does not \
                 work: /x cannot be run",
            ),
            (
                None,
                lost(),
                "a connection of the server's Amanda broke before anything was asked for: the installed amandad does not work: /x cannot be run",
            ),
        ] {
            assert_eq!(ServeError { asked, why }.to_string(), sentence);
        }
        assert_eq!(asked(Service::Noop, vec![]), Some(Asked("what this client can do".to_owned())));
        assert_eq!(asked(Service::Selfcheck, vec![dle("a\nb")]), Some(Asked(format!("a check of {}", printable(b"a\nb")))));
    }
}
