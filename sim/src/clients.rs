//! Players' connections: a client connects to an edge, and to another one if that gives no answer.

use chorus_core::ids::ConnectionId;
use sha2::Digest as _;

use crate::{
    Violation,
    dials::DIALS,
    edge::PING,
    event::{Event, Life},
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
    pub fn new() -> Client {
        Client { player: Player::default(), connection: None, link: 0 }
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
        let (plays, now) = (self.play_on(), self.now);
        match self.clients[client].player.wish(plays, now) {
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

    pub fn client_receives(&mut self, client: usize, link: u32, text: Option<String>) -> Result<(), Violation> {
        if self.clients[client].link != link {
            return Ok(());
        }
        let Some(text) = text else {
            self.hang_up(client);
            return Ok(());
        };
        if text == PING {
            self.answer(client, Event::Pong);
            return Ok(());
        }
        self.seen.update(text.as_bytes());
        match self.clients[client].player.sees(&text, self.now) {
            Ok(answers) => {
                answers.into_iter().for_each(|answer| self.say(client, answer));
                Ok(())
            }
            Err(what) => Err(self.wrong(format!("player {client}: {what}"))),
        }
    }
}
