//! Who a client is: what the claims of its token make of it, and what becomes of its `hello`.
//!
//! An edge checks signatures; everything after that is decided here, and in [`crate::session`], which has tokens renewed.
//!
//! A player is an *account*, named by the subject of a token, or a *guest*, named by the server. The id of each begins with its
//! own prefix, so no subject is a guest's id, and none is `__proto__` or another name that a script's object has already.
//!
//! Where to look: `token` reads a token's claims by the operator's rules; `admission` decides about a `hello`; `bans` has
//! what operators decide about players; `blocked_names` finds names that nobody may have; `refresh` decides when keys are fetched,
//! and how long fetched ones are used.
//!
//! Bounds: an id has [`MAX_ID`] bytes, the claims that rooms see have [`MAX_CLAIMS`].

mod admission;
mod bans;
mod blocked_names;
mod refresh;
mod token;

use std::sync::Arc;

pub use admission::{Admission, Credentials, Known, LOGGED_OUT, admit};
pub use bans::{
    BadNetwork, BadTarget, BanTarget, Ending, Endings, MAX_ENDINGS, Network, SessionsOf, Standing, TooManyEndings,
};
pub use blocked_names::{BadNameList, BlockedNames, MAX_BLOCKED};
pub use refresh::{KEYS_STALE_MS, MIN_FETCH_INTERVAL_MS, REFRESH_MS, Refresh};
pub use token::{Account, InvalidToken, TokenRules};

use crate::{command::Player, ids::Time, json::Json};

/// The longest `player.id`, in bytes.
pub const MAX_ID: usize = 128;

/// The longest claims that rooms see, in bytes of JSON. They are in the record of each join.
pub const MAX_CLAIMS: usize = 1024;

/// The longest id of a token, in bytes; issuers use UUIDs. A longer one is as none.
pub const MAX_TOKEN_ID: usize = 256;

const ACCOUNT: &str = "u:";
const GUEST: &str = "g:";

/// A guest's number, which the server has drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestId(pub u128);

impl GuestId {
    /// The guest's `player.id`.
    pub fn player_id(self) -> Arc<str> {
        format!("{GUEST}{:032x}", self.0).into()
    }

    /// The guest with this `player.id`.
    pub fn of_player(id: &str) -> Option<GuestId> {
        let digits = id.strip_prefix(GUEST).filter(|digits| digits.len() == 32)?;
        u128::from_str_radix(digits, 16).ok().map(GuestId)
    }
}

/// A session's player, as its row in the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub player: Player,
    /// What rooms see of the token's claims, as a JSON object.
    pub claims: Option<Json>,
    /// The end of the token, with the clock skew that is allowed. A guest's session has none.
    pub expires: Option<Time>,
    /// The id of the token (`jti`), if it has one.
    pub token_id: Option<Arc<str>>,
    /// The guest that the player was before it signed in.
    pub guest: Option<Arc<str>>,
}

impl Identity {
    /// A player without a token.
    pub fn guest(player: Player) -> Identity {
        Identity { player, claims: None, expires: None, token_id: None, guest: None }
    }

    /// Whether its token has ended.
    pub fn has_expired(&self, now: Time) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }
}
