//! An edge's configuration.

use std::{net::SocketAddr, time::Duration};

use chorus_core::{edge::PlayerLimits, ids::MachineId, session};
use ipnet::IpNet;

use crate::name_filter::NameFilter;
use crate::tls::TlsFiles;
use crate::tokens::TokenOptions;

/// An edge's configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// The id of this process of the edge, as the store has registered it.
    pub id: MachineId,
    pub listen: SocketAddr,
    /// Web pages of these origins (`https://example.org`) may connect, besides those of the requested host and of
    /// loopback. `*` allows all of them.
    pub origins: Vec<String>,
    /// The limits of one client.
    pub limits: session::Limits,
    /// The limits of one player, by all of its sessions at this edge.
    pub player: PlayerLimits,
    /// Names that this edge is reached by, besides addresses and those of loopback; `*` is all names.
    pub host_names: Vec<String>,
    /// Networks of trusted proxies, which name the client whose connection they pass on.
    pub trusted_proxies: Vec<IpNet>,
    /// Connections at once. A further one is refused, with this limit as the reason (503, or 4030).
    pub max_connections: usize,
    /// Connections at once from one address, or from one /64 of IPv6.
    pub max_per_address: usize,
    /// Connections that one address may make per second in the long run; twice as many at once. Further ones wait.
    pub new_connections: u32,
    /// Sessions that one address may open per minute in the long run; twice as many at once.
    pub new_sessions: u32,
    /// How players' tokens are checked; without it they are refused.
    pub tokens: Option<TokenOptions>,
    /// Whether players without a token are taken in, as guests.
    pub anonymous: bool,
    /// Names that nobody may have: a player whose name is one gets a neutral one in its place.
    pub blocks_name: Option<NameFilter>,
    /// How long a client may take for the head of an HTTP request, and for the TLS handshake before it.
    pub header_timeout: Duration,
    /// Players connect by TLS, with this certificate.
    pub tls: Option<TlsFiles>,
    /// The interval at which the certificate's files are read.
    pub certificate_reload: Duration,
    /// Every message is sent back, and there are no sessions.
    #[cfg(feature = "conformance")]
    pub echo: bool,
}

impl Options {
    /// Each costs memory: see `docs/performance.md`.
    pub const MAX_CONNECTIONS: usize = 100_000;

    /// A school, or a carrier's customers, behind one address.
    pub const MAX_PER_ADDRESS: usize = 512;

    /// All connections that an address may have are made anew within 5 seconds, for example after the restart of an edge.
    pub const NEW_CONNECTIONS: u32 = 100;

    /// A class that opens the page at once, and a few hundred players who follow. At most so many are in flight out of a
    /// lobby at any time.
    pub const NEW_SESSIONS: u32 = 120;

    /// The defaults.
    pub fn new(id: MachineId, listen: SocketAddr) -> Options {
        Options {
            id,
            listen,
            origins: Vec::new(),
            limits: session::Limits::default(),
            player: PlayerLimits::default(),
            host_names: Vec::new(),
            trusted_proxies: Vec::new(),
            max_connections: Options::MAX_CONNECTIONS,
            max_per_address: Options::MAX_PER_ADDRESS,
            new_connections: Options::NEW_CONNECTIONS,
            new_sessions: Options::NEW_SESSIONS,
            tokens: None,
            anonymous: true,
            blocks_name: None,
            header_timeout: Duration::from_secs(10),
            tls: None,
            // Certificates are renewed days before they expire.
            certificate_reload: Duration::from_secs(10),
            #[cfg(feature = "conformance")]
            echo: false,
        }
    }
}
