//! The end of the token by which a player has signed in, and the next token.
//!
//! The server requests the client's next token before the present one ends, over the same connection: nothing else happens to
//! the session, and no frame is held back. The next token must be of the same player. Without one the session is closed at the end
//! of the present token, and cannot be resumed without a token either. A token that ends before the present one changes nothing.

use std::borrow::Cow;

use super::{Outgoing, Output, Owner, Phase, Session, StoreWrite};
use crate::{
    frame::{CloseCode, ErrorCode, RENEWED, expiring},
    identity::Account,
    ids::Time,
    secret::Secret,
};

/// How long before the end of the token the next one is requested: a page that has to fetch it from its own server takes a second
/// or two, and a reconnect in between half a minute. At the latest when half of what was left is over.
const RENEW_BEFORE_MS: u64 = 60_000;

/// When a client may retry that the edge could not check its token.
const RETRY_MS: u64 = 2_000;

#[derive(Debug, Default)]
pub(super) struct Renewal {
    /// The end of the token. A guest has none.
    expires: Option<Time>,
    /// When the next token is requested; none once it has been.
    ask: Option<Time>,
    /// A token is being checked.
    is_checking: bool,
}

impl Renewal {
    pub fn new(expires: Option<Time>, now: Time) -> Renewal {
        let ask = expires.map(|at| Time(at.0.saturating_sub(RENEW_BEFORE_MS.min(at.since(now) / 2))));
        Renewal { expires, ask, is_checking: false }
    }

    /// When the next token is to be requested, or the connection to be closed.
    pub fn next(&self) -> Option<Time> {
        self.ask.or(self.expires)
    }
}

impl Session {
    pub(super) fn check_renewal(&mut self, now: Time) {
        let (true, Some(expires)) = (matches!(self.phase, Phase::Open(_)), self.renewal.expires) else { return };
        if now >= expires {
            return self.close(CloseCode::Unauthorized, "the token has expired");
        }
        if self.renewal.ask.is_some_and(|at| now >= at) {
            self.renewal.ask = None;
            self.outputs.push_back(Output::Send(Outgoing::Text(expiring(expires.since(now)))));
        }
    }

    /// The client's next token. The server need not have requested it.
    pub(super) fn on_renew(&mut self, token: Secret) {
        if !matches!(self.phase, Phase::Open(_)) {
            return self.refuse(None, ErrorCode::BadOrder, "send hello first, and wait for welcome", None);
        }
        if self.renewal.expires.is_none() {
            let message = "this session has no token; to sign in, connect again with one";
            return self.refuse(None, ErrorCode::BadOrder, message, None);
        }
        if self.renewal.is_checking {
            return self.refuse(None, ErrorCode::BadOrder, "another token is being checked", None);
        }
        self.renewal.is_checking = true;
        self.outputs.push_back(Output::Renew(token));
    }

    pub(super) fn on_renewed(&mut self, checked: Result<Account, (CloseCode, Cow<'static, str>)>, now: Time) {
        self.renewal.is_checking = false;
        match checked {
            Ok(account) => self.renew(account, now),
            // The present token counts until it ends.
            Err((code, reason)) if code.reconnect() => {
                self.refuse(None, ErrorCode::Unavailable, &reason, Some(RETRY_MS));
            }
            // The player was banned meanwhile.
            Err((CloseCode::Kicked, reason)) => self.on_ending(CloseCode::Kicked, &reason),
            Err((code, reason)) => self.close(code, reason),
        }
    }

    fn renew(&mut self, Account { id, claims, expires, token_id, .. }: Account, now: Time) {
        let Phase::Open(Owner { session, identity }) = &mut self.phase else { return };
        if id != identity.player.id {
            return self.close(CloseCode::Unauthorized, "the token is another player's");
        }
        // As the session's row has it: see `StoredSession::renew`.
        if identity.expires.is_some_and(|present| expires < present) {
            return self.outputs.push_back(Output::Send(Outgoing::Text(RENEWED.to_owned())));
        }
        let session = *session;
        (identity.claims, identity.expires, identity.token_id) = (claims.clone(), Some(expires), token_id.clone());
        self.renewal = Renewal::new(Some(expires), now);
        self.outputs.push_back(Output::Store(StoreWrite::Renew { session, claims, expires, token_id }));
        self.outputs.push_back(Output::Send(Outgoing::Text(RENEWED.to_owned())));
    }
}
