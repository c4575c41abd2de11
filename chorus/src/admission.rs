//! Limits on connections: the flags of every command that serves players.

use std::time::Duration;

use chorus_core::{edge::PlayerLimits, session::Limits};
use chorus_edge::IpNet;
use clap::{Args, value_parser};

use crate::seconds::Seconds;

#[derive(Debug, Args)]
pub struct Admission {
    /// An origin whose pages may connect, besides those of the requested host and of loopback; `*` is all. May be repeated
    #[arg(
        long = "origin",
        help_heading = "Admission",
        env = "CHORUS_ORIGINS",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    origins: Vec<String>,
    /// A name under which clients reach this server, besides addresses and localhost; `*` is all. May be repeated
    #[arg(
        long = "host-name",
        help_heading = "Admission",
        env = "CHORUS_HOST_NAMES",
        value_name = "NAME",
        value_delimiter = ','
    )]
    host_names: Vec<String>,
    /// A network of trusted proxies, which name the client of each connection by the PROXY protocol, `Forwarded` or
    /// `X-Forwarded-For`. May be repeated
    #[arg(
        long = "trusted-proxy",
        help_heading = "Admission",
        env = "CHORUS_TRUSTED_PROXIES",
        value_name = "CIDR",
        value_delimiter = ','
    )]
    trusted_proxies: Vec<IpNet>,
    /// The limit of simultaneous connections
    #[arg(long, help_heading = "Admission", env = "CHORUS_MAX_CONNECTIONS", value_name = "N", default_value_t = chorus_edge::Options::MAX_CONNECTIONS)]
    max_connections: usize,
    /// The limit of simultaneous connections from one address, or from one /64 of IPv6
    #[arg(long, help_heading = "Admission", env = "CHORUS_MAX_CONNECTIONS_PER_ADDRESS", value_name = "N", default_value_t = chorus_edge::Options::MAX_PER_ADDRESS)]
    max_connections_per_address: usize,
    /// Connections that one address may make per second in the long run; twice as many at once. Further ones wait for up to 5
    /// seconds, or are refused
    #[arg(long, help_heading = "Admission", env = "CHORUS_NEW_CONNECTIONS", value_name = "N", default_value_t = chorus_edge::Options::NEW_CONNECTIONS)]
    new_connections: u32,
    /// Sessions that one address may open per minute in the long run; twice as many at once. A resume does not count
    #[arg(long, help_heading = "Admission", env = "CHORUS_NEW_SESSIONS", value_name = "N", default_value_t = chorus_edge::Options::NEW_SESSIONS)]
    new_sessions: u32,
    /// Frames that one session may send per second in the long run; twice as many at once
    #[arg(long, help_heading = "Admission", env = "CHORUS_RATE", value_name = "N", default_value_t = Limits::default().per_second)]
    rate: u32,
    /// Bytes that one session may send per second in the long run; twice as many at once. Beyond that the edge reads more slowly
    #[arg(long, help_heading = "Admission", env = "CHORUS_BYTE_RATE", value_name = "BYTES", default_value_t = Limits::BYTES_PER_SECOND, value_parser = value_parser!(u32).range(MIN_BYTE_RATE..))]
    byte_rate: u32,
    /// The limit of simultaneous connections of one player, by all of its sessions at this edge
    #[arg(long, help_heading = "Admission", env = "CHORUS_MAX_CONNECTIONS_PER_PLAYER", value_name = "N", default_value_t = PlayerLimits::default().connections)]
    max_connections_per_player: u32,
    /// Frames that all sessions of one player may send per second in the long run, and never fewer than one session may; twice
    /// as many at once. Beyond that the edge reads more slowly
    #[arg(long, help_heading = "Admission", env = "CHORUS_PLAYER_RATE", value_name = "N", default_value_t = PlayerLimits::default().per_second)]
    player_rate: u32,
    /// Bytes that all sessions of one player may send per second in the long run, and never fewer than one session may; twice as
    /// many at once. Beyond that the edge reads more slowly
    #[arg(long, help_heading = "Admission", env = "CHORUS_PLAYER_BYTE_RATE", value_name = "BYTES", default_value_t = PlayerLimits::default().bytes_per_second, value_parser = value_parser!(u32).range(MIN_BYTE_RATE..))]
    player_byte_rate: u32,
    /// Milliseconds of a host's processor time that the messages of one session may cost per second in the long run; twice
    /// as much at once
    #[arg(long, help_heading = "Admission", env = "CHORUS_COMPUTE_RATE", value_name = "MS", default_value_t = Limits::default().compute_ms)]
    compute_rate: u32,
    /// A client that has received nothing for this long checks whether its connection is alive; a connection that is silent
    /// for twice as long is closed, and its rooms are notified
    #[arg(long, help_heading = "Admission", env = "CHORUS_PING", value_name = "SECONDS", default_value_t = Seconds(Duration::from_millis(Limits::default().ping_ms)), value_parser = ping)]
    ping: Seconds,
}

impl Admission {
    /// The edge's options, with these limits.
    pub fn apply(&self, options: chorus_edge::Options) -> chorus_edge::Options {
        let limits = Limits {
            per_second: self.rate,
            burst: self.rate.saturating_mul(2),
            bytes_per_second: self.byte_rate,
            compute_ms: self.compute_rate,
            ping_ms: self.ping.0.as_millis() as u64,
            ..options.limits
        };
        chorus_edge::Options {
            origins: self.origins.clone(),
            host_names: self.host_names.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
            limits,
            player: self.player(),
            max_connections: self.max_connections,
            max_per_address: self.max_connections_per_address,
            new_connections: self.new_connections,
            new_sessions: self.new_sessions,
            ..options
        }
    }

    /// A player that has one session is bounded by that session's limits.
    fn player(&self) -> PlayerLimits {
        PlayerLimits {
            connections: self.max_connections_per_player,
            per_second: self.player_rate.max(self.rate),
            bytes_per_second: self.player_byte_rate.max(self.byte_rate),
        }
    }
}

/// The least rate of bytes: a client that has sent one frame of the largest size waits for four seconds.
const MIN_BYTE_RATE: i64 = 16 * 1024;

/// `--ping`: below a tenth of a second, a pause of the network would end a connection; above ten minutes a connection that
/// is gone would not be noticed.
fn ping(text: &str) -> Result<Seconds, String> {
    let interval: Seconds = text.parse()?;
    match (Duration::from_millis(100)..=Duration::from_secs(600)).contains(&interval.0) {
        true => Ok(interval),
        false => Err("use 0.1 to 600 seconds".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_is_some_seconds() {
        assert_eq!(ping("8"), Ok(Seconds::new(8)));
        assert_eq!(ping("0.25"), Ok(Seconds(Duration::from_millis(250))));
        for bad in ["", "x", "0", "-1", "NaN", "inf", "601"] {
            assert!(ping(bad).is_err(), "{bad}");
        }
    }
}
