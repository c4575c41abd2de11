//! Limits on connections: the flags of every command that serves players.

use std::time::Duration;

use chorus_core::session::Limits;
use chorus_edge::IpNet;
use clap::Args;

use crate::seconds::Seconds;

#[derive(Debug, Args)]
pub struct Admission {
    /// Pages of this origin may connect, besides those of this very host and of loopback; `*` is all. May be repeated
    #[arg(
        long = "origin",
        help_heading = "Admission",
        env = "CHORUS_ORIGINS",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    origins: Vec<String>,
    /// A name that this server is reached by, besides addresses and localhost; `*` is all. May be repeated
    #[arg(
        long = "host-name",
        help_heading = "Admission",
        env = "CHORUS_HOST_NAMES",
        value_name = "NAME",
        value_delimiter = ','
    )]
    host_names: Vec<String>,
    /// A network of proxies that name the clients whose connections they pass on, by the PROXY protocol, `Forwarded` or
    /// `X-Forwarded-For`. May be repeated
    #[arg(
        long = "trusted-proxy",
        help_heading = "Admission",
        env = "CHORUS_TRUSTED_PROXIES",
        value_name = "CIDR",
        value_delimiter = ','
    )]
    trusted_proxies: Vec<IpNet>,
    /// Connections at once
    #[arg(
        long,
        help_heading = "Admission",
        env = "CHORUS_MAX_CONNECTIONS",
        value_name = "N",
        default_value_t = 100_000
    )]
    max_connections: usize,
    /// Connections at once from one address: of IPv6, from one /64
    #[arg(long, help_heading = "Admission", env = "CHORUS_MAX_CONNECTIONS_PER_ADDRESS", value_name = "N", default_value_t = chorus_edge::Options::MAX_PER_ADDRESS)]
    max_connections_per_address: usize,
    /// Sessions that one address may open per minute, in the long run; twice as many at once. To resume one is free
    #[arg(long, help_heading = "Admission", env = "CHORUS_NEW_SESSIONS", value_name = "N", default_value_t = chorus_edge::Options::NEW_SESSIONS)]
    new_sessions: u32,
    /// Frames that one session may send per second, in the long run; twice as many at once
    #[arg(long, help_heading = "Admission", env = "CHORUS_RATE", value_name = "N", default_value_t = Limits::default().per_second)]
    rate: u32,
    /// Milliseconds of a host's processor that the messages of one session may cost per second, in the long run; ten
    /// times as much at once
    #[arg(long, help_heading = "Admission", env = "CHORUS_COMPUTE_RATE", value_name = "MS", default_value_t = Limits::default().compute_ms)]
    compute_rate: u32,
    /// A client that has received nothing for this long asks whether its connection is alive; one that is silent for twice
    /// as long is lost, and its rooms are told
    #[arg(long, help_heading = "Admission", env = "CHORUS_PING", value_name = "SECONDS", default_value = "8", value_parser = ping_ms)]
    ping: u64,
}

impl Admission {
    /// The edge's options, with these limits.
    pub fn apply(&self, options: chorus_edge::Options) -> chorus_edge::Options {
        let limits = Limits {
            per_second: self.rate,
            burst: self.rate.saturating_mul(2),
            compute_ms: self.compute_rate,
            ping_ms: self.ping,
            ..options.limits
        };
        chorus_edge::Options {
            origins: self.origins.clone(),
            host_names: self.host_names.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
            limits,
            max_connections: self.max_connections,
            max_per_address: self.max_connections_per_address,
            new_sessions: self.new_sessions,
            ..options
        }
    }
}

/// `--ping`: below a tenth of a second, a pause of the network would end a connection; above ten minutes a connection that
/// is gone would not be noticed.
fn ping_ms(text: &str) -> Result<u64, String> {
    let Seconds(interval) = text.parse()?;
    if !(Duration::from_millis(100)..=Duration::from_secs(600)).contains(&interval) {
        return Err("it is from 0.1 to 600 seconds".to_owned());
    }
    Ok((interval.as_secs_f64() * 1000.0).round() as u64)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_ping_is_some_seconds() {
        assert_eq!(super::ping_ms("8"), Ok(8_000));
        assert_eq!(super::ping_ms("0.25"), Ok(250));
        for bad in ["", "x", "0", "-1", "NaN", "inf", "601"] {
            assert!(super::ping_ms(bad).is_err(), "{bad}");
        }
    }
}
