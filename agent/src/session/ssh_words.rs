//! Reads what ssh says when no connection comes about. Its twin, [`ssh`](super::ssh), starts it.
//!
//! ssh ends with 255 whatever happened; its words are all there is. Every line met in the field stands in the table of
//! the tests, taken from OpenSSH 9.2.

/// What kept ssh from connecting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SshFailure {
    /// The name means nothing here: often no network at all.
    Resolve,
    /// No way there, nobody answered in time, or nobody listens.
    Unreachable,
    /// Somebody listened, and hung up before saying who he is.
    HungUp,
    /// The server does not know our key.
    KeyRefused,
    /// The server shows another host key than the pinned one.
    HostKeyChanged,
    /// No host key is pinned for this server.
    HostKeyUnknown,
    /// The host key is marked as revoked.
    HostKeyRevoked,
    /// Our private key cannot be used.
    BadIdentity,
    /// The two have no algorithm in common.
    NoAlgorithm,
    /// ssh does not like its configuration.
    BadConfiguration,
    /// Words that we do not know.
    Other,
}

/// Returns what happened, and the line that says so, fit for a terminal.
///
/// The first rule that matches wins: a changed host key is reported with a dozen lines of which several would match
/// others, and an unusable identity file ends in "Permission denied" too.
pub fn read(log: &str) -> (SshFailure, String) {
    use SshFailure as F;
    const RULES: &[(&str, SshFailure)] = &[
        ("Bad configuration option", F::BadConfiguration),
        ("Can't open user config file", F::BadConfiguration),
        ("Bad owner or permissions on", F::BadConfiguration),
        ("marked as revoked", F::HostKeyRevoked),
        ("REMOTE HOST IDENTIFICATION HAS CHANGED", F::HostKeyChanged),
        ("host key is known for", F::HostKeyUnknown),
        ("Host key verification failed", F::HostKeyUnknown),
        ("are too open", F::BadIdentity),
        ("Load key", F::BadIdentity),
        ("no such identity", F::BadIdentity),
        ("Permission denied (", F::KeyRefused),
        ("Too many authentication failures", F::KeyRefused),
        ("Unable to negotiate with", F::NoAlgorithm),
        ("Could not resolve hostname", F::Resolve),
        ("Connection timed out", F::Unreachable),
        ("Operation timed out", F::Unreachable),
        ("Connection refused", F::Unreachable),
        ("Network is unreachable", F::Unreachable),
        ("No route to host", F::Unreachable),
        ("Host is down", F::Unreachable),
        ("Cannot assign requested address", F::Unreachable),
        ("timed out", F::Unreachable),
        ("kex_exchange_identification", F::HungUp),
        ("Connection closed by", F::HungUp),
        ("Connection reset by", F::HungUp),
        ("ssh_dispatch_run_fatal", F::HungUp),
        ("Broken pipe", F::HungUp),
    ];
    let lines = || log.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('@'));
    for (part, failure) in RULES {
        if let Some(line) = log.lines().map(str::trim).find(|line| line.contains(part)) {
            // The banner of a changed key is no sentence; ssh's last word on it is.
            let line = if line.starts_with('@') { lines().find(|line| line.contains("strict checking")).unwrap_or(line) } else { line };
            return (*failure, tidy(line));
        }
    }
    (F::Other, lines().next_back().map_or_else(|| "ssh gave no reason".to_owned(), tidy))
}

fn tidy(line: &str) -> String {
    let line = line.strip_prefix("ssh: ").unwrap_or(line);
    amanda::escape::printable(line.trim_end_matches('.').as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_met_in_the_field_has_its_meaning() {
        use SshFailure as F;
        const CHANGED: &str = "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\r\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\r\nIT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\r\nThe fingerprint for the ED25519 key sent by the remote host is\nSHA256:Cu/EIiyyPrcPoE5cOKbD2MY5UhNQ1WzLQDRpZBX9fE4.\r\nHost key for [127.0.0.1]:20222 has changed and you have requested strict checking.\r\nHost key verification failed.\r\n";
        const OPEN: &str = "@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @\r\nPermissions 0644 for '/k' are too open.\r\nThis private key will be ignored.\r\nLoad key \"/k\": bad permissions\r\nroot@127.0.0.1: Permission denied (publickey).\r\n";
        for (log, failure, line) in [
            (
                "ssh: connect to host 127.0.0.1 port 20223: Connection refused\r\n",
                F::Unreachable,
                "connect to host 127.0.0.1 port 20223: Connection refused",
            ),
            (
                "ssh: connect to host 10.9.9.9 port 22: Connection timed out\r\n",
                F::Unreachable,
                "connect to host 10.9.9.9 port 22: Connection timed out",
            ),
            (
                "ssh: connect to host 10.9.9.9 port 22: No route to host\r\n",
                F::Unreachable,
                "connect to host 10.9.9.9 port 22: No route to host",
            ),
            (
                "ssh: connect to host ::1 port 22: Network is unreachable\r\n",
                F::Unreachable,
                "connect to host ::1 port 22: Network is unreachable",
            ),
            (
                "ssh: Could not resolve hostname no.such.host.invalid: Name or service not known\r\n",
                F::Resolve,
                "Could not resolve hostname no.such.host.invalid: Name or service not known",
            ),
            (
                "Connection timed out during banner exchange\r\nConnection to 127.0.0.1 port 20224 timed out\r\n",
                F::Unreachable,
                "Connection timed out during banner exchange",
            ),
            (
                "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by 127.0.0.1 port 20225\r\n",
                F::HungUp,
                "kex_exchange_identification: Connection closed by remote host",
            ),
            (
                "kex_exchange_identification: read: Connection reset by peer\r\nConnection reset by 127.0.0.1 port 20225\r\n",
                F::HungUp,
                "kex_exchange_identification: read: Connection reset by peer",
            ),
            (
                "root@127.0.0.1: Permission denied (publickey,password,keyboard-interactive).\r\n",
                F::KeyRefused,
                "root@127.0.0.1: Permission denied (publickey,password,keyboard-interactive)",
            ),
            (CHANGED, F::HostKeyChanged, "Host key for [127.0.0.1]:20222 has changed and you have requested strict checking"),
            (
                "No ED25519 host key is known for [127.0.0.1]:20222 and you have requested strict checking.\r\nHost key verification failed.\r\n",
                F::HostKeyUnknown,
                "No ED25519 host key is known for [127.0.0.1]:20222 and you have requested strict checking",
            ),
            (
                "The ED25519 host key for [127.0.0.1]:20222 is marked as revoked.\r\nHost key verification failed.\r\n",
                F::HostKeyRevoked,
                "The ED25519 host key for [127.0.0.1]:20222 is marked as revoked",
            ),
            (
                "no such identity: /k: No such file or directory\r\nroot@127.0.0.1: Permission denied (publickey).\r\n",
                F::BadIdentity,
                "no such identity: /k: No such file or directory",
            ),
            (OPEN, F::BadIdentity, "Permissions 0644 for '/k' are too open"),
            (
                "Load key \"/k\": error in libcrypto\r\nroot@127.0.0.1: Permission denied (publickey).\r\n",
                F::BadIdentity,
                "Load key \"/k\": error in libcrypto",
            ),
            (
                "conf: line 9: Bad configuration option: nonsense\r\nconf: terminating, 1 bad configuration options\r\n",
                F::BadConfiguration,
                "conf: line 9: Bad configuration option: nonsense",
            ),
            (
                "Unable to negotiate with 127.0.0.1 port 22: no matching key exchange method found. Their offer: x\r\n",
                F::NoAlgorithm,
                "Unable to negotiate with 127.0.0.1 port 22: no matching key exchange method found. Their offer: x",
            ),
            ("", F::Other, "ssh gave no reason"),
            ("something \u{1b}[2J new", F::Other, "something \\x1b[2J new"),
        ] {
            assert_eq!(read(log), (failure, line.to_owned()), "{log:?}");
        }
    }
}
