//! A token's claims, once its signature has been checked.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ACCOUNT, MAX_CLAIMS, MAX_ID, MAX_TOKEN_ID};
use crate::{frame::check_bounds, ids::Time, json::Json};

/// The operator's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRules {
    /// Accepted issuers; empty accepts any, as the keys are those of one issuer.
    pub issuers: Vec<Box<str>>,
    /// Accepted audiences. A token that names audiences must name one of these, so with none it is refused.
    pub audiences: Vec<Box<str>>,
    /// How far the issuer's clock and this one may differ.
    pub skew_ms: u64,
    /// The claim that has the player's name.
    pub name_claim: Box<str>,
    /// The claims that rooms see.
    pub room_claims: Vec<Box<str>>,
}

impl Default for TokenRules {
    fn default() -> TokenRules {
        TokenRules {
            issuers: Vec::new(),
            audiences: Vec::new(),
            // Servers set their clocks by NTP, which holds them within a second.
            skew_ms: 10_000,
            name_claim: "name".into(),
            room_claims: Vec::new(),
        }
    }
}

/// A player by a valid token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The `player.id`: the prefix of accounts, and the token's subject.
    pub id: Arc<str>,
    /// The name, as the token has it.
    pub name: Option<Arc<str>>,
    pub claims: Option<Json>,
    /// From here on the token is refused.
    pub expires: Time,
    /// When the token was issued (`iat`), if it has that.
    pub issued: Option<Time>,
    /// The token's id (`jti`), if it has one of 1 to [`MAX_TOKEN_ID`] bytes.
    pub token_id: Option<Arc<str>>,
}

/// Why a token is refused. The texts are for the client's author, and contain nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    #[error("the token's claims are no JSON object")]
    Malformed,
    #[error("the token has no subject")]
    NoSubject,
    #[error("the token's subject has more than 126 bytes, or a control character")]
    BadSubject,
    #[error("the token does not expire: it needs `exp`, a number of seconds")]
    NoExpiry,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token is of another issuer")]
    OtherIssuer,
    #[error("the token is for another audience")]
    OtherAudience,
    #[error("the token's claims for rooms have more than 1024 bytes, or are beyond a bound on JSON")]
    Claims,
}

/// A claim with one text or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Several(Vec<String>),
}

impl Account {
    /// The account of a token with this payload, whose signature is valid.
    pub fn read(payload: &str, rules: &TokenRules, now: Time) -> Result<Account, InvalidToken> {
        let claims: Claims<'_> = serde_json::from_str(payload).map_err(|_| InvalidToken::Malformed)?;
        claims.check_parties(rules)?;
        Ok(Account {
            expires: claims.check_times(rules.skew_ms, now)?,
            id: claims.id()?,
            name: claims.text(&rules.name_claim).map(Into::into),
            claims: claims.for_rooms(&rules.room_claims)?,
            issued: claims.time("iat"),
            token_id: claims.text("jti").filter(|id| (1..=MAX_TOKEN_ID).contains(&id.len())).map(Into::into),
        })
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Claims<'a>(#[serde(borrow)] BTreeMap<String, &'a RawValue>);

impl Claims<'_> {
    fn get<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Option<T> {
        self.0.get(name).and_then(|raw| serde_json::from_str(raw.get()).ok())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name)
    }

    fn check_parties(&self, rules: &TokenRules) -> Result<(), InvalidToken> {
        let is_known = |known: &[Box<str>], text: &String| known.iter().any(|one| **one == **text);
        if !rules.issuers.is_empty() && !self.text("iss").is_some_and(|iss| is_known(&rules.issuers, &iss)) {
            return Err(InvalidToken::OtherIssuer);
        }
        let audiences = match (self.0.contains_key("aud"), self.get("aud")) {
            (true, Some(Texts::One(one))) => vec![one],
            (true, Some(Texts::Several(several))) => several,
            (true, None) => return Err(InvalidToken::OtherAudience),
            (false, _) if rules.audiences.is_empty() => return Ok(()),
            (false, _) => return Err(InvalidToken::OtherAudience),
        };
        match audiences.iter().any(|one| is_known(&rules.audiences, one)) {
            true => Ok(()),
            false => Err(InvalidToken::OtherAudience),
        }
    }

    /// The end of the token.
    fn check_times(&self, skew_ms: u64, now: Time) -> Result<Time, InvalidToken> {
        let expires = self.time("exp").ok_or(InvalidToken::NoExpiry)?.plus(skew_ms);
        if expires <= now {
            return Err(InvalidToken::Expired);
        }
        // One that is no number is in no past.
        if self.0.contains_key("nbf") && self.time("nbf").is_none_or(|from| from > now.plus(skew_ms)) {
            return Err(InvalidToken::NotYetValid);
        }
        Ok(expires)
    }

    /// A number of seconds, which may have a fraction.
    fn time(&self, name: &str) -> Option<Time> {
        let seconds = self.get::<f64>(name).filter(|seconds| seconds.is_finite() && *seconds >= 0.0)?;
        // Beyond the range of an integer it saturates.
        Some(Time((seconds * 1_000.0) as u64))
    }

    fn id(&self) -> Result<Arc<str>, InvalidToken> {
        let subject = self.text("sub").filter(|subject| !subject.is_empty()).ok_or(InvalidToken::NoSubject)?;
        let fits = ACCOUNT.len() + subject.len() <= MAX_ID && !subject.chars().any(char::is_control);
        if fits { Ok(format!("{ACCOUNT}{subject}").into()) } else { Err(InvalidToken::BadSubject) }
    }

    /// The named claims that the token has, as they stand in it.
    fn for_rooms(&self, names: &[Box<str>]) -> Result<Option<Json>, InvalidToken> {
        let found = self.0.iter().filter(|(name, _)| names.iter().any(|one| **one == ***name));
        let object: BTreeMap<&String, &RawValue> = found.map(|(name, raw)| (name, *raw)).collect();
        if object.is_empty() {
            return Ok(None);
        }
        let json = Json::of(&object);
        match json.len() <= MAX_CLAIMS && check_bounds(&json) {
            true => Ok(Some(json)),
            false => Err(InvalidToken::Claims),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::GuestId;

    const NOW: Time = Time(1_700_000_000_000);

    fn rules() -> TokenRules {
        TokenRules {
            issuers: vec!["https://id.example".into()],
            audiences: vec!["game".into(), "lobby".into()],
            room_claims: vec!["role".into(), "plan".into()],
            ..TokenRules::default()
        }
    }

    /// A valid token's claims, with these in place of its own.
    fn read(changes: &str) -> Result<Account, InvalidToken> {
        let mut claims: serde_json::Map<String, serde_json::Value> = serde_json::from_str(
            r#"{"sub":"42","iss":"https://id.example","aud":"game","exp":1700000060,"name":"Ana","email":"a@b.c"}"#,
        )
        .expect("an object");
        let changes: serde_json::Map<String, serde_json::Value> = serde_json::from_str(changes).expect("an object");
        for (name, value) in changes {
            match value.is_null() {
                true => claims.remove(&name),
                false => claims.insert(name, value),
            };
        }
        Account::read(&serde_json::to_string(&claims).expect("JSON"), &rules(), NOW)
    }

    #[test]
    fn a_subject_becomes_an_id_that_is_no_guests_and_no_property() {
        let account = read("{}").expect("valid");
        assert_eq!((&*account.id, account.name.as_deref(), account.claims), ("u:42", Some("Ana"), None));
        assert_eq!(account.expires, Time(1_700_000_060_000).plus(10_000));
        assert_eq!(&*read(r#"{"sub":"__proto__"}"#).expect("valid").id, "u:__proto__");
        assert_eq!(GuestId::of_player(&read(r#"{"sub":"g:1"}"#).expect("valid").id), None);
        let longest = "x".repeat(MAX_ID - 2);
        assert_eq!(read(&format!(r#"{{"sub":"{longest}"}}"#)).expect("valid").id.len(), MAX_ID);
        for bad in [format!("{longest}x"), "a\\u0000b".to_owned(), "a\\nb".to_owned()] {
            assert_eq!(read(&format!(r#"{{"sub":"{bad}"}}"#)), Err(InvalidToken::BadSubject), "{bad}");
        }
        for none in [r#"{"sub":null}"#, r#"{"sub":""}"#, r#"{"sub":42}"#] {
            assert_eq!(read(none), Err(InvalidToken::NoSubject), "{none}");
        }
    }

    #[test]
    fn a_token_is_valid_between_its_times_give_or_take_the_skew() {
        let ok = |changes: &str| read(changes).map(drop);
        assert_eq!(ok(r#"{"exp":1699999990}"#), Err(InvalidToken::Expired));
        assert_eq!(ok(r#"{"exp":1699999990.5}"#), Ok(()));
        assert_eq!(ok(r#"{"nbf":1700000010}"#), Ok(()));
        assert_eq!(ok(r#"{"nbf":1700000011}"#), Err(InvalidToken::NotYetValid));
        assert_eq!(ok(r#"{"nbf":"soon"}"#), Err(InvalidToken::NotYetValid));
        for none in [r#"{"exp":null}"#, r#"{"exp":"1700000060"}"#, r#"{"exp":-1}"#] {
            assert_eq!(ok(none), Err(InvalidToken::NoExpiry), "{none}");
        }
        assert_eq!(read(r#"{"exp":1e300}"#).expect("valid").expires, Time(u64::MAX));
    }

    #[test]
    fn a_token_of_another_issuer_or_for_another_audience_is_refused() {
        let ok = |changes: &str| read(changes).map(drop);
        for bad in [r#"{"iss":"https://evil.example"}"#, r#"{"iss":null}"#, r#"{"iss":["https://id.example"]}"#] {
            assert_eq!(ok(bad), Err(InvalidToken::OtherIssuer), "{bad}");
        }
        assert_eq!(ok(r#"{"aud":["shop","lobby"]}"#), Ok(()));
        for bad in [r#"{"aud":"shop"}"#, r#"{"aud":[]}"#, r#"{"aud":7}"#, r#"{"aud":null}"#] {
            assert_eq!(ok(bad), Err(InvalidToken::OtherAudience), "{bad}");
        }
        let any = TokenRules::default();
        let read = |claims: &str| Account::read(claims, &any, NOW).map(drop);
        assert_eq!(read(r#"{"sub":"1","exp":1800000000,"iss":"x"}"#), Ok(()));
        assert_eq!(
            read(r#"{"sub":"1","exp":1800000000,"aud":"x"}"#),
            Err(InvalidToken::OtherAudience),
            "none was configured"
        );
    }

    #[test]
    fn rooms_see_the_named_claims_and_no_others() {
        let account = read(r#"{"role":["admin"],"plan":{"until":5},"age":7}"#).expect("valid");
        assert_eq!(account.claims.as_deref(), Some(r#"{"plan":{"until":5},"role":["admin"]}"#));
        let fits = "x".repeat(MAX_CLAIMS - r#"{"role":""}"#.len());
        assert!(read(&format!(r#"{{"role":"{fits}"}}"#)).is_ok());
        assert_eq!(read(&format!(r#"{{"role":"{fits}x"}}"#)), Err(InvalidToken::Claims));
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert_eq!(read(&format!(r#"{{"role":{deep}}}"#)), Err(InvalidToken::Claims));
    }

    #[test]
    fn a_token_has_the_time_of_its_issue_and_its_id_if_it_has_them() {
        let account = read(r#"{"iat":1700000000.5,"jti":"one"}"#).expect("valid");
        assert_eq!((account.issued, account.token_id.as_deref()), (Some(Time(1_700_000_000_500)), Some("one")));
        for none in
            [r#"{}"#.to_owned(), r#"{"iat":"now","jti":7}"#.to_owned(), format!(r#"{{"jti":"{}"}}"#, "x".repeat(257))]
        {
            let account = read(&none).expect("valid");
            assert_eq!((account.issued, account.token_id), (None, None), "{none}");
        }
    }

    #[test]
    fn other_payloads_are_refused() {
        for bad in ["", "[]", "7", "{", r#"{"sub":"1"} "#.repeat(2).as_str()] {
            assert_eq!(Account::read(bad, &rules(), NOW), Err(InvalidToken::Malformed), "{bad}");
        }
    }
}
