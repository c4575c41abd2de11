//! Bodies: read whole, up to a limit.

use std::{pin::pin, time::Duration};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use warp::http::{HeaderMap, StatusCode, header};

use super::answer::ApiError;

/// The largest body. A component of QuickJS has 1.6 MB, one of StarlingMonkey 12.
pub const MAX_BODY: usize = 16 << 20;

/// The time limit of a body: enough for a component over a slow connection, but not for a client that sends nothing.
const MAX_TIME: Duration = Duration::from_secs(60);

pub(super) async fn read<B: Buf>(
    headers: &HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<Bytes, ApiError> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(too_large());
    }
    match tokio::time::timeout(MAX_TIME, gather(body)).await {
        Ok(body) => body,
        Err(_) => Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "the body took too long", "try again, nearer by")),
    }
}

async fn gather<B: Buf>(body: impl Stream<Item = Result<B, warp::Error>>) -> Result<Bytes, ApiError> {
    let mut body = pin!(body);
    let mut whole = BytesMut::new();
    while let Some(part) = body.next().await {
        let part = part.map_err(|error| ApiError::bad(format!("the body broke off: {error}"), "try again"))?;
        if whole.len() + part.remaining() > MAX_BODY {
            return Err(too_large());
        }
        whole.put(part);
    }
    Ok(whole.freeze())
}

fn too_large() -> ApiError {
    let error = format!("the body is larger than {} MiB", MAX_BODY >> 20);
    let what_to_do = "build the component smaller: jco's quickjs backend makes 1.6 MB of a usual script";
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, error, what_to_do)
}
