//! Players' connections: a client connects to an edge, and to another one if that gives no answer.

use chorus_core::{frame::CloseCode, ids::ConnectionId};
use sha2::Digest as _;

use crate::{
    Violation,
    dials::DIALS,
    event::{Event, Life, ToClient},
    network::Channel,
    player::{Player, Wish},
    world::{OUTSIDE, SLOTS, Slot, World},
};

pub(crate) struct Client {
    pub player: Player,
    /// Its connection: the edge and the edge's number for it.
    connection: Option<(Life, ConnectionId)>,
    /// The number of its connections so far: what was sent to an earlier one is lost.
    link: u32,
}

impl Client {
    pub fn new(number: usize) -> Client {
        Client { player: Player::new(number), connection: None, link: 0 }
    }
}

impl World {
    pub fn act(&mut self, client: usize) {
        let ms = self.draw(DIALS.act);
        self.after(ms, Event::Act(client));
        if self.clients[client].connection.is_none() {
            return self.connect(client);
        }
        let leaves = self.faults_left > 0 && self.one_in(DIALS.hang_up);
        let kicks = self.faults_left > 0 && self.one_in(DIALS.kick);
        let changes_seat = self.faults_left > 0 && self.one_in(DIALS.change_seat);
        let (plays, now) = (self.play_on(), self.now);
        let player = &mut self.clients[client].player;
        let extra = match () {
            () if kicks => player.ask("kick", now),
            () if changes_seat => player.ask("change-seat", now),
            () => None,
        };
        match extra.unwrap_or_else(|| player.wish(plays, now)) {
            _ if leaves => self.hang_up(client),
            Wish::GoAnotherWay => self.hang_up(client),
            Wish::Say(text) => self.say(client, text),
            Wish::Wait => {}
        }
    }

    fn connect(&mut self, client: usize) {
        let n = self.draw(0..SLOTS as u64) as usize;
        let (life, link, now) = (self.slots[&Slot::Edge(n)], self.clients[client].link, self.now);
        let Some(connection) = self.accept(life, client, link) else { return };
        self.clients[client].connection = Some((life, connection));
        let hello = self.clients[client].player.hello(now);
        self.say(client, hello);
    }

    fn hang_up(&mut self, client: usize) {
        let this = &mut self.clients[client];
        this.link += 1;
        if let Some((life, connection)) = this.connection.take() {
            let ms = self.draw(DIALS.lost);
            self.after(ms, Event::Lost(life, connection));
        }
    }

    /// The edge has died: its clients notice that.
    pub fn hang_up_all(&mut self, edge: Life) {
        let is_connected = |client: &Client| client.connection.is_some_and(|(life, _)| life == edge);
        for client in (0..self.clients.len()).filter(|n| is_connected(&self.clients[*n])).collect::<Vec<_>>() {
            self.hang_up(client);
        }
    }

    fn say(&mut self, client: usize, text: String) {
        self.answer(client, |life, connection| Event::Frame(life, connection, text));
    }

    /// Sends an event to the edge that the client is connected to.
    fn answer(&mut self, client: usize, event: impl FnOnce(Life, ConnectionId) -> Event) {
        let Some((life, connection)) = self.clients[client].connection else { return };
        let link = self.clients[client].link;
        let at = self.arrival(OUTSIDE, Channel::Client(client, link));
        self.at(at, event(life, connection));
    }

    pub fn client_receives(&mut self, client: usize, link: u32, sent: ToClient) -> Result<(), Violation> {
        if self.clients[client].link != link {
            return Ok(());
        }
        match sent {
            ToClient::Ping => {
                self.answer(client, Event::Pong);
                Ok(())
            }
            ToClient::Frame(text) => self.frame(client, &text),
            ToClient::Close(code) => self.close(client, code),
        }
    }

    fn frame(&mut self, client: usize, text: &str) -> Result<(), Violation> {
        self.seen.update(text.as_bytes());
        let is_kicked = self.is_kicked(&self.clients[client].player);
        match self.clients[client].player.sees(text, is_kicked, self.now) {
            Ok(answers) => {
                answers.into_iter().for_each(|answer| self.say(client, answer));
                Ok(())
            }
            Err(what) => Err(self.wrong(format!("player {client}: {what}"))),
        }
    }

    fn close(&mut self, client: usize, code: CloseCode) -> Result<(), Violation> {
        self.hang_up(client);
        if code == CloseCode::Unauthorized {
            self.clients[client].player.on_unauthorized();
        }
        if code != CloseCode::Kicked {
            return Ok(());
        }
        if !self.is_kicked(&self.clients[client].player) {
            return Err(
                self.wrong(format!("player {client}: it was not kicked, and its connection is closed with {code:?}"))
            );
        }
        self.clients[client].player.on_refused();
        Ok(())
    }
}
