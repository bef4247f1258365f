//! What a test wants of its world.

/// What a test wants of its world. Indexes count hosts from 0.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many hosts, 1 to 8; up to [`crate::net::MOST`] where those beyond the eighth are far away.
    pub hosts: usize,
    /// Hosts whose dumps pass a gate; the gates are open at first.
    pub gated: Vec<usize>,
    /// Hosts that Amanda reaches by auth "ssh"; the others by auth "local".
    pub over_ssh: Vec<usize>,
    /// Hosts in a network namespace of their own: Amanda cannot dial them, only their own session leads there (the tunnel).
    pub far_away: Vec<usize>,
    /// Hosts that have a tree with everything in it that makes backups difficult ([`crate::torture`]); the first host's is the whole one.
    pub torture: Vec<usize>,
    /// agent.toml's `client`, of those that are far away.
    pub client: &'static str,
    /// Their dumptypes' `compress`.
    pub compress: &'static str,
    /// amanda.conf's `inparallel`.
    pub inparallel: u32,
    /// Hosts whose config is the overlay.
    pub overlay: Vec<usize>,
    /// The dumptypes' `estimate`.
    pub estimate: &'static str,
    /// amanda.conf's `reserve`.
    pub reserve: u32,
    /// Bytes of each tree's big file, gated ones apart.
    pub bulk: usize,
    /// shim.toml's `engine`.
    pub engine: &'static str,
    /// The server has no Amanda: the embedded engine on a vault of its own ([`crate::office`]).
    pub office: bool,
    /// shim.toml's `parallel_runs`.
    pub parallel_runs: u32,
    /// shim.toml's `second_run_after`.
    pub second_run_after: &'static str,
    /// shim.toml's `gather`.
    pub gather: &'static str,
    /// shim.toml's `stall`.
    pub stall: &'static str,
    /// shim.toml's `[flush]` with the shared config, and these further lines.
    pub flush: Option<&'static str>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            hosts: 1,
            gated: Vec::new(),
            over_ssh: Vec::new(),
            far_away: Vec::new(),
            torture: Vec::new(),
            client: "native",
            compress: "client fast",
            inparallel: 8,
            overlay: Vec::new(),
            estimate: "server",
            reserve: 0,
            bulk: 200_000,
            engine: "amanda",
            office: false,
            parallel_runs: 2,
            second_run_after: "5 min",
            gather: "500 ms",
            stall: "45 min",
            flush: Some(""),
        }
    }
}
