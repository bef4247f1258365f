//! `check`'s look at the client that would answer the server's Amanda, before any session.

use wire::Exit;

use super::served;
use crate::client::{self, Kind, Rules};
use crate::config::Config;
use crate::report::{Problem, show};

/// What was found in order, and what a person should know or do about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    pub detail: String,
    pub hint: String,
}

/// Says who answers.
pub fn look(config: &Config) -> Result<Found, Problem> {
    answers(&served::rules(config, None))
}

fn answers(rules: &Rules) -> Result<Found, Problem> {
    match &rules.kind {
        Kind::Native => {
            let tar = tar(rules)?;
            Ok(Found { detail: format!("the one in this program, with {tar}"), hint: String::new() })
        }
        Kind::Amandad { program, user, .. } => {
            nix::unistd::access(program, nix::unistd::AccessFlags::X_OK).map_err(|error| {
                Problem::new(Exit::Config, format!("{} cannot be run", program.display()))
                    .because(error.desc())
                    .hint("install amanda-client, or correct `amandad` in agent.toml, or take client = \"amandad\" away")
            })?;
            Ok(Found {
                // Only root can become somebody else.
                detail: match nix::unistd::geteuid().is_root() {
                    true => format!("{}, as {}", program.display(), show(user)),
                    false => program.display().to_string(),
                },
                hint: "the server's dumptypes choose the programs and scripts that amandad runs here: with client = \"amandad\" the server is \
                       trusted with everything that amandad may do; client = \"native\" runs only what agent.toml lists"
                    .to_owned(),
            })
        }
    }
}

/// Returns the tar that dumps are made with.
pub fn tar(rules: &Rules) -> Result<String, Problem> {
    client::tar(rules).map_err(|refusal| {
        Problem::new(Exit::Config, "GNU tar is not installed, or cannot be run")
            .because(refusal.to_string())
            .hint("install tar; when it is elsewhere, name it in agent.toml: programs = [\"/usr/bin/tar\", …]")
    })
}

/// Says what it means that agent.toml lists no disk; none when it does.
pub fn no_disks(config: &Config) -> Option<Found> {
    config.disks.is_empty().then(|| Found {
        detail: "agent.toml has no [[disk]]: a server that reaches this laptop through its session (reach = \"tunnel\") will find no disk served"
            .to_owned(),
        hint: "add each disk that the server's disklist has for this laptop:\n             [[disk]]\n             path = \"/home\"".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(programs: &[&str], kind: Kind) -> Rules {
        Rules { host: None, config: None, disks: Vec::new(), programs: programs.iter().map(Into::into).collect(), kind }
    }

    #[test]
    fn the_client_in_this_program_needs_a_gnu_tar() {
        let found = answers(&rules(&["/usr/bin/gzip", "/usr/bin/tar"], Kind::Native)).expect("a tar");
        assert!(found.detail.ends_with("with /usr/bin/tar") && found.hint.is_empty(), "{found:?}");
        let dir = tempfile::tempdir().expect("a directory");
        let other = dir.path().join("tar");
        std::os::unix::fs::symlink("/bin/true", &other).expect("ours");
        for (programs, because) in [
            (&[][..], "no tar may be run here"),
            (&["/usr/bin/gzip"], "no tar may be run here"),
            (&[other.to_str().expect("text")], "is not GNU tar"),
        ] {
            let problem = answers(&rules(programs, Kind::Native)).expect_err("no tar");
            assert!(problem.what.starts_with("GNU tar is not installed"), "{problem:?}");
            assert!(problem.exit == Exit::Config && problem.because.contains(because), "{problem:?}");
        }
    }

    #[test]
    fn the_installed_one_is_trust_and_must_be_there() {
        let kind = |program: &str| Kind::Amandad {
            program: program.into(),
            gnutar_lists: "/lists".into(),
            amandates: "/amandates".into(),
            user: "backup".to_owned(),
        };
        let found = answers(&rules(&[], kind("/bin/true"))).expect("it is there");
        assert!(found.detail.starts_with("/bin/true") && found.hint.contains("trusted with everything"), "{found:?}");
        let problem = answers(&rules(&[], kind("/none/amandad"))).expect_err("it is not there");
        assert!(problem.exit == Exit::Config && problem.what.contains("/none/amandad"), "{problem:?}");
    }
}
