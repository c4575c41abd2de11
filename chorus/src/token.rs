//! `chorus token`: tokens of players, for development. In production another program issues them.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::seconds::Seconds;

/// Makes tokens of players, for development
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Mint(Mint),
}

/// Prints a token of a player, signed by HS256
///
/// The secret is that of `--token-keys` of the server: `openssl rand -hex 32 > key` makes one.
#[derive(Debug, Args)]
struct Mint {
    /// The file with the secret
    #[arg(long, env = "CHORUS_TOKEN_KEYS", value_name = "FILE")]
    key: PathBuf,
    /// The player (`sub`); its `player.id` is `u:` and this
    #[arg(long, value_name = "ID")]
    subject: String,
    /// The player's name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The issuer (`iss`)
    #[arg(long, value_name = "ISSUER")]
    issuer: Option<String>,
    /// The audience (`aud`)
    #[arg(long, value_name = "AUDIENCE")]
    audience: Option<String>,
    /// Another claim, `role="admin"`: its name, and its value as JSON. May be repeated
    #[arg(long = "claim", value_name = "NAME=JSON", value_parser = claim)]
    claims: Vec<(String, Value)>,
    /// How long the token is valid
    #[arg(long, value_name = "SECONDS", default_value_t = Seconds(Duration::from_secs(3600)))]
    expires_in: Seconds,
    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
}

pub fn run(options: Options) -> anyhow::Result<()> {
    let Command::Mint(mint) = options.command;
    let token = mint.token()?;
    if mint.json {
        println!("{}", json!({ "token": token, "expiresIn": mint.expires_in.0.as_secs() }));
    } else {
        println!("{token}");
    }
    Ok(())
}

impl Mint {
    fn token(&self) -> anyhow::Result<String> {
        let secret =
            std::fs::read_to_string(&self.key).with_context(|| format!("cannot read {}", self.key.display()))?;
        if secret.trim_start().starts_with(['{', '-']) {
            bail!("{} has keys of another kind: `mint` signs with a secret, a text alone", self.key.display());
        }
        let token = chorus_edge::mint(&self.claims()?, None, &secret.into());
        let token = token.with_context(|| format!("{} cannot sign", self.key.display()))?;
        Ok(token.expose().to_owned())
    }

    fn claims(&self) -> anyhow::Result<Value> {
        ensure!(!self.subject.is_empty(), "--subject is empty");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
        let mut claims: Map<String, Value> = self.claims.iter().cloned().collect();
        let texts = [("sub", Some(&self.subject)), ("name", self.name.as_ref()), ("iss", self.issuer.as_ref())];
        for (name, value) in texts.into_iter().chain([("aud", self.audience.as_ref())]) {
            claims.extend(value.map(|value| (name.to_owned(), Value::from(value.as_str()))));
        }
        claims.insert("iat".to_owned(), now.as_secs().into());
        claims.insert("exp".to_owned(), now.saturating_add(self.expires_in.0).as_secs().into());
        Ok(claims.into())
    }
}

fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("use NAME=JSON")?;
    let value = serde_json::from_str(value).map_err(|error| format!("its value is not JSON: {error}"))?;
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_a_name_and_json() {
        assert_eq!(claim(r#"role=["a=b"]"#), Ok(("role".to_owned(), serde_json::json!(["a=b"]))));
        assert!(claim("role").is_err() && claim("role=admin").is_err());
    }
}
