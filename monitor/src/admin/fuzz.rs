//! What fuzzers do with the decoders of the operators' API. Built for fuzzers and for tests only: `fuzz/README.md` has the list of all
//! targets. A target takes any bytes, and panics when they break a promise of the decoder.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use warp::http::{HeaderMap, HeaderValue, header};

use super::{Token, answer::ApiError, events::EventsQuery, query, rooms::Cursor, rooms::ListQuery};
use crate::api::SwapOrder;

/// Takes any bytes.
pub type Target = fn(&[u8]);

/// All targets, by the names of their corpora.
pub const TARGETS: &[(&str, Target)] = &[("authorization", authorization), ("body", body), ("query", queries)];

/// The longest text of an error about a request.
const MAX_ERROR: usize = 1024;

/// A value, or an error that does not repeat the request.
fn checked<T>(result: Result<T, ApiError>) -> Option<T> {
    result.map_err(|error| assert!(error.text().len() <= MAX_ERROR, "{}", error.text())).ok()
}

/// The query of each route, and the parts of its path.
fn queries(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    fn parse<T: DeserializeOwned>(text: &str) -> Option<T> {
        checked(query::parse(text))
    }
    parse::<ListQuery>(text);
    parse::<EventsQuery>(text);
    checked(query::room(text));
    checked(query::kind(text));
    if let Some(cursor) = checked(text.parse::<Cursor>()) {
        let again = checked(cursor.to_string().parse::<Cursor>()).expect("it was written so");
        assert_eq!(again.to_string(), cursor.to_string());
    }
}

/// A body of JSON.
fn body(bytes: &[u8]) {
    checked(query::json::<SwapOrder>(&Bytes::copy_from_slice(bytes)));
}

/// The header with the token: only the token itself is accepted.
fn authorization(bytes: &[u8]) {
    const TOKEN: &str = "0123456789abcdef";
    let token: Token = TOKEN.parse().expect("a token");
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, value);
    if token.check(&headers).is_ok() {
        assert!(bytes.ends_with(TOKEN.as_bytes()) && bytes.len() == TOKEN.len() + "Bearer ".len());
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_stored_input_is_decoded_or_refused() {
        chorus_testing::corpus::replay("monitor", super::TARGETS);
    }
}
