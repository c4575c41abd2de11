//! The keys of tokens, and the check of a token's signature with them. Pure.
//!
//! A key is for one algorithm, by its own kind: RSA for RS256, P-256 for ES256, Ed25519 for EdDSA, a secret for HS256. What a token's
//! header names chooses among the keys, and never how one is used.

use std::fmt;

use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde_json::{Value, value::RawValue};

use super::signature;

/// The longest token, in bytes.
pub(crate) const MAX_TOKEN: usize = 8 * 1024;

/// Keys beyond it are ignored: an issuer publishes two or three. At most so many are tried for a token that names none.
pub(crate) const MAX_KEYS: usize = 16;

/// The shortest secret of HS256, in bytes: as long as the hash. A shorter one could be guessed.
const MIN_SECRET: usize = 32;

/// The keys of one issuer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys(Vec<Key>);

#[derive(Clone)]
struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Why a text has no keys. It contains nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    #[error("it has no key of RS256, ES256, EdDSA or HS256 in it")]
    None,
    #[error("a secret of HS256 has at least {MIN_SECRET} bytes; `openssl rand -hex 32` makes one")]
    ShortSecret,
    #[error("it begins as PEM does, and is no public key in PEM (`-----BEGIN PUBLIC KEY-----`)")]
    Pem,
    #[error("it begins as JSON does, and is neither a JWK nor a set of them")]
    Json,
}

/// Why a token is not valid. It contains nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadToken {
    #[error("the token has more than {MAX_TOKEN} bytes")]
    Long,
    #[error("the token is no JWT that is signed by RS256, ES256, EdDSA or HS256")]
    Malformed,
    #[error("the token is signed with a key that is not known here")]
    UnknownKey,
    #[error("the token's signature is wrong")]
    Signature,
}

impl Keys {
    /// The keys of a file or of the environment: JWKs, public keys in PEM, or else one secret.
    pub fn of_operator(text: &str) -> Result<Keys, BadKeys> {
        let text = text.trim();
        match text.as_bytes().first() {
            Some(b'{') => Keys::of_json(text, true),
            Some(b'-') => Keys::of_pem(text),
            _ if text.len() < MIN_SECRET => Err(BadKeys::ShortSecret),
            _ => Ok(Keys(vec![secret(None, text.as_bytes())?])),
        }
    }

    /// The keys that an issuer publishes. A secret among them is none any more, and is ignored.
    pub fn of_issuer(text: &str) -> Result<Keys, BadKeys> {
        Keys::of_json(text, false)
    }

    fn of_json(text: &str, secrets: bool) -> Result<Keys, BadKeys> {
        let value: Value = serde_json::from_str(text).map_err(|_| BadKeys::Json)?;
        let all = match value.get("keys") {
            Some(keys) => keys.as_array().cloned().ok_or(BadKeys::Json)?,
            None => vec![value],
        };
        // A key of a kind that is unknown here is for others.
        let known = all.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let keys: Vec<Key> = known.filter_map(|jwk| key_of(&jwk, secrets)).take(MAX_KEYS).collect();
        if keys.is_empty() { Err(BadKeys::None) } else { Ok(Keys(keys)) }
    }

    fn of_pem(text: &str) -> Result<Keys, BadKeys> {
        const END: &str = "-----END PUBLIC KEY-----";
        let blocks = text.split_inclusive(END).map(str::trim).filter(|block| !block.is_empty());
        let keys: Result<Vec<Key>, BadKeys> = blocks.take(MAX_KEYS).map(public_key).collect();
        Ok(Keys(keys?))
    }

    #[cfg(any(test, fuzzing))]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The payload of a token whose signature is valid.
    pub fn verify(&self, token: &str) -> Result<String, BadToken> {
        if token.len() > MAX_TOKEN {
            return Err(BadToken::Long);
        }
        signature::install();
        let header = jsonwebtoken::decode_header(token).map_err(|_| BadToken::Malformed)?;
        let known = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA, Algorithm::HS256];
        if !known.contains(&header.alg) {
            return Err(BadToken::Malformed);
        }
        // A key without an id may be the one that is named.
        let named = |key: &&Key| header.kid.is_none() || key.id.is_none() || key.id == header.kid;
        let named: Vec<&Key> = self.0.iter().filter(named).collect();
        if named.is_empty() {
            return Err(BadToken::UnknownKey);
        }
        let fitting = named.into_iter().filter(|key| key.algorithm == header.alg);
        fitting.map(|key| key.verify(token)).find(Result::is_ok).unwrap_or(Err(BadToken::Signature))
    }
}

impl Key {
    fn verify(&self, token: &str) -> Result<String, BadToken> {
        let mut validation = Validation::new(self.algorithm);
        // The claims are checked by `chorus_core::identity`, by the clock of the edge.
        (validation.validate_exp, validation.validate_aud) = (false, false);
        validation.required_spec_claims.clear();
        let decoded = jsonwebtoken::decode::<Box<RawValue>>(token, &self.key, &validation);
        decoded.map(|decoded| decoded.claims.get().to_owned()).map_err(|_| BadToken::Signature)
    }
}

fn secret(id: Option<String>, bytes: &[u8]) -> Result<Key, BadKeys> {
    let key = DecodingKey::from_secret(bytes).map_err(|_| BadKeys::ShortSecret)?;
    match bytes.len() < MIN_SECRET {
        true => Err(BadKeys::ShortSecret),
        false => Ok(Key { id, algorithm: Algorithm::HS256, key }),
    }
}

fn public_key(pem: &str) -> Result<Key, BadKeys> {
    let bytes = pem.as_bytes();
    let kinds = [
        (Algorithm::RS256, DecodingKey::from_rsa_pem(bytes)),
        (Algorithm::ES256, DecodingKey::from_ec_pem(bytes)),
        (Algorithm::EdDSA, DecodingKey::from_ed_pem(bytes)),
    ];
    let fitting = kinds.into_iter().find_map(|(algorithm, key)| Some(Key { id: None, algorithm, key: key.ok()? }));
    fitting.ok_or(BadKeys::Pem)
}

/// The key of a JWK, if it is one that signs by an algorithm of ours.
fn key_of(jwk: &Jwk, secrets: bool) -> Option<Key> {
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        AlgorithmParameters::OctetKey(_) if secrets => Algorithm::HS256,
        _ => return None,
    };
    let is_ours = match jwk.common.key_algorithm {
        None => true,
        Some(KeyAlgorithm::RS256) => algorithm == Algorithm::RS256,
        Some(KeyAlgorithm::ES256) => algorithm == Algorithm::ES256,
        Some(KeyAlgorithm::EdDSA) => algorithm == Algorithm::EdDSA,
        Some(KeyAlgorithm::HS256) => algorithm == Algorithm::HS256,
        Some(_) => false,
    };
    let signs = jwk.common.public_key_use.as_ref().is_none_or(|what| *what == PublicKeyUse::Signature);
    let (id, key) = (jwk.common.key_id.clone(), DecodingKey::from_jwk(jwk).ok()?);
    let is_long =
        algorithm != Algorithm::HS256 || key.try_get_as_bytes().is_ok_and(|secret| secret.len() >= MIN_SECRET);
    (is_ours && signs && is_long).then_some(Key { id, algorithm, key })
}
