//! What fuzzers do with the decoders of the operators' API. Built for fuzzers and for tests only: `fuzz/README.md` has the list of all
//! targets. A target takes any bytes, and panics when they break a promise of the decoder.

use std::str::FromStr;

use bytes::Bytes;
use chorus_core::identity::BanTarget;
use serde::de::DeserializeOwned;
use warp::http::{HeaderMap, HeaderValue, header};

use super::{
    Token,
    answer::ApiError,
    events::EventsQuery,
    players, query,
    query::{Page, PageQuery},
    reports, rooms,
};
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
    parse::<rooms::ListQuery>(text);
    parse::<reports::ListQuery>(text);
    parse::<EventsQuery>(text);
    if let Some(query) = parse::<PageQuery>(text) {
        checked(query.page::<BanTarget>());
    }
    checked(query::room(text));
    checked(query::kind(text));
    cursor::<rooms::Cursor>(text);
    cursor::<players::Cursor>(text);
    cursor::<reports::Cursor>(text);
    cursor::<BanTarget>(text);
}

/// A place in a list is read as it was written.
fn cursor<T: FromStr + ToString>(text: &str) {
    let read = |text: &str| checked(Page::<T>::of(None, Some(text))).and_then(|page| page.after);
    if let Some(place) = read(text) {
        let again = read(&place.to_string()).expect("it was written so");
        assert_eq!(again.to_string(), place.to_string());
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
