//! Orders: what an administrator asks the runner for. They lie in a directory that only the dump user can write, so nobody
//! else can have the nightly run or a flush.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};
use wire::ConfigName;

use crate::durable;
use crate::layout::Layout;
use crate::queue::ticket::TicketId;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// The nightly run.
    Nightly,
    /// The holding disk to tape.
    Flush,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its name.
    pub id: TicketId,
    /// What.
    pub what: What,
    /// Of which config.
    pub config: ConfigName,
}

/// Places an order; it is on disk when this returns. `now` in seconds since the epoch.
pub fn place(layout: &Layout, what: What, config: &ConfigName, now: f64) -> io::Result<Order> {
    let order = Order { id: TicketId::new((now * 1e9) as u128, std::process::id()), what, config: config.clone() };
    durable::write_json(&layout.orders().join(format!("{}.json", order.id.as_str())), &order, 0o640)?;
    Ok(order)
}

/// Lists the orders, oldest first.
pub fn list(layout: &Layout) -> io::Result<Vec<Order>> {
    let mut orders: Vec<Order> = Vec::new();
    for entry in fs::read_dir(layout.orders())? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with('.') || !name.ends_with(".json") {
            continue;
        }
        match durable::read_json(&path) {
            Ok(order) => orders.extend(order),
            Err(error) => super::log(&format!("event=order_unreadable file={name} why=\"{error}\"")),
        }
    }
    orders.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(orders)
}

/// Removes an order that has been settled.
pub fn remove(layout: &Layout, id: &TicketId) -> io::Result<()> {
    durable::discard(&layout.orders().join(format!("{}.json", id.as_str())))
}
