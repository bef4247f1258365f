//! What an administrator types: the nightly run and the flush as orders to the runner, and the look at the configuration.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;
use std::time::Duration;

use nix::unistd::{Group, User};
use wire::{ConfigName, Exit, HostName};

use crate::child;
use crate::config::{Config, Door, EngineKind, Reach};
use crate::door;
use crate::durable;
use crate::engine::amanda::check::findings;
use crate::engine::amanda::programs::Programs;
use crate::engine::amanda::survey;
use crate::engine::{Finding, dumper};
use crate::office;
use crate::report::Words;
use crate::runner::order::{self, What};
use crate::runner::record::Settled;
use crate::runner::{clock, start};
use crate::tunnel;

/// How often a waiting command looks.
const LOOK: Duration = Duration::from_millis(200);

/// Orders a run or a flush, waits for it, and returns its lines. `only`: hosts and disks, as they were typed.
pub fn order(config: &Config, what: What, name: &ConfigName, only: &[OsString]) -> Result<(Exit, Vec<String>), Words> {
    start::become_dump_user(config)?;
    let layout = config.layout();
    let here = |error: io::Error| {
        Words::new(Exit::Failed, "the order cannot be placed")
            .because(format!("{}: {error}", layout.runner().display()))
            .hint("asyncamanda-shim check says what it must be like")
    };
    start::make_directories(&layout).map_err(here)?;
    let order = order::place(&layout, what, name, only, clock()).map_err(here)?;
    let mut next_look = 0.0;
    loop {
        if let Some(settled) = durable::read_json::<Settled>(&layout.order_result(&order.id)).map_err(here)? {
            return tell(&settled);
        }
        // The runner may have been killed; the order stays.
        if clock() > next_look && !door::runner_is_alive(config).unwrap_or(true) {
            start::spawn_background(config)
                .map_err(|error| Words::new(Exit::Failed, "the runner cannot be started").because(error.to_string()))?;
            next_look = clock() + 2.0;
        }
        std::thread::sleep(LOOK);
    }
}

fn tell(settled: &Settled) -> Result<(Exit, Vec<String>), Words> {
    if let Some(code) = settled.code {
        return Err(Words::new(code.exit(), settled.error.clone()).hint(settled.hint.clone()));
    }
    Ok((if settled.failed { Exit::Failed } else { Exit::Done }, settled.notes.clone()))
}

/// Looks for what would make a backup fail: accounts and directories, then each config that hosts belong to.
pub fn check(config: &Config, only: Option<&HostName>) -> Result<Vec<Finding>, Words> {
    let mut found = installation(config);
    if let Some(host) = only
        && !config.hosts.contains_key(host)
    {
        return Err(Words::new(Exit::Config, format!("there is no {} in {}", Config::heading(host), config.file.display()))
            .hint("add it, with the config that its dumps belong to"));
    }
    if config.hosts.is_empty() {
        found.push(Finding {
            serious: true,
            what: "no host may call".to_owned(),
            mend: format!("add [host.NAME] with `config = \"…\"` to {}", config.file.display()),
        });
    }
    if config.engine == EngineKind::None {
        found.push(Finding {
            serious: true,
            what: "engine = \"none\" makes no dumps".to_owned(),
            mend: "set engine = \"amanda\", or \"embedded\"".to_owned(),
        });
        return Ok(found);
    }
    // From here on as the runner will do it.
    start::become_dump_user(config)?;
    let programs = Programs::new(&config.amanda_sbin);
    let mut configs: Vec<&ConfigName> =
        config.hosts.iter().filter(|(host, _)| only.is_none_or(|only| only == *host)).map(|(_, rule)| &rule.config).collect();
    configs.sort();
    configs.dedup();
    for name in configs {
        let hosts: Vec<HostName> = config
            .hosts
            .iter()
            .filter(|(host, rule)| rule.config == *name && only.is_none_or(|only| only == *host))
            .map(|(host, _)| host.clone())
            .collect();
        if config.engine == EngineKind::Embedded {
            found.extend(dumper::check::findings(config, name, &hosts));
            found.extend(office::check::volumes(config, name, clock() as i64));
            continue;
        }
        match survey::settings(&programs, name).and_then(|settings| Ok((settings, survey::entries(&programs, name)?))) {
            Ok((settings, entries)) => {
                found.extend(findings(name.as_str(), &settings, &entries, &hosts));
                found.extend(tunnel::check::findings(config, &entries, &hosts));
            }
            Err(trouble) => found.push(Finding {
                serious: true,
                what: trouble.message,
                mend: format!("{}; {} must be able to read the config", trouble.hint, config.dump_user),
            }),
        }
        found.extend(catalog(config, &hosts));
    }
    Ok(found)
}

/// Looks at what the shared tapes need of the hosts' configs.
fn catalog(config: &Config, hosts: &[HostName]) -> Vec<Finding> {
    let engine = crate::engine::amanda::AmandaEngine::new(config);
    let surveys = crate::runner::admit::Surveys::new(&engine, config);
    let troubles = hosts.iter().filter_map(|host| surveys.for_host(host).err());
    let mut found: Vec<Finding> = troubles.map(|trouble| Finding { serious: true, what: trouble.message, mend: trouble.hint }).collect();
    found.dedup();
    found
}

/// Looks at accounts, directories and the door.
fn installation(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut serious = |what: String, mend: String| found.push(Finding { serious: true, what, mend });
    let layout = config.layout();
    let Ok(Some(dump)) = User::from_name(&config.dump_user) else {
        let mend = match config.engine {
            EngineKind::Embedded => "make an account that owns the backups, or set dump_user",
            EngineKind::Amanda | EngineKind::None => "install amanda-server, or set dump_user",
        };
        serious(format!("there is no user \"{}\", Amanda's account", config.dump_user), mend.to_owned());
        return found;
    };
    let group = Group::from_gid(dump.gid).ok().flatten().map_or_else(|| dump.gid.to_string(), |group| group.name);
    let shim_group = |path: &std::path::Path| {
        std::fs::metadata(path).ok().and_then(|data| Group::from_gid(data.gid().into()).ok().flatten()).map(|group| group.name)
    };
    let shim = shim_group(&layout.runner()).unwrap_or_else(|| "asyncamanda".to_owned());
    let mut wanted = vec![
        (layout.queue(), 0o2770, None, Some(dump.gid.as_raw()), format!("install -d -m 2770 -o {shim} -g {group}")),
        (layout.runner(), 0o2750, Some(dump.uid.as_raw()), None, format!("install -d -m 2750 -o {} -g {shim}", dump.name)),
        (layout.locks(), 0o2750, Some(dump.uid.as_raw()), None, format!("install -d -m 2750 -o {} -g {shim}", dump.name)),
    ];
    if config.hosts.values().any(|rule| rule.reach == Reach::Tunnel) {
        // The account that laptops log in to is the one that owns the queue.
        let shim_uid = std::fs::metadata(layout.queue()).ok().map(|data| data.uid());
        let owner = shim_uid.and_then(|uid| User::from_uid(uid.into()).ok().flatten()).map_or_else(|| shim.clone(), |user| user.name);
        let command = format!("install -d -m 2750 -o {owner} -g {group}");
        wanted.push((layout.hosts(), 0o2750, shim_uid, Some(dump.gid.as_raw()), command));
    }
    for (path, mode, uid, gid, command) in wanted {
        let mend = format!("{command} {}", path.display());
        match std::fs::metadata(&path) {
            Err(error) => serious(format!("{}: {error}", path.display()), mend),
            Ok(data) => {
                let right = data.is_dir()
                    && data.mode() & 0o7777 == mode
                    && uid.is_none_or(|uid| uid == data.uid())
                    && gid.is_none_or(|gid| gid == data.gid());
                if !right {
                    serious(
                        format!("{} has mode {:o}, owner {}, group {}", path.display(), data.mode() & 0o7777, data.uid(), data.gid()),
                        mend,
                    );
                }
            }
        }
    }
    if config.runner.door == Door::Sudo {
        found.extend(sudo_door(config, &dump.name));
    }
    found
}

/// Asks sudo whether the shim's account may start the runner, and nothing is started. Only root can ask that for another one.
fn sudo_door(config: &Config, dump_user: &str) -> Option<Finding> {
    let serious = |what: String, mend: String| Some(Finding { serious: true, what, mend });
    if !std::path::Path::new("/usr/bin/sudo").exists() {
        return serious(
            "the door to the runner is sudo, and there is no /usr/bin/sudo".to_owned(),
            "install sudo, or set `[runner] door = \"systemd\"`".to_owned(),
        );
    }
    let owner = std::fs::metadata(config.layout().queue()).ok()?.uid();
    let shim = User::from_uid(owner.into()).ok().flatten()?.name;
    if !nix::unistd::geteuid().is_root() || owner == 0 {
        return None;
    }
    let argv = start::argv(config).ok()?;
    let mut question = Command::new("/usr/bin/sudo");
    question.args(["-n", "-u", &shim, "--", "/usr/bin/sudo", "-n", "-l", "-u", dump_user, "--"]).args(&argv);
    let allowed = child::finish(&mut question, Duration::from_secs(30)).is_ok_and(|output| output.status.success());
    let line: Vec<_> = argv.iter().map(|word| word.to_string_lossy()).collect();
    if allowed {
        return None;
    }
    serious(
        format!("{shim} may not start the runner: sudo refuses `{}` as {dump_user}", line.join(" ")),
        format!("put this line into a file of /etc/sudoers.d (visudo): {shim} ALL=({dump_user}) NOPASSWD: {}", line.join(" ")),
    )
}
