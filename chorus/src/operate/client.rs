//! Sends requests to a monitor. One connection per request: these are commands, not a service.

use std::{io::Write as _, path::PathBuf, time::Duration};

use anyhow::{Context as _, bail, ensure};
use bytes::{Bytes, BytesMut};
use chorus_core::secret::Secret;
use chorus_monitor::api::Refusal;
use clap::Args;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    client::conn::http1,
    header::{AUTHORIZATION, HOST},
};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::{Value, value::RawValue};
use tokio::net::TcpStream;

use super::local::{self, Found};
use crate::secrets;

/// A running monitor accepts the connection at once.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The slowest response is that to a component, which is compiled first.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(120);

/// The limit of a whole response: a page of rooms has less than a tenth of it.
const MAX_RESPONSE: usize = 64 << 20;

/// The limit of one event: a record of the log has at most 8 MiB.
const MAX_EVENT: usize = 32 << 20;

/// The flags of every operators' command: the monitor, and how to print its responses.
#[derive(Clone, Debug, Args)]
pub struct MonitorArgs {
    /// The monitor's address, or that of a server of one process [default: that of the server that uses the data directory; else
    /// `http://127.0.0.1:7400`]
    #[arg(long, env = "CHORUS_MONITOR", value_name = "URL", help_heading = "Monitor")]
    monitor: Option<String>,
    /// The file with the monitor's token. The environment variable CHORUS_TOKEN has the same text in place of a file [default:
    /// that in the data directory, if its server is used]
    #[arg(long, env = "CHORUS_TOKEN_FILE", value_name = "FILE", help_heading = "Monitor")]
    token_file: Option<PathBuf>,
    /// The data directory in which a server on this machine is looked for, if no address is given
    #[arg(long, env = "CHORUS_DATA", value_name = "DIR", default_value = "data", help_heading = "Monitor")]
    data: PathBuf,
    /// Prints JSON, for programs
    #[arg(long, help_heading = "Monitor")]
    pub json: bool,
}

/// A monitor.
#[derive(Debug)]
pub struct Client {
    authority: String,
    token: Secret,
}

/// A monitor's own address.
const MONITOR: &str = "http://127.0.0.1:7400";

impl MonitorArgs {
    pub fn client(&self) -> anyhow::Result<Client> {
        let given = secrets::operators_token(self.token_file.as_ref())?;
        if let Some(monitor) = &self.monitor {
            let missing = "the operators' token is missing: set CHORUS_TOKEN, or name a file by --token-file";
            return Ok(Client { authority: authority(monitor)?, token: given.context(missing)? });
        }
        match (local::find(&self.data)?, given) {
            (Some(local), given) => self.of(&local, given),
            (None, Some(token)) => Ok(Client { authority: authority(MONITOR)?, token }),
            (None, None) => bail!(
                "no server runs on {}: start one there, name another data directory by --data, or give the address and the \
                 token of a monitor by --monitor and --token-file",
                self.data.display()
            ),
        }
    }

    /// The client of a server on this machine.
    fn of(&self, local: &Found, given: Option<Secret>) -> anyhow::Result<Client> {
        // A user's token is sent to no other user's process.
        ensure!(
            local.is_own || given.is_none(),
            "the server of {} is another user's: give its address by --monitor, or no token",
            self.data.display()
        );
        let kept = self.data.join(local::TOKEN);
        let token = match given {
            Some(token) => token,
            None => secrets::required_token(Some(&kept)).context(
                "the server of this data directory has a token of its own: name its file by --token-file, or set CHORUS_TOKEN",
            )?,
        };
        Ok(Client { authority: authority(&local.url)?, token })
    }
}

/// The host and the port of an address.
fn authority(monitor: &str) -> anyhow::Result<String> {
    // Its text would be in the errors below.
    ensure!(!monitor.contains('@'), "--monitor is an address alone, without a user or a password");
    let uri: Uri = monitor.parse().with_context(|| format!("--monitor {monitor:?} is no address"))?;
    ensure!(
        uri.scheme_str() == Some("http"),
        "--monitor {:?} is no http:// address: a monitor has no TLS; reach one that is far away by a tunnel (ssh -L)",
        monitor
    );
    let host = uri.host().filter(|host| !host.is_empty()).context("--monitor names no host")?;
    ensure!(matches!(uri.path(), "" | "/"), "--monitor is an address alone, without a path");
    Ok(format!("{host}:{}", uri.port_u16().unwrap_or(80)))
}

impl Client {
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        read(self.send(Method::GET, path, Bytes::new()).await?).await
    }

    pub async fn post(&self, path: &str, body: Bytes) -> anyhow::Result<Value> {
        read(self.send(Method::POST, path, body).await?).await
    }

    pub async fn events(&self, path: &str) -> anyhow::Result<Events> {
        events(self.send(Method::GET, path, Bytes::new()).await?).await
    }

    pub async fn post_events(&self, path: &str, body: Bytes) -> anyhow::Result<Events> {
        events(self.send(Method::POST, path, body).await?).await
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Response<Incoming>> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.authority)
            .header(AUTHORIZATION, format!("Bearer {}", self.token.expose()))
            .body(Full::new(body))
            .context("the token has characters that no header can carry, or the path is wrong")?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(self.connect().await?)).await?;
        tokio::spawn(connection);
        let response = tokio::time::timeout(RESPONSE_TIMEOUT, sender.send_request(request)).await;
        let response = response.with_context(|| format!("the monitor at {} did not answer", self.authority))?;
        response.with_context(|| format!("the connection to the monitor at {} broke", self.authority))
    }

    async fn connect(&self) -> anyhow::Result<TcpStream> {
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.authority)).await;
        let connected = connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        connected.with_context(|| {
            format!("cannot reach a monitor at {}: is one running? Set --monitor or CHORUS_MONITOR", self.authority)
        })
    }
}

async fn events(response: Response<Incoming>) -> anyhow::Result<Events> {
    match response.status() {
        StatusCode::OK => Ok(Events { body: response.into_body(), text: BytesMut::new() }),
        _ => Err(read::<Value>(response).await.err().unwrap_or_else(|| anyhow::anyhow!("no events came"))),
    }
}

async fn read<T: DeserializeOwned>(response: Response<Incoming>) -> anyhow::Result<T> {
    let status = response.status();
    let body = http_body_util::Limited::new(response.into_body(), MAX_RESPONSE).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!("the response broke off: {error}"))?.to_bytes();
    if status.is_success() {
        return serde_json::from_slice(&body)
            .context("the response is not JSON: is --monitor the address of a monitor?");
    }
    match serde_json::from_slice::<Refusal>(&body) {
        Ok(Refusal { error, what_to_do }) => bail!("{error}; {what_to_do}"),
        Err(_) => bail!("the response is {status}: is --monitor the address of a monitor?"),
    }
}

/// A response that has another shape than this version's.
const UNEXPECTED: &str = "unexpected response from the monitor: is it the same version of chorus?";

/// Reads a response of the API.
pub fn parse<T: DeserializeOwned>(response: Value) -> anyhow::Result<T> {
    serde_json::from_value(response).context(UNEXPECTED)
}

/// The same for a response that is not parsed as a whole.
pub fn parse_text<T: DeserializeOwned>(response: &str) -> anyhow::Result<T> {
    serde_json::from_str(response).context(UNEXPECTED)
}

/// Server-sent events, in order of arrival.
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    text: BytesMut,
}

/// One event.
#[derive(Debug)]
pub struct Event {
    pub name: String,
    /// The data, unchanged.
    pub data: Box<RawValue>,
}

impl Events {
    /// The next event. `None`: the stream has ended.
    pub async fn next(&mut self) -> anyhow::Result<Option<Event>> {
        loop {
            if let Some(end) = find(&self.text, b"\n\n") {
                let block = self.text.split_to(end + 2);
                match parse_event(&block)? {
                    Some(event) => return Ok(Some(event)),
                    None => continue, // A comment that keeps the connection open.
                }
            }
            ensure!(self.text.len() <= MAX_EVENT, "an event is too large");
            match self.body.frame().await {
                Some(frame) => {
                    let data = frame.context("the connection broke")?.into_data().unwrap_or_default();
                    self.text.extend_from_slice(&data);
                }
                None => return Ok(None),
            }
        }
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn parse_event(block: &[u8]) -> anyhow::Result<Option<Event>> {
    let text = std::str::from_utf8(block).context("an event is not text")?;
    let mut name = "message".to_owned();
    let mut data = None;
    for line in text.lines() {
        match line.split_once(':') {
            Some(("event", value)) => name = value.trim().to_owned(),
            Some(("data", value)) => data = Some(serde_json::from_str(value).context("an event is not JSON")?),
            _ => {}
        }
    }
    Ok(data.map(|data| Event { name, data }))
}

/// The unreserved characters of RFC 3986 stay as they are.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A text as one segment of a path.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// Prints a line. A closed pipe (`| head`) is no error.
pub fn print(line: impl std::fmt::Display) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}

/// Prints JSON, indented for people.
pub fn print_json(value: &Value) {
    print(serde_json::to_string_pretty(value).expect("a JSON value can be written"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_checked_before_a_request_is_sent() {
        for (good, expected) in [
            ("http://127.0.0.1:7400", "127.0.0.1:7400"),
            ("http://monitor.example/", "monitor.example:80"),
            ("http://[::1]:7400", "[::1]:7400"),
        ] {
            assert_eq!(authority(good).unwrap(), expected);
        }
        for bad in [
            "",
            "http://me:secret@monitor.example",
            "127.0.0.1:7400",
            "https://monitor.example",
            "http://monitor.example/v1",
            "http://",
        ] {
            let error = authority(bad).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_server_on_this_machine_is_found_with_its_token() {
        let data = tempfile::tempdir().unwrap();
        let args = |monitor: Option<&str>| MonitorArgs {
            monitor: monitor.map(str::to_owned),
            token_file: None,
            data: data.path().to_owned(),
            json: false,
        };
        let error = args(None).client().unwrap_err().to_string();
        assert!(error.contains("no server runs on") && error.contains("--data"), "{error}");
        let _announced = local::announce(data.path(), "127.0.0.1:4321".parse().unwrap()).unwrap();
        let error = format!("{:#}", args(None).client().unwrap_err());
        assert!(error.contains("--token-file"), "{error}");
        std::fs::write(data.path().join(local::TOKEN), "0123456789abcdef\n").unwrap();
        let found = args(None).client().unwrap();
        assert_eq!((found.authority.as_str(), found.token.expose()), ("127.0.0.1:4321", "0123456789abcdef"));
        // The token is sent to no other address.
        let error = args(Some("http://127.0.0.1:9")).client().unwrap_err().to_string();
        assert!(error.contains("token is missing"), "{error}");
    }

    #[test]
    fn a_response_has_all_that_its_reader_needs() {
        let room = serde_json::json!({
            "id": "7", "kind": "chess", "status": "live", "component": "ab", "members": 2, "offset": 9, "created_at": 5,
            "metadata": { "z": 1 }, "outcome": null, "of_a_newer_version": true,
        });
        let read: chorus_monitor::api::Room = parse(room.clone()).unwrap();
        assert_eq!(read.metadata.map(|json| json.get().to_owned()).as_deref(), Some(r#"{"z":1}"#));
        assert!(read.outcome.is_none());
        let mut lacking = room;
        lacking.as_object_mut().unwrap().remove("members");
        let error = parse::<chorus_monitor::api::Room>(lacking).unwrap_err();
        assert_eq!(error.to_string(), UNEXPECTED);
    }

    #[test]
    fn an_id_stays_between_its_slashes() {
        assert_eq!(segment("host-left-17"), "host-left-17");
        assert_eq!(segment("../x y?é"), "..%2Fx%20y%3F%C3%A9");
    }

    #[test]
    fn comments_are_no_events() {
        let event = parse_event(b"id:7\ndata:{\"offset\":7}\n\n").unwrap().unwrap();
        assert_eq!((event.name.as_str(), event.data.get()), ("message", "{\"offset\":7}"));
        assert_eq!(parse_event(b"event:begin\ndata:{\"from\":1}\n\n").unwrap().unwrap().name, "begin");
        assert!(parse_event(b":\n\n").unwrap().is_none());
        assert!(parse_event(b"data:{\n\n").is_err());
    }
}
