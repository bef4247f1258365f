//! How a trigger becomes a ticket, whoever asks, and what is said when it does not.

use wire::{AbortCode, HostName};

use super::trouble_here;
use crate::authorise::{BUDGET_WINDOW, Grant, Refusal, within_budget};
use crate::config::Config;
use crate::latest::Latest;
use crate::queue::spool::{Placed, Spool};
use crate::queue::ticket::{Ticket, TicketId};
use crate::runner::clock;

/// Puts a trigger into the queue, within the host's budget.
pub fn place(config: &Config, spool: &Spool, grant: &Grant, disks: Vec<wire::DiskName>, holds_back: bool) -> Result<Placed, Refusal> {
    let now = clock();
    // A ticket that is there already has been paid for.
    let pending = spool.glance().unwrap_or_default().iter().any(|(_, host)| host == grant.host());
    if !pending {
        let latest = Latest::load(&config.layout(), grant.host()).unwrap_or_default();
        within_budget(config, grant.host(), &latest.spent(now as i64, BUDGET_WINDOW))?;
    }
    let id = TicketId::new((now * 1e9) as u128, std::process::id());
    spool
        .place(Ticket { id, host: grant.host().clone(), disks, holds_back }, config.limits.queue, now as i64)
        .map_err(|error| trouble_here("could not write a ticket", &error, config))
}

/// The queue is full.
pub fn full(config: &Config) -> Refusal {
    Refusal {
        code: AbortCode::Later,
        message: format!("the server's queue is full ({} tickets)", config.limits.queue),
        hint: "try again later; the operator can see who waits with asyncamanda-shim status".to_owned(),
    }
}

/// Nobody could get to the laptop, which called with the Perl script's command line, or another.
pub fn unreachable_host(host: &HostName, perl: bool) -> Refusal {
    let what = if perl {
        "call `asyncamanda run` with an agent.toml that lists [[disk]]: this command line serves no disks"
    } else {
        "use the server's release of asyncamanda on the laptop"
    };
    Refusal {
        code: AbortCode::Config,
        message: format!("the server reaches {host} through its own session, and this program on the laptop does not serve Amanda"),
        hint: format!("{what}; or the operator sets reach = \"network\" in {}, if Amanda can dial it", Config::heading(host)),
    }
}
