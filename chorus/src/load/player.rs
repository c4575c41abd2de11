//! One connection, and the steps of a scripted player: it connects, enters a room, sends, receives.

use std::{
    fmt::Write as _,
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use chorus_core::ids::RoomId;
use futures_util::{SinkExt as _, StreamExt as _, TryStreamExt as _, stream};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::{Instant, timeout_at},
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, Utf8Bytes, client::IntoClientRequest as _, http::Uri, protocol::WebSocketConfig},
};

use tokio_util::either::Either;

use super::{
    colyseus::{self, Matchmaker, Seat},
    frames::{after, closed_with, is_event, is_no_error, reply_id},
};

/// The lobby that the server must run.
const LOBBY: &str = "bench-lobby";

/// No request takes this long.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// The number of players that connect, or rooms that are entered, at the same time.
pub const AT_ONCE: usize = 64;

/// The server's address.
#[derive(Clone, Debug)]
pub struct Server {
    url: Arc<str>,
    pub address: SocketAddr,
    /// The address from which players connect, unless the system chooses it.
    source: Option<IpAddr>,
    /// For `wss:`, with the certificate to expect.
    tls: Option<Connector>,
    pub protocol: Protocol,
}

/// What the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Chorus,
    /// The floor has no rooms: every frame is an answer.
    Floor,
    Colyseus,
}

/// A room to enter: the players of one `key` meet in one.
#[derive(Clone, Debug)]
pub struct Party {
    pub kind: &'static str,
    pub key: String,
    pub size: usize,
    /// The room's options, as JSON.
    pub options: &'static str,
}

/// Bare TCP, or TLS over it.
type Link = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// A connected player.
#[derive(Debug)]
pub struct Player {
    socket: WebSocketStream<Link>,
    protocol: Protocol,
    id: u64,
    /// The token that resumes the session, at chorus.
    token: String,
}

/// Connects by TLS to a server with one certificate.
#[derive(Clone)]
struct Connector(TlsConnector);

impl std::fmt::Debug for Connector {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Connector")
    }
}

impl Connector {
    fn trusting(certificate: &Path) -> anyhow::Result<Connector> {
        let pem = fs::read(certificate).with_context(|| format!("cannot read {}", certificate.display()))?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem).context("--certificate is not in PEM")?)?;
        Ok(Connector(chorus_edge::connector(roots)))
    }

    async fn connect(&self, server: IpAddr, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        self.0.connect(ServerName::from(server), stream).await
    }
}

impl Server {
    /// `certificate`: the server's own, in PEM, for `wss:`.
    pub fn at(url: &str, protocol: Protocol, certificate: Option<&Path>) -> anyhow::Result<Server> {
        let uri: Uri = url.parse().with_context(|| format!("--url {url}"))?;
        let host = uri.host().ok_or_else(|| anyhow!("--url {url}: it has no host"))?;
        let host = if host == "localhost" { "127.0.0.1" } else { host.trim_matches(['[', ']']) };
        let ip = host.parse().with_context(|| format!("--url {url}: the host must be an address"))?;
        Ok(Server {
            url: url.into(),
            address: SocketAddr::new(ip, uri.port_u16().unwrap_or(80)),
            source: None,
            tls: certificate.map(Connector::trusting).transpose()?,
            protocol,
        })
    }

    /// The same server, for players that connect from this address of this machine.
    pub fn from(&self, source: [u8; 4]) -> anyhow::Result<Server> {
        anyhow::ensure!(self.is_on_loopback(), "players of many addresses can only come to a loopback address");
        Ok(Server { source: Some(source.into()), ..self.clone() })
    }

    /// A connection without anything on it.
    pub async fn tcp(&self) -> anyhow::Result<TcpStream> {
        let connecting = async {
            let Some(source) = self.source else { return TcpStream::connect(self.address).await };
            let socket = if source.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.bind(SocketAddr::new(source, 0))?;
            socket.connect(self.address).await
        };
        let stream = connecting.await.with_context(|| format!("no connection to {}", self.address))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    pub fn is_on_loopback(&self) -> bool {
        self.address.ip().is_loopback()
    }

    /// Players in its lobby, in no particular order.
    pub async fn players(&self, count: usize) -> anyhow::Result<Vec<Player>> {
        stream::iter(0..count).map(|_| Player::arrive(self)).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// `count` rooms with all their players, as one list of players for each.
    pub async fn parties(&self, count: usize, party: &Party) -> anyhow::Result<Vec<Vec<Player>>> {
        let parties = (0..count).map(|number| Party { key: format!("{}-{number}", party.key), ..party.clone() });
        if self.protocol == Protocol::Colyseus {
            let parties = parties.map(|party| self.seated(party));
            return stream::iter(parties).buffer_unordered(AT_ONCE).try_collect().await;
        }
        let mut players = self.players(count * party.size).await?.into_iter();
        let parties = parties.map(|party| {
            let mut members: Vec<Player> = players.by_ref().take(party.size).collect();
            async move {
                if self.protocol == Protocol::Chorus {
                    enter(&mut members, &party).await?;
                }
                Ok(members)
            }
        });
        stream::iter(parties).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// The players of one room at Colyseus, where players meet at the matchmaker, one after the other.
    async fn seated(&self, party: Party) -> anyhow::Result<Vec<Player>> {
        let mut matchmaker = Matchmaker::connect(self.address).await?;
        let mut members = Vec::new();
        for _ in 0..party.size {
            let seat = matchmaker.join_or_create(&party).await?;
            members.push(Player::sit_down(self, &seat).await?);
        }
        Ok(members)
    }
}

/// All of a party enter their room.
pub async fn enter(members: &mut [Player], party: &Party) -> anyhow::Result<()> {
    for member in members.iter_mut() {
        member.wish(party).await?;
    }
    for member in members {
        member.shown(party.kind).await?;
    }
    Ok(())
}

impl Player {
    /// Connects; with chorus it sends `hello` and waits for the lobby.
    pub async fn arrive(server: &Server) -> anyhow::Result<Player> {
        let mut player = in_time("a connection", Player::connect(server)).await?;
        if server.protocol == Protocol::Chorus {
            player.hello(r#"{"t":"hello"}"#.to_owned()).await?;
            player.shown_lobby().await?;
        }
        Ok(player)
    }

    /// Takes its seat in a room of Colyseus.
    pub async fn sit_down(server: &Server, seat: &Seat) -> anyhow::Result<Player> {
        let url = seat.url(server.address);
        let mut player = in_time("a connection", Player::connect_to(server, &url)).await?;
        in_time("a seat", async {
            while !colyseus::is_joined(&player.next_bytes().await?) {}
            anyhow::Ok(())
        })
        .await?;
        player.transmit(Message::Binary(Bytes::from_static(colyseus::JOINED))).await?;
        Ok(player)
    }

    /// Leaves its room at Colyseus, and waits for the end of the connection.
    pub async fn stand_up(mut self) -> anyhow::Result<()> {
        self.transmit(Message::Binary(Bytes::from_static(colyseus::LEAVE))).await?;
        in_time("the end of a connection", async {
            self.drain().await;
            Ok(())
        })
        .await
    }

    /// Opens a session whose connection is dropped at once.
    pub async fn throwaway(server: &Server) -> anyhow::Result<()> {
        Player::connect(server).await?.hello(r#"{"t":"hello"}"#.to_owned()).await.map(drop)
    }

    /// A new connection for the session, which keeps its rooms.
    pub async fn resume(&mut self, server: &Server) -> anyhow::Result<()> {
        let connection = in_time("a connection", Player::connect(server)).await?;
        self.resume_on(connection, "{}").await.map(drop)
    }

    /// The same on this connection, with the member `last` of `hello`. Returns the `welcome`. After a failure it can be tried again.
    pub async fn resume_on(&mut self, mut connection: Player, last: &str) -> anyhow::Result<Utf8Bytes> {
        connection.id = self.id;
        let welcome = connection.hello(format!(r#"{{"t":"hello","resume":"{}","last":{last}}}"#, self.token)).await?;
        *self = connection;
        Ok(welcome)
    }

    async fn hello(&mut self, hello: String) -> anyhow::Result<Utf8Bytes> {
        self.transmit(Message::Text(hello.into())).await?;
        let welcome = in_time("the welcome", self.next()).await?;
        let token = after(&welcome, r#""resume":""#).and_then(|rest| rest.split('"').next());
        self.token = token.with_context(|| format!("no welcome: {welcome}"))?.to_owned();
        Ok(welcome)
    }

    /// A connection without a session.
    pub async fn connect(server: &Server) -> anyhow::Result<Player> {
        Player::connect_to(server, &server.url).await
    }

    async fn connect_to(server: &Server, url: &str) -> anyhow::Result<Player> {
        let stream = server.tcp().await?;
        // This process has thousands of them.
        let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
        let request = url.into_client_request()?;
        let stream = match &server.tls {
            None => Link::Left(stream),
            Some(tls) => Link::Right(Box::new(tls.connect(server.address.ip(), stream).await.context("no TLS")?)),
        };
        let (socket, _) = client_async_with_config(request, stream, Some(config)).await.context("no WebSocket")?;
        Ok(Player { socket, protocol: server.protocol, id: 0, token: String::new() })
    }

    /// Requests a room from the lobby, without waiting.
    pub async fn wish(&mut self, party: &Party) -> anyhow::Result<()> {
        let Party { kind, key, size, options } = party;
        let data = format!(r#"{{"kind":"{kind}","key":"{key}","size":{size},"options":{options}}}"#);
        self.send("enter", &data).await
    }

    /// Enters a room.
    pub async fn enter(&mut self, party: &Party) -> anyhow::Result<()> {
        self.wish(party).await?;
        self.shown(party.kind).await.map(drop)
    }

    /// Returns to the lobby, by sending this message to the room.
    pub async fn go_home(&mut self, word: &str) -> anyhow::Result<()> {
        self.send(word, "null").await?;
        self.shown_lobby().await
    }

    /// Back in the lobby from a game that it has left.
    pub async fn left_for_home(mut self) -> anyhow::Result<Player> {
        self.go_home("leave").await?;
        Ok(self)
    }

    /// Recognized by its id: its kind depends on the server.
    async fn shown_lobby(&mut self) -> anyhow::Result<()> {
        let lobby = format!(r#""room":"{}""#, RoomId::LOBBY);
        self.shown_room("the lobby", &lobby).await.map(drop)
    }

    /// Waits for a room of this kind, and returns its `room` frame.
    pub async fn shown(&mut self, kind: &str) -> anyhow::Result<Utf8Bytes> {
        self.shown_room(kind, &format!(r#""kind":"{kind}""#)).await
    }

    async fn shown_room(&mut self, what: &str, has: &str) -> anyhow::Result<Utf8Bytes> {
        let shown = async {
            loop {
                let text = self.next().await?;
                if text.starts_with(r#"{"t":"room""#) && text.contains(has) {
                    return Ok(text);
                }
                is_no_error(&text).with_context(|| format!("on the way to {what}"))?;
            }
        };
        in_time("a room", shown).await
    }

    /// Sends a message and waits for its answer.
    pub async fn ask(&mut self, msg_type: &str, data: &str) -> anyhow::Result<()> {
        self.send(msg_type, data).await?;
        self.answered().await
    }

    pub async fn send(&mut self, msg_type: &str, data: &str) -> anyhow::Result<()> {
        self.id += 1;
        if self.protocol == Protocol::Colyseus {
            let request = colyseus::request(self.id, msg_type, data)?;
            return self.transmit(Message::Binary(request.into())).await;
        }
        let mut text = String::with_capacity(48 + msg_type.len() + data.len());
        write!(text, r#"{{"t":"msg","id":{},"type":"{msg_type}","data":{data}}}"#, self.id)?;
        self.transmit(Message::Text(text.into())).await
    }

    /// Sends a ping of WebSocket.
    pub async fn ping(&mut self) -> anyhow::Result<()> {
        self.transmit(Message::Ping(Bytes::new())).await
    }

    /// Sends the last message once more, under its id.
    pub async fn send_again(&mut self, msg_type: &str, data: &str) -> anyhow::Result<()> {
        self.id -= 1;
        self.send(msg_type, data).await
    }

    /// The id of its last message.
    pub fn last_id(&self) -> u64 {
        self.id
    }

    /// Waits for the answer to its last message.
    pub async fn answered(&mut self) -> anyhow::Result<()> {
        if self.protocol == Protocol::Colyseus {
            while !colyseus::answers(&self.next_bytes().await?, self.id)? {}
            return Ok(());
        }
        loop {
            let text = self.next().await?;
            if self.protocol == Protocol::Floor || reply_id(&text) == Some(self.id) {
                return Ok(());
            }
            is_no_error(&text)?;
        }
    }

    /// Waits for an event of this type; of the floor, for a frame.
    pub async fn event(&mut self, msg_type: &str) -> anyhow::Result<()> {
        if self.protocol == Protocol::Colyseus {
            while !colyseus::is_message(&self.next_bytes().await?, msg_type) {}
            return Ok(());
        }
        loop {
            let text = self.next().await?;
            if self.protocol == Protocol::Floor || is_event(&text, msg_type) {
                return Ok(());
            }
            is_no_error(&text)?;
        }
    }

    /// The next frame of chorus or the floor.
    pub async fn next(&mut self) -> anyhow::Result<Utf8Bytes> {
        loop {
            if let Message::Text(text) = self.next_message().await? {
                return Ok(text);
            }
        }
    }

    /// The next frame of Colyseus.
    async fn next_bytes(&mut self) -> anyhow::Result<Bytes> {
        loop {
            if let Message::Binary(bytes) = self.next_message().await? {
                return Ok(bytes);
            }
        }
    }

    async fn next_message(&mut self) -> anyhow::Result<Message> {
        match self.socket.next().await {
            Some(Ok(Message::Close(frame))) => bail!("the server closed the connection{}", closed_with(frame)),
            Some(Ok(message)) => Ok(message),
            Some(Err(error)) => Err(error).context("the connection was lost"),
            None => bail!("the connection is closed"),
        }
    }

    /// Receives until the connection ends, and answers pings.
    pub async fn idle(mut self) -> anyhow::Result<()> {
        loop {
            self.next_message().await?;
        }
    }

    /// Reads and drops frames, until the connection is lost.
    pub async fn drain(&mut self) {
        while self.next_message().await.is_ok() {}
    }

    /// Receives until then, and answers pings.
    pub async fn idle_until(&mut self, then: Instant) -> anyhow::Result<()> {
        loop {
            match timeout_at(then, self.next_message()).await {
                Ok(frame) => drop(frame?),
                Err(_) => return Ok(()),
            }
        }
    }

    async fn transmit(&mut self, message: Message) -> anyhow::Result<()> {
        self.socket.send(message).await.context("the connection was lost")
    }
}

async fn in_time<T>(what: &str, waiting: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let waited = tokio::time::timeout(TIMEOUT, waiting).await;
    waited.unwrap_or_else(|_| bail!("waited {} s for {what}: is the server's lobby {LOBBY}?", TIMEOUT.as_secs()))
}
