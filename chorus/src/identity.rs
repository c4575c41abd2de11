//! Who may play: the flags of every command that serves players.

use std::path::PathBuf;

use chorus_core::identity::TokenRules;
use chorus_edge::{BlockedNamesFile, KeySource, TokenOptions};
use clap::Args;

use crate::seconds::Seconds;

/// Has the keys themselves: a flag would show a secret in the list of processes.
const KEY_VARIABLE: &str = "CHORUS_TOKEN_KEY";

#[derive(Debug, Args)]
pub struct IdentityOptions {
    /// The file with the keys of players' tokens: JWKs, public keys in PEM, or one secret of HS256. It is read again every five
    /// minutes. The environment variable CHORUS_TOKEN_KEY has the same text in place of a file
    #[arg(long, help_heading = "Identity", env = "CHORUS_TOKEN_KEYS", value_name = "FILE")]
    token_keys: Option<PathBuf>,
    /// Where the issuer of players' tokens publishes its keys (a JWKS). They are fetched every five minutes, and when a token
    /// names an unknown key
    #[arg(
        long,
        help_heading = "Identity",
        env = "CHORUS_TOKEN_JWKS",
        value_name = "URL",
        conflicts_with = "token_keys"
    )]
    token_jwks: Option<String>,
    /// The issuer that a token must name (`iss`). May be repeated; without it, any
    #[arg(long, help_heading = "Identity", env = "CHORUS_TOKEN_ISSUER", value_name = "ISSUER", value_delimiter = ',')]
    token_issuer: Vec<Box<str>>,
    /// The audience that a token must name (`aud`). May be repeated; without it, a token that names one is refused
    #[arg(
        long,
        help_heading = "Identity",
        env = "CHORUS_TOKEN_AUDIENCE",
        value_name = "AUDIENCE",
        value_delimiter = ','
    )]
    token_audience: Vec<Box<str>>,
    /// How far the issuer's clock may differ from this one
    #[arg(long, help_heading = "Identity", env = "CHORUS_TOKEN_SKEW", value_name = "SECONDS", default_value_t = Seconds::new(10))]
    token_skew: Seconds,
    /// The claim with the player's name
    #[arg(long, help_heading = "Identity", env = "CHORUS_TOKEN_NAME", value_name = "CLAIM", default_value = "name")]
    token_name: Box<str>,
    /// A claim that rooms see in `player.claims`. May be repeated
    #[arg(long, help_heading = "Identity", env = "CHORUS_TOKEN_CLAIMS", value_name = "CLAIM", value_delimiter = ',')]
    token_claims: Vec<Box<str>>,
    /// Takes in players without a token, as guests [default: true in `dev`; otherwise only while there are no keys of tokens]
    #[arg(
        long,
        help_heading = "Identity",
        env = "CHORUS_ANONYMOUS",
        value_name = "true|false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    anonymous: Option<bool>,
    /// A file of words that no player's name may contain, one a line; lines that begin with # are comments. Such a player gets a
    /// neutral name. The file is read again when it changes
    #[arg(long, help_heading = "Identity", env = "CHORUS_BLOCKED_NAMES", value_name = "FILE")]
    blocked_names: Option<PathBuf>,
}

impl IdentityOptions {
    /// The edge's options, with these. `dev`: for one who develops a game.
    pub fn apply(&self, options: chorus_edge::Options, dev: bool) -> anyhow::Result<chorus_edge::Options> {
        let keys = self.keys();
        let anonymous = self.anonymous.unwrap_or(dev || keys.is_none());
        let rules = TokenRules {
            issuers: self.token_issuer.clone(),
            audiences: self.token_audience.clone(),
            skew_ms: self.token_skew.0.as_millis() as u64,
            name_claim: self.token_name.clone(),
            room_claims: self.token_claims.clone(),
        };
        let blocked = self.blocked_names.as_deref().map(BlockedNamesFile::open).transpose()?;
        let (tokens, blocks_name) =
            (keys.map(|keys| TokenOptions { keys, rules }), blocked.map(BlockedNamesFile::filter));
        Ok(chorus_edge::Options { tokens, anonymous, blocks_name, ..options })
    }

    fn keys(&self) -> Option<KeySource> {
        let file = self.token_keys.clone().map(KeySource::File);
        let url = || self.token_jwks.clone().map(KeySource::Url);
        let text = || std::env::var(KEY_VARIABLE).ok().map(|text| KeySource::Text(text.into()));
        file.or_else(url).or_else(text)
    }
}
