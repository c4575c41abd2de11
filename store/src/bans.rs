//! Bans and logouts: what operators decide about players.
//!
//! Times are by the store's clock: with Postgres the database's, embedded the process's.

use std::{net::IpAddr, sync::Arc, time::Duration};

use chorus_core::{
    identity::{BanTarget, Network, Standing},
    ids::Time,
};

use crate::{Store, StoreError, row::Table};

/// A ban to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBan {
    pub target: BanTarget,
    /// For the player.
    pub reason: String,
    /// For operators.
    pub note: Option<String>,
    /// `None`: until it is lifted.
    pub lasts: Option<Duration>,
}

/// A ban that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    pub target: BanTarget,
    pub reason: String,
    pub note: Option<String>,
    pub created_at: Time,
    pub ends_at: Option<Time>,
}

/// What is logged out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoggedOut {
    /// The tokens of this player that have been issued until now.
    Player(Arc<str>),
    /// The token with this id.
    Token(Arc<str>),
}

/// Who says hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The ids of all players that it may be: of its token, of its guest token, and of the session that it resumes.
    pub players: Vec<Arc<str>>,
    /// The player of its token.
    pub account: Option<Arc<str>>,
    /// The id of its token.
    pub token_id: Option<Arc<str>>,
    pub address: IpAddr,
}

impl Store {
    /// Bans a player or a network, in place of an earlier ban of the same.
    pub async fn ban(&self, ban: &NewBan) -> Result<Ban, StoreError> {
        self.write(Add(ban.clone())).await
    }

    /// Lifts a ban. `false`: there is none.
    pub async fn unban(&self, target: &BanTarget) -> Result<bool, StoreError> {
        self.write(Remove { target: target.clone() }).await
    }

    /// The ban of this player or network itself, if it has one that has not ended. (A network may also be in a larger one.)
    pub async fn ban_of(&self, target: &BanTarget) -> Result<Option<Ban>, StoreError> {
        let found =
            self.read(List { only: Some(target.clone()), after: None, limit: 1, now: self.clock().now() }).await?;
        Ok(found.into_iter().next())
    }

    /// Bans that have not ended, by the bytes of their targets: the first `limit`, or those after the last one of an earlier call.
    pub async fn bans(&self, after: Option<&BanTarget>, limit: u32) -> Result<Vec<Ban>, StoreError> {
        self.read(List { only: None, after: after.cloned(), limit, now: self.clock().now() }).await
    }

    /// From now on, tokens of this player that have been issued until now are refused, or the token with this id is: for as long
    /// as `lasts`, after which they have ended by themselves.
    pub async fn log_out(&self, what: &LoggedOut, lasts: Duration) -> Result<(), StoreError> {
        self.write(LogOut { what: what.clone(), lasts }).await
    }

    /// What is decided about a client that says hello.
    pub async fn standing(&self, of: &Arrival) -> Result<Standing, StoreError> {
        self.read(FindStanding { of: of.clone(), now: self.clock().now() }).await
    }

    /// Deletes bans and logouts that have ended. Returns their number.
    pub async fn delete_ended_bans(&self) -> Result<u64, StoreError> {
        self.write(DeleteEnded).await
    }
}

pub(crate) struct Add(pub NewBan);

pub(crate) struct Remove {
    pub target: BanTarget,
}

pub(crate) struct List {
    pub only: Option<BanTarget>,
    pub after: Option<BanTarget>,
    pub limit: u32,
    /// By the process's clock.
    pub now: Time,
}

pub(crate) struct LogOut {
    pub what: LoggedOut,
    pub lasts: Duration,
}

impl LogOut {
    /// The columns kind and id.
    pub fn key(&self) -> (&'static str, &str) {
        match &self.what {
            LoggedOut::Player(id) => ("player", id),
            LoggedOut::Token(id) => ("token", id),
        }
    }
}

pub(crate) struct FindStanding {
    pub of: Arrival,
    /// By the process's clock.
    pub now: Time,
}

impl FindStanding {
    /// The targets of the bans that would concern it.
    pub fn targets(&self) -> Vec<String> {
        let players = self.of.players.iter().map(|id| id.to_string());
        players.chain(Network::around(self.of.address).map(|network| network.to_string())).collect()
    }
}

pub(crate) struct DeleteEnded;

/// target, reason, note, creation, end; times in milliseconds.
pub(crate) type Columns = (String, String, Option<String>, i64, Option<i64>);

pub(crate) fn ban((target, reason, note, created_at, ends_at): Columns) -> Result<Ban, StoreError> {
    let table = Table("bans");
    Ok(Ban {
        target: target.parse().map_err(|error| table.malformed(format!("a target: {error}")))?,
        reason,
        note,
        created_at: Time(table.number(created_at)?),
        ends_at: ends_at.map(|at| table.number(at).map(Time)).transpose()?,
    })
}

/// The reason of a ban, the time of a logout in milliseconds, whether the token was logged out.
pub(crate) type StandingColumns = (Option<String>, Option<i64>, bool);

pub(crate) fn standing((banned, logged_out, token_logged_out): StandingColumns) -> Result<Standing, StoreError> {
    let logged_out = logged_out.map(|at| Table("logouts").number(at).map(Time)).transpose()?;
    Ok(Standing { banned: banned.map(Into::into), logged_out, token_logged_out })
}
