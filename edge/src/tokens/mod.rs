//! Who the clients of this edge are: the shell of [`chorus_core::identity`].
//!
//! `keys` checks signatures, with the parser and the primitives that `signature` joins; `fetch` fetches an issuer's keys; `guests` makes
//! and checks the tokens of guests. What a valid token means, and when keys are fetched, is decided in `core`.
//!
//! When keys cannot be fetched at the start, the edge starts nevertheless: guests play, and a `hello` with a token is refused with
//! 4010, after which its client comes again. Later, the last keys are used for [`KEYS_STALE_MS`](chorus_core::identity::KEYS_STALE_MS).
//!
//! Nothing of a token or of a key is in a log line or in an error.

mod fetch;
pub(crate) mod guests;
mod keys;
mod signature;
#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
};

use chorus_core::{
    frame::{CloseCode, Hello},
    identity::{Account, Credentials, GuestId, Refresh, TokenRules},
    ids::{Digest, Time},
    secret::Secret,
};
use chorus_store::{GUESTS_SECRET, Store, StoreError, StoreSecret};

pub use fetch::BadUrl;
pub(crate) use fetch::Issuer;
use guests::GuestKey;
pub use keys::BadKeys;
use keys::BadToken;
pub(crate) use keys::Keys;
#[cfg(any(test, fuzzing))]
pub(crate) use keys::MAX_KEYS;

/// Where the keys of tokens are.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// JWKs, public keys in PEM, or a secret.
    Text(Secret),
    /// The same in a file, which is read again as an issuer's keys are fetched again.
    File(PathBuf),
    /// Where an issuer publishes its JWKs.
    Url(String),
}

/// How tokens are checked.
#[derive(Clone, Debug)]
pub struct TokenOptions {
    pub keys: KeySource,
    pub rules: TokenRules,
}

/// Why an edge cannot check tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("the keys of tokens cannot be used: {0}")]
    Keys(#[from] BadKeys),
    #[error("the keys of tokens cannot be read from {}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("the address of the keys of tokens cannot be used: {0}")]
    Url(#[from] BadUrl),
    #[error("the key of guests is not in the store: {0}")]
    Store(#[from] StoreError),
}

/// Why a client is refused.
pub(crate) type Refused = (CloseCode, Cow<'static, str>);

/// What checks the credentials of clients.
#[derive(Debug, Default)]
pub(crate) struct Identities {
    tokens: Option<Arc<Tokens>>,
    /// None where players need a token.
    guests: Option<GuestKey>,
}

impl Identities {
    pub async fn open(
        options: Option<&TokenOptions>,
        anonymous: bool,
        store: &Store,
    ) -> Result<Identities, TokenError> {
        let tokens = options.map(Tokens::new).transpose()?.map(Arc::new);
        let guests = match anonymous {
            true => Some(GuestKey::new(store.secret(GUESTS_SECRET, StoreSecret(random())).await?)),
            false => None,
        };
        Ok(Identities { tokens, guests })
    }

    /// Fetches the keys, so that the first `hello` need not wait for them.
    pub fn start(&self, now: Time) {
        if let Some(tokens) = self.tokens.clone() {
            tokio::spawn(async move { tokens.fetch_if_due(false, now).await });
        }
    }

    /// Whether players without a token are taken in.
    pub fn anonymous(&self) -> bool {
        self.guests.is_some()
    }

    /// What a `hello` proves.
    pub async fn credentials(&self, hello: &Hello, now: Time) -> Result<Credentials, Refused> {
        let account = match &hello.token {
            Some(token) => Some(self.account(token, now).await?),
            None => None,
        };
        let guest = hello.guest.as_ref().and_then(|token| self.guests.as_ref()?.guest(token));
        Ok(Credentials { account, guest })
    }

    /// The player of a token.
    pub async fn account(&self, token: &Secret, now: Time) -> Result<Account, Refused> {
        match &self.tokens {
            Some(tokens) => tokens.account(token, now).await,
            None => Err((CloseCode::Unauthorized, "tokens are not accepted here".into())),
        }
    }

    /// The token of a player who is a guest.
    pub fn guest_token(&self, player_id: &str) -> Option<Secret> {
        Some(self.guests.as_ref()?.token(GuestId::of_player(player_id)?))
    }
}

/// The keys of tokens, and the rules for their claims.
struct Tokens {
    rules: TokenRules,
    source: Source,
    state: Mutex<State>,
    /// Held while keys are fetched: others who need them wait for the same ones.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
enum Source {
    Fixed,
    File(PathBuf),
    Issuer(Box<Issuer>),
}

#[derive(Debug, Default)]
struct State {
    keys: Arc<Keys>,
    refresh: Refresh,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Tokens {
    fn new(options: &TokenOptions) -> Result<Tokens, TokenError> {
        let (source, keys) = match &options.keys {
            KeySource::Text(text) => (Source::Fixed, Keys::of_operator(text.expose())?),
            KeySource::File(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|source| TokenError::File { path: path.clone(), source })?;
                (Source::File(path.clone()), Keys::of_operator(&text)?)
            }
            KeySource::Url(url) => (Source::Issuer(Box::new(Issuer::new(url)?)), Keys::default()),
        };
        let state = Mutex::new(State { keys: Arc::new(keys), refresh: Refresh::default() });
        Ok(Tokens { rules: options.rules.clone(), source, state, fetching: tokio::sync::Mutex::default() })
    }

    async fn account(self: &Arc<Self>, token: &Secret, now: Time) -> Result<Account, Refused> {
        let unauthorized = |reason: String| (CloseCode::Unauthorized, reason.into());
        let payload = match self.keys(now).await?.verify(token.expose()) {
            Err(BadToken::UnknownKey) => self.keys_with_unknown(now).await?.verify(token.expose()),
            verified => verified,
        };
        let payload = payload.map_err(|bad| unauthorized(bad.to_string()))?;
        Account::read(&payload, &self.rules, now).map_err(|invalid| unauthorized(invalid.to_string()))
    }

    /// The present keys. They are fetched behind the caller's back, unless there are none.
    async fn keys(self: &Arc<Self>, now: Time) -> Result<Arc<Keys>, Refused> {
        if matches!(self.source, Source::Fixed) {
            return Ok(self.state().keys.clone());
        }
        let (is_usable, is_due) = {
            let refresh = self.state().refresh;
            (refresh.is_usable(now), refresh.is_due(false, now))
        };
        if !is_usable {
            self.fetch_if_due(false, now).await;
        } else if is_due {
            let this = self.clone();
            tokio::spawn(async move { this.fetch_if_due(false, now).await });
        }
        let state = self.state();
        match state.refresh.is_usable(now) {
            true => Ok(state.keys.clone()),
            false => Err(unavailable()),
        }
    }

    /// The keys, after a token has named one that is not among them.
    async fn keys_with_unknown(self: &Arc<Self>, now: Time) -> Result<Arc<Keys>, Refused> {
        self.fetch_if_due(true, now).await;
        let state = self.state();
        // The key may be a new one, which could not be fetched.
        match state.refresh.is_failing() {
            true => Err(unavailable()),
            false => Ok(state.keys.clone()),
        }
    }

    async fn fetch_if_due(&self, unknown: bool, now: Time) {
        let _fetching = self.fetching.lock().await;
        {
            let mut state = self.state();
            if matches!(self.source, Source::Fixed) || !state.refresh.is_due(unknown, now) {
                return;
            }
            state.refresh.begin(now);
        }
        match self.fetch().await {
            Ok(keys) => {
                let mut state = self.state();
                state.keys = Arc::new(keys);
                state.refresh.succeed(now);
            }
            Err(error) => tracing::warn!(source = ?self.source, %error, "the keys of tokens could not be fetched"),
        }
    }

    async fn fetch(&self) -> Result<Keys, Box<dyn std::error::Error + Send + Sync>> {
        Ok(match &self.source {
            Source::Fixed => unreachable!("a fixed source is not fetched"),
            Source::File(path) => Keys::of_operator(&tokio::fs::read_to_string(path).await?)?,
            Source::Issuer(issuer) => Keys::of_issuer(&issuer.fetch().await?)?,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }
}

fn unavailable() -> Refused {
    (CloseCode::Unavailable, "the keys of tokens cannot be fetched now".into())
}

/// A token with these claims by HS256, for development: an issuer has its own program.
pub fn mint(claims: &serde_json::Value, key_id: Option<&str>, secret: &Secret) -> Result<Secret, BadKeys> {
    let secret = secret.expose().trim();
    Keys::of_operator(secret)?;
    signature::sign(claims, key_id, secret.as_bytes()).map(Secret::from).map_err(|_| BadKeys::None)
}

/// The only part of a token that is kept.
pub(crate) fn hash(token: &Secret) -> [u8; 32] {
    Digest::of(token.expose().as_bytes()).0
}

/// # Panics
/// When the system has no randomness: no secret could be made.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}
