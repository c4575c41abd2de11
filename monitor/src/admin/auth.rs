//! Authorization by the operators' token.

use std::{fmt, str::FromStr};

use chorus_core::ids::Digest;
use warp::http::{HeaderMap, header};

use super::answer::ApiError;

/// Shorter ones can be guessed. 16 characters of `openssl rand -hex 16` would be 64 bits.
const SHORTEST: usize = 16;

/// The operators' token. Only its hash is kept, so that printing a monitor never prints the token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Digest);

/// A text that cannot be a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    #[error("the token has {0} characters; use at least {SHORTEST}, for instance from `openssl rand -hex 32`")]
    Short(usize),
    #[error("the token has characters that no header can carry; use letters and digits")]
    Characters,
}

impl FromStr for Token {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Token, BadToken> {
        match text.len() {
            short if short < SHORTEST => Err(BadToken::Short(short)),
            _ if !text.bytes().all(|byte| byte.is_ascii_graphic()) => Err(BadToken::Characters),
            _ => Ok(Token(Digest::of(text.as_bytes()))),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

impl Token {
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let shown = headers.get(header::AUTHORIZATION).ok_or_else(|| ApiError::unauthorized("a token is needed"))?;
        match bearer(shown.as_bytes()) {
            Some(shown) if self.is(shown) => Ok(()),
            _ => Err(ApiError::unauthorized("this is not the monitor's token")),
        }
    }

    /// Takes the same time for every text: the hashes are compared whole, and reveal nothing of the tokens anyway.
    fn is(&self, shown: &[u8]) -> bool {
        let shown = Digest::of(shown);
        let differs = self.0.0.iter().zip(shown.0).fold(0, |differs, (ours, theirs)| differs | (ours ^ theirs));
        std::hint::black_box(differs) == 0
    }
}

/// The text after `Bearer `, in upper or lower case.
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_can_be_guessed_is_none() {
        assert_eq!("secret".parse::<Token>(), Err(BadToken::Short(6)));
        assert_eq!("0123456789 abcdef".parse::<Token>(), Err(BadToken::Characters));
        assert_eq!(format!("{:?}", "0123456789abcdef".parse::<Token>()), "Ok(Token(hidden))");
    }

    #[test]
    fn only_the_same_token_is_the_same() {
        let token: Token = "0123456789abcdef".parse().unwrap();
        let show = |header: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, header.parse().unwrap());
            token.check(&headers).is_ok()
        };
        assert!(show("Bearer 0123456789abcdef") && show("bearer 0123456789abcdef"));
        for wrong in ["", "Bearer", "Bearer ", "Bearer 0123456789abcde", "Basic 0123456789abcdef", "0123456789abcdef"] {
            assert!(!show(wrong), "{wrong}");
        }
        assert!(token.check(&HeaderMap::new()).is_err());
    }
}
