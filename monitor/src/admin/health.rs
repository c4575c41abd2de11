//! Whether the process is alive, and whether it is ready.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use warp::http::StatusCode;

use super::{
    Api,
    answer::{Answer, ApiError, json},
};

/// Probes do not wait longer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// A loop without a tick for this long is stuck, even if the store answers.
const MAX_TICK: Duration = Duration::from_secs(30);

pub(super) fn healthz() -> Answer {
    json(&json!({ "status": "ok" }))
}

/// A standby monitor is as ready as the active one.
pub(super) async fn readyz(api: &Arc<Api>) -> Answer {
    let unready = |why: String| {
        ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            why,
            "look at the store, the log and the network; games go on without this",
        )
    };
    match tokio::time::timeout(PROBE_TIMEOUT, api.store.ping()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(unready(error.to_string())),
        Err(_) => return Err(unready(format!("the store did not answer within {PROBE_TIMEOUT:?}"))),
    }
    match tokio::time::timeout(PROBE_TIMEOUT, api.bus.check_ready()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(unready(error)),
        Err(_) => return Err(unready(format!("the log did not answer within {PROBE_TIMEOUT:?}"))),
    }
    let Some(monitor) = &api.monitor else { return json(&json!({ "status": "ready" })) };
    let (ticked, in_charge) = {
        let status = monitor.borrow();
        (status.state, status.active)
    };
    match ticked {
        Err(why) => Err(unready(why.into())),
        Ok(ticked) if ticked.elapsed() > MAX_TICK => Err(unready(format!("its loop has not ticked for {MAX_TICK:?}"))),
        Ok(_) => json(&json!({ "status": "ready", "in_charge": in_charge })),
    }
}
