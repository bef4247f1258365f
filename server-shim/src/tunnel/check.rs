//! What would keep Amanda from finding the tunnel, and how to mend it.

use std::process::Command;
use std::time::Duration;

use amanda::admin::DiskEntry;
use wire::HostName;

use super::listener::MAX_PATH;
use crate::child;
use crate::config::{Config, Reach};
use crate::engine::Finding;

/// How long ssh may take to say what its configuration comes to.
const PATIENCE: Duration = Duration::from_secs(30);

/// Looks at those of the hosts that are reached through their sessions. To be called as the dump user, whose ssh it is.
pub fn findings(config: &Config, entries: &[DiskEntry], hosts: &[HostName]) -> Vec<Finding> {
    let tunnelled = |host: &&HostName| config.hosts.get(*host).is_some_and(|rule| rule.reach == Reach::Tunnel);
    let mut found = Vec::new();
    for host in hosts.iter().filter(tunnelled) {
        found.extend(entries.iter().filter(|entry| entry.dle.host == host.as_str()).filter_map(|entry| auth(config, host, entry)));
        let path = config.layout().mux(host);
        let path = path.to_string_lossy();
        if path.len() > MAX_PATH {
            found.push(Finding::serious(
                format!("{path} is longer than the {MAX_PATH} bytes that ssh allows for a ControlPath"),
                "set a shorter `runtime` in shim.toml".to_owned(),
            ));
            continue;
        }
        let output = child::finish(&mut question(config, host), PATIENCE);
        found.extend(match output {
            Ok(output) if output.status.success() => ssh(host, &path, &String::from_utf8_lossy(&output.stdout)),
            Ok(output) => Some(Finding::serious(
                format!("{}'s ssh cannot read its configuration: {}", config.dump_user, String::from_utf8_lossy(&output.stderr).trim()),
                "mend what it names".to_owned(),
            )),
            Err(error) => Some(Finding::serious(format!("ssh cannot be run: {error}"), "install openssh-client".to_owned())),
        });
    }
    found
}

/// Asks ssh what its configuration comes to. Amanda's own options change nothing of what is looked at.
fn question(config: &Config, host: &HostName) -> Command {
    let mut ssh = Command::new("ssh");
    // `Match exec` is run by $SHELL, and that of the dump user is often one that nobody can use.
    ssh.args(["-G", "-l", &config.dump_user, host.as_str()]).current_dir("/").env("SHELL", "/bin/sh");
    ssh
}

fn auth(config: &Config, host: &HostName, entry: &DiskEntry) -> Option<Finding> {
    let auth = entry.auth();
    if auth.eq_ignore_ascii_case("ssh") {
        return None;
    }
    let disk = amanda::escape::printable(entry.dle.disk_bytes());
    Some(Finding::serious(
        format!("{host}:{disk} has auth \"{}\", so Amanda dials the laptop instead of using its session", auth.to_lowercase()),
        format!(
            "put `auth \"ssh\"` into its dumptype; or set reach = \"network\" in {} of {}, if Amanda can dial it",
            Config::heading(host),
            config.file.display()
        ),
    ))
}

/// Reads what `ssh -G` says: whether Amanda's ssh goes to the control socket, and only there.
fn ssh(host: &HostName, path: &str, output: &str) -> Option<Finding> {
    let value = |key: &str| output.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).unwrap_or("none");
    let (found, master) = (value("controlpath"), value("controlmaster"));
    if found != path {
        return Some(Finding::serious(
            format!("Amanda's ssh does not look for {host} at its control socket: its ControlPath is {found}, and not {path}"),
            "install packaging/ssh/asyncamanda.conf as /etc/ssh/ssh_config.d/asyncamanda.conf, with the same directory as `runtime` in shim.toml and Amanda's account behind localuser; earlier lines of ssh's configuration win".to_owned(),
        ));
    }
    if !matches!(master, "false" | "no") {
        return Some(Finding::serious(
            format!(
                "Amanda's ssh has ControlMaster {master} for {host}: when the laptop is not there it would wait or take the socket's place"
            ),
            "set `ControlMaster no` for it in ssh's configuration, before other lines do otherwise".to_owned(),
        ));
    }
    if !value("proxycommand").contains("tunnel absent") {
        return Some(Finding::minor(
            format!("Amanda's ssh dials {host} by itself when it is not connected, and its report then does not say why it failed"),
            "set the ProxyCommand of packaging/ssh/asyncamanda.conf for it",
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_is_asked_where_it_would_go() {
        const PATH: &str = "/run/asyncamanda/hosts/laptop1/mux";
        let host: HostName = "laptop1".parse().expect("name");
        let good =
            format!("user backup\ncontrolmaster false\ncontrolpath {PATH}\nproxycommand /usr/bin/asyncamanda-shim tunnel absent laptop1\n");
        for (output, verdict) in [
            (good.clone(), None),
            ("controlmaster false\n".to_owned(), Some((true, "ControlPath is none"))),
            (good.replace(PATH, "/tmp/x"), Some((true, "ControlPath is /tmp/x"))),
            (good.replace("controlmaster false", "controlmaster auto"), Some((true, "ControlMaster auto"))),
            (good.replace("proxycommand", "x"), Some((false, "dials laptop1 by itself"))),
        ] {
            let found = ssh(&host, PATH, &output);
            assert_eq!(found.is_some(), verdict.is_some(), "{output}: {found:?}");
            if let (Some(found), Some((serious, words))) = (found, verdict) {
                assert_eq!(found.serious, serious, "{found:?}");
                assert!(found.what.contains(words), "{found:?}");
            }
        }
    }

    #[test]
    fn ssh_is_asked_with_a_shell_that_can_be_used() {
        let config = crate::config::parse("").expect("valid");
        let ssh = question(&config, &"laptop1".parse().expect("name"));
        let shell = ssh.get_envs().find(|(name, _)| *name == "SHELL").and_then(|(_, value)| value);
        assert_eq!(shell, Some(std::ffi::OsStr::new("/bin/sh")));
    }

    #[test]
    fn only_hosts_behind_a_tunnel_need_auth_ssh() {
        let text = "[host.laptop1]\nconfig = \"a\"\n[host.desk1]\nconfig = \"a\"\nreach = \"network\"\n";
        let config = crate::config::parse(text).expect("valid");
        let entries = |auth: &str| {
            let text = format!(
                "line 1 (/etc/amanda/a/disklist):\n    host laptop1:\n        interface default\n    disk /home:\n        program \"GNUTAR\"\n        AUTH                \"{auth}\"\n        spindle -1\n\n"
            );
            amanda::admin::disklist::parse(text.as_bytes())
        };
        let host = "laptop1".parse().expect("name");
        assert_eq!(auth(&config, &host, &entries("SSH")[0]), None);
        assert_eq!(auth(&config, &host, &entries("ssh")[0]), None);
        let found = auth(&config, &host, &entries("BSDTCP")[0]).expect("found");
        assert!(found.what.contains("laptop1:/home has auth \"bsdtcp\""), "{found:?}");
        assert_eq!(findings(&config, &entries("BSDTCP"), &["desk1".parse().expect("name")]), []);
    }
}
