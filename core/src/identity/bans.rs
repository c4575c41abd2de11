//! What operators decide about players: bans, and logouts.
//!
//! A *ban* is of a player's id or of a network of addresses, until it ends or is lifted. A *logout* ends a player's sessions, and
//! refuses the tokens that were issued until then, or one token by its id. Both are rows of the store, which an edge reads for each
//! `hello`: [`Standing`]. The sessions that are connected get an [`Ending`], which every edge receives after the rows are written.
//!
//! A `hello` that an edge handles while an ending arrives may have read the rows before they were written, and may have no
//! session yet that the ending could find. [`Endings`] keeps the latest ones for it: when its session has been opened, it gets
//! those that have arrived meanwhile.
//!
//! Bounds: [`Endings`] keeps [`MAX_ENDINGS`]. A `hello` during which more have arrived is refused, and its client comes again.

use std::{
    collections::VecDeque,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{ACCOUNT, Account, GUEST, Identity, MAX_ID};
use crate::{frame::CloseCode, ids::Time};

/// A network of IP addresses. An IPv6 one is a /64 at the smallest, as that is the least that a customer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Network {
    first: IpAddr,
    prefix: u8,
}

/// The largest networks that can be banned: a shorter prefix is more likely a mistake than meant.
const MIN_PREFIX_V4: u8 = 8;
const MIN_PREFIX_V6: u8 = 16;

const MAX_PREFIX_V4: u8 = 32;
const MAX_PREFIX_V6: u8 = 64;

/// A text that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNetwork {
    #[error("it is no address and no network: use 192.0.2.7, 192.0.2.0/24 or 2001:db8::/48")]
    Malformed,
    #[error(
        "the network is too large: an IPv4 network is a /{MIN_PREFIX_V4} at most, an IPv6 network a /{MIN_PREFIX_V6}"
    )]
    TooLarge,
}

impl Network {
    /// The smallest network of an address.
    pub fn of(address: IpAddr) -> Network {
        Network::new(address, u8::MAX)
    }

    /// The network of so many bits around an address; at the smallest, [`Network::of`] it.
    fn new(address: IpAddr, prefix: u8) -> Network {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let prefix = prefix.min(MAX_PREFIX_V4);
                let first = Ipv4Addr::from_bits(v4.to_bits() & mask(prefix, 32) as u32);
                Network { first: first.into(), prefix }
            }
            IpAddr::V6(v6) => {
                let prefix = prefix.min(MAX_PREFIX_V6);
                let first = Ipv6Addr::from_bits(v6.to_bits() & mask(prefix, 128));
                Network { first: first.into(), prefix }
            }
        }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        Network::new(address, self.prefix) == *self
    }

    /// The networks that contain an address and can be banned, the largest first: at most 49.
    pub fn around(address: IpAddr) -> impl Iterator<Item = Network> {
        let address = address.to_canonical();
        let prefixes = match address {
            IpAddr::V4(_) => MIN_PREFIX_V4..=MAX_PREFIX_V4,
            IpAddr::V6(_) => MIN_PREFIX_V6..=MAX_PREFIX_V6,
        };
        prefixes.map(move |prefix| Network::new(address, prefix))
    }
}

/// The highest `prefix` of `bits` bits.
fn mask(prefix: u8, bits: u32) -> u128 {
    let all = u128::MAX >> (128 - bits);
    all & !all.checked_shr(prefix.into()).unwrap_or(0)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    /// Bits of the address beyond the prefix are ignored.
    fn from_str(text: &str) -> Result<Network, BadNetwork> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| BadNetwork::Malformed)?;
        let (min, max) = if address.is_ipv4() { (MIN_PREFIX_V4, 32) } else { (MIN_PREFIX_V6, 128) };
        let prefix = prefix.map_or(Ok(max), str::parse).map_err(|_| BadNetwork::Malformed)?;
        match prefix {
            _ if prefix > max => Err(BadNetwork::Malformed),
            _ if prefix < min => Err(BadNetwork::TooLarge),
            // An address in the form of the other family is one of that family.
            _ if address.to_canonical() != address && prefix < 128 => Err(BadNetwork::Malformed),
            _ => Ok(Network::new(address, prefix)),
        }
    }
}

/// Who is banned. Its text is the key of the ban.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BanTarget {
    /// By the `player.id`. A guest's ban is also one of the account that the guest becomes.
    Player(Arc<str>),
    Network(Network),
}

/// A text that is neither a player's id nor a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    #[error(
        "no player has such an id: it begins with u: or g:, and has at most {MAX_ID} bytes and no control characters"
    )]
    Player,
    #[error(transparent)]
    Network(#[from] BadNetwork),
}

impl BanTarget {
    /// The player with this id.
    pub fn player(id: &str) -> Result<BanTarget, BadTarget> {
        let is_prefixed = id.starts_with(ACCOUNT) || id.starts_with(GUEST);
        match is_prefixed && id.len() <= MAX_ID && !id.chars().any(char::is_control) {
            true => Ok(BanTarget::Player(id.into())),
            false => Err(BadTarget::Player),
        }
    }
}

impl fmt::Display for BanTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BanTarget::Player(id) => f.write_str(id),
            BanTarget::Network(network) => network.fmt(f),
        }
    }
}

impl FromStr for BanTarget {
    type Err = BadTarget;

    fn from_str(text: &str) -> Result<BanTarget, BadTarget> {
        match BanTarget::player(text) {
            Ok(player) => Ok(player),
            // No address begins so.
            Err(error) if text.starts_with(ACCOUNT) || text.starts_with(GUEST) => Err(error),
            Err(_) => Ok(BanTarget::Network(text.parse()?)),
        }
    }
}

/// What the store has about the players, the token and the address of a `hello`, without what has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The reason of a ban of one of them.
    pub banned: Option<Box<str>>,
    /// The latest logout of the account: its tokens that were issued until then are refused.
    pub logged_out: Option<Time>,
    /// The account's token was logged out.
    pub token_logged_out: bool,
}

impl Standing {
    /// Whether an account's token is refused, as it is of before a logout. A token without the time of its issue may be.
    pub fn refuses(&self, account: &Account) -> bool {
        let is_before = |logout| account.issued.is_none_or(|issued| issued <= logout);
        self.token_logged_out || self.logged_out.is_some_and(is_before)
    }
}

/// The sessions that an [`Ending`] is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionsOf {
    /// All of this player, also as the guest that it was.
    Player(Arc<str>),
    /// Those that are connected from this network.
    Network(Network),
    /// Those of the token with this id.
    Token(Arc<str>),
}

impl SessionsOf {
    /// Whether a session of this identity, connected from this address, is among them.
    pub fn has(&self, identity: &Identity, address: IpAddr) -> bool {
        match self {
            SessionsOf::Player(id) => identity.player.id == *id || identity.guest.as_ref() == Some(id),
            SessionsOf::Network(network) => network.contains(address),
            SessionsOf::Token(id) => identity.token_id.as_ref() == Some(id),
        }
    }
}

/// An operator ends sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    pub of: SessionsOf,
    /// [`CloseCode::Kicked`], or [`CloseCode::Unauthorized`] after a logout.
    pub code: CloseCode,
    /// For the player.
    pub reason: Box<str>,
}

/// The endings that [`Endings`] keeps. An operator's script that bans a list of players sends a few hundred a second, and a `hello`
/// takes milliseconds.
pub const MAX_ENDINGS: usize = 1_024;

/// The endings that an edge has received, the latest of them.
#[derive(Debug, Default)]
pub struct Endings {
    latest: VecDeque<Ending>,
    /// All that were received.
    received: u64,
}

/// More endings have arrived than are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyEndings;

impl Endings {
    /// To be noted before the rows of a `hello` are read.
    pub fn received(&self) -> u64 {
        self.received
    }

    pub fn receive(&mut self, ending: Ending) {
        self.received += 1;
        self.latest.push_back(ending);
        if self.latest.len() > MAX_ENDINGS {
            self.latest.pop_front();
        }
    }

    /// The first ending of a session among those that have arrived since [`Endings::received`] was `noted`.
    pub fn since(&self, noted: u64, identity: &Identity, address: IpAddr) -> Result<Option<Ending>, TooManyEndings> {
        let missed = usize::try_from(self.received - noted).unwrap_or(usize::MAX);
        let from = self.latest.len().checked_sub(missed).ok_or(TooManyEndings)?;
        Ok(self.latest.iter().skip(from).find(|ending| ending.of.has(identity, address)).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Player;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn network(text: &str) -> Network {
        text.parse().expect("a network")
    }

    fn identity(player: &str) -> Identity {
        Identity::guest(Player { id: player.into(), name: "Ana".into() })
    }

    #[test]
    fn a_network_is_written_in_one_way() {
        for (given, written) in [
            ("192.0.2.7", "192.0.2.7/32"),
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("2001:db8::7", "2001:db8::/64"),
            ("2001:db8:1::/48", "2001:db8:1::/48"),
            ("2001:db8::7/128", "2001:db8::/64"),
        ] {
            assert_eq!(network(given).to_string(), written);
            assert_eq!(network(written), network(given), "{given}");
        }
    }

    #[test]
    fn a_network_that_is_none_or_too_large_is_refused() {
        for bad in ["", "x", "192.0.2", "192.0.2.7/", "192.0.2.7/33", "192.0.2.7/x", "::1/129", "::ffff:192.0.2.7/96"] {
            assert_eq!(bad.parse::<Network>(), Err(BadNetwork::Malformed), "{bad}");
        }
        for large in ["0.0.0.0/0", "10.0.0.0/7", "::/0", "2001::/15"] {
            assert_eq!(large.parse::<Network>(), Err(BadNetwork::TooLarge), "{large}");
        }
    }

    #[test]
    fn an_address_is_in_the_networks_around_it_and_in_no_others() {
        for (address, count) in [("192.0.2.7", 25), ("2001:db8::7", 49), ("::ffff:192.0.2.7", 25)] {
            let around: Vec<Network> = Network::around(ip(address)).collect();
            assert_eq!(around.len(), count);
            assert!(around.iter().all(|network| network.contains(ip(address))), "{address}");
            assert_eq!(around.last(), Some(&Network::of(ip(address))));
        }
        assert!(network("192.0.2.0/24").contains(ip("::ffff:192.0.2.255")));
        for (of, other) in [("192.0.2.0/24", "192.0.3.0"), ("192.0.2.7", "192.0.2.6"), ("::/16", "0.0.0.7")] {
            assert!(!network(of).contains(ip(other)), "{of} {other}");
        }
    }

    #[test]
    fn a_target_is_a_player_or_a_network() {
        for text in ["u:42", "g:0123", "u:a/b c", "192.0.2.0/24", "2001:db8::/64"] {
            assert_eq!(text.parse::<BanTarget>().expect("a target").to_string(), text);
        }
        let long = format!("u:{}", "x".repeat(MAX_ID - 1));
        for bad in ["u:a\n", long.as_str()] {
            assert_eq!(bad.parse::<BanTarget>(), Err(BadTarget::Player), "{bad}");
        }
        for bad in ["42", "Ana", ""] {
            assert!(matches!(bad.parse::<BanTarget>(), Err(BadTarget::Network(_))), "{bad}");
        }
    }

    #[test]
    fn a_logout_refuses_the_tokens_of_before_it() {
        let issued = |at: Option<u64>| Account {
            id: "u:1".into(),
            name: None,
            claims: None,
            expires: Time(9_000),
            issued: at.map(Time),
            token_id: None,
        };
        let after = Standing { logged_out: Some(Time(5_000)), ..Standing::default() };
        for (at, refused) in [(Some(4_000), true), (Some(5_000), true), (Some(6_000), false), (None, true)] {
            assert_eq!(after.refuses(&issued(at)), refused, "{at:?}");
        }
        assert!(!Standing::default().refuses(&issued(None)));
        let token = Standing { token_logged_out: true, ..Standing::default() };
        assert!(token.refuses(&issued(Some(6_000))));
    }

    #[test]
    fn an_ending_is_for_the_sessions_of_a_player_a_token_or_a_network() {
        let here = ip("192.0.2.7");
        let ana = Identity { guest: Some("g:1".into()), token_id: Some("one".into()), ..identity("u:1") };
        let player = |id: &str| SessionsOf::Player(id.into());
        let token = |id: &str| SessionsOf::Token(id.into());
        for (of, is_for) in [
            (player("u:1"), true),
            (player("g:1"), true),
            (player("u:2"), false),
            (token("one"), true),
            (token("two"), false),
            (SessionsOf::Network(network("192.0.2.0/24")), true),
            (SessionsOf::Network(network("192.0.3.0/24")), false),
        ] {
            assert_eq!(of.has(&ana, here), is_for, "{of:?}");
        }
        assert!(!token("one").has(&identity("g:2"), here), "it has no token");
    }

    #[test]
    fn a_session_gets_the_endings_that_arrived_while_it_was_opened() {
        let ending = |player: &str| Ending {
            of: SessionsOf::Player(player.into()),
            code: CloseCode::Kicked,
            reason: "cheating".into(),
        };
        let (ana, here) = (identity("u:1"), ip("192.0.2.7"));
        let mut endings = Endings::default();
        endings.receive(ending("u:1"));
        let noted = endings.received();
        assert_eq!(endings.since(noted, &ana, here), Ok(None), "it was there before, and so were its rows");
        endings.receive(ending("u:2"));
        endings.receive(ending("u:1"));
        assert_eq!(endings.since(noted, &ana, here), Ok(Some(ending("u:1"))));
        assert_eq!(endings.since(noted, &identity("u:3"), here), Ok(None));

        (0..MAX_ENDINGS - 2).for_each(|_| endings.receive(ending("u:2")));
        assert_eq!(endings.since(noted, &ana, here), Ok(Some(ending("u:1"))));
        endings.receive(ending("u:2"));
        assert_eq!(endings.since(noted, &ana, here), Err(TooManyEndings));
        assert_eq!(endings.since(endings.received(), &ana, here), Ok(None));
    }
}
