//! Answers: JSON, or an error with its remedy.

use std::borrow::Cow;

use chorus_bus::{AppendError, BoundsError};
use chorus_store::StoreError;
use serde::Serialize;
use warp::{
    Reply,
    http::{HeaderValue, StatusCode, header},
    reply::Response,
};

use crate::{EndingError, ErasureError, api::Refusal};

pub(super) type Answer = Result<Response, ApiError>;

/// A refused or failed request, with its remedy.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    error: String,
    what_to_do: Cow<'static, str>,
    /// A header that belongs to the status.
    header: Option<(header::HeaderName, &'static str)>,
}

impl ApiError {
    pub fn new(status: StatusCode, error: impl Into<String>, what_to_do: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError { status, error: error.into(), what_to_do: what_to_do.into(), header: None }
    }

    pub fn bad(error: impl Into<String>, what_to_do: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, error, what_to_do)
    }

    pub fn not_found(error: impl Into<String>, what_to_do: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, error, what_to_do)
    }

    pub fn conflict(error: impl Into<String>, what_to_do: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(StatusCode::CONFLICT, error, what_to_do)
    }

    pub fn busy(error: impl Into<String>) -> ApiError {
        let mut busy = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error, "try again in a few seconds");
        busy.header = Some((header::RETRY_AFTER, "5"));
        busy
    }

    pub fn unauthorized(error: &'static str) -> ApiError {
        let what_to_do =
            "send the monitor's token as `Authorization: Bearer <token>`; chorus takes it from CHORUS_TOKEN";
        let mut refused = ApiError::new(StatusCode::UNAUTHORIZED, error, what_to_do);
        refused.header = Some((header::WWW_AUTHENTICATE, "Bearer"));
        refused
    }

    pub fn method(methods: &'static str) -> ApiError {
        let mut refused = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "not by this method", format!("use {methods}"));
        refused.header = Some((header::ALLOW, methods));
        refused
    }

    #[cfg(any(test, fuzzing))]
    pub fn text(&self) -> &str {
        &self.error
    }

    pub fn into_response(self) -> Response {
        let refusal = Refusal { error: self.error, what_to_do: self.what_to_do.into_owned() };
        let mut response = json_of(self.status, &refusal);
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> ApiError {
        ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            error.to_string(),
            "see /readyz; try again when the store is back",
        )
    }
}

impl From<AppendError> for ApiError {
    fn from(error: AppendError) -> ApiError {
        let what_to_do = "see that the log can be written; then do the same again: what was done is not done twice";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string(), what_to_do)
    }
}

impl From<EndingError> for ApiError {
    fn from(error: EndingError) -> ApiError {
        let what_to_do = "see /readyz; then do the same again: what was done is not done twice";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string(), what_to_do)
    }
}

impl From<ErasureError> for ApiError {
    fn from(error: ErasureError) -> ApiError {
        let what_to_do = "see /readyz; then do the same again: what was done is not done twice";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string(), what_to_do)
    }
}

impl From<BoundsError> for ApiError {
    fn from(error: BoundsError) -> ApiError {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string(), "try again when the broker is back")
    }
}

/// A successful answer.
pub(super) fn json(body: &impl Serialize) -> Answer {
    Ok(json_of(StatusCode::OK, body))
}

pub(super) fn json_of(status: StatusCode, body: &impl Serialize) -> Response {
    let mut response = warp::reply::json(body).into_response();
    *response.status_mut() = status;
    // Answers may contain rooms' states, which must not be cached.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
