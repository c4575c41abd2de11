/**
 * One scripted client, and its record for the checker. It plays, or watches, until the run has enough games.
 *
 * Decisions are determined by the seed, but their moments depend on the server: two runs of one seed make the same
 * decisions at different moments.
 */

import { setTimeout as sleep } from "node:timers/promises";

import { Chorus } from "../../../clients/js/chorus.js";
import { rotatingSocket } from "../sockets.mjs";
import { random } from "./random.mjs";

/** The probabilities of a player's actions. */
const CHANCE = { illegalMove: 0.15, disconnect: 0.04, rematch: 0.3 };
const MAX_ROUNDS = 3;
const THINK_MS = [0, 60];
const POLL_MS = 10;
/** After this time a player repeats its request: the queue may have dropped a player that was disconnected. */
const REPEAT_MS = 3000;
/** How long a player waits for the other to reconnect and see the end of the game. */
const END_WAIT_MS = 10_000;
/** By this much, the server's clock may end a turn earlier than this one. */
const CLOCKS_DIFFER_MS = 250;
const RETRY = { retry: { baseMs: 40, maxMs: 400 }, stableMs: 300, answerMs: 5000, storage: null };

export class Player {
  constructor(name, run) {
    Object.assign(this, { name, run, resets: 0, connection: 0, sessions: [], frames: [], sends: [], games: [] });
    this.dice = random(run.seed, name);
    this.client = this.#connectedClient();
  }

  #connectedClient() {
    const { urls } = this.run;
    const first = Math.floor(this.dice.between(0, urls.length));
    // The socket is kept, so that the player can break it.
    const Socket = rotatingSocket(urls, (socket, url) => Object.assign(this, { socket, url }), { first });
    const client = new Chorus(`${urls[0]}/ws`, { name: this.name, WebSocket: Socket, ...RETRY });
    client.on("frame", ({ out, frame }) => this.#record(out, frame));
    client.on("reset", () => (this.resets += 1));
    client.on(
      "disconnected",
      ({ willRetry, code }) => willRetry || this.run.fail(`${this.name} was sent away with ${code}`),
    );
    client.on("room", (room) => room.kind === "tic-tac-toe" && this.#enter(room));
    client.connect();
    return client;
  }

  /** Resolves when the run is over for this player. */
  async play() {
    while (!this.run.aborted) {
      await sleep(POLL_MS);
      const { room } = this.client;
      if (room?.kind === "lobby" && (await this.inLobby(room))) return;
      if (room?.kind === "tic-tac-toe") await this.inGame(room);
    }
  }

  close() {
    this.client.close();
  }

  /** The player's history, for the checker and `chorus audit`. */
  history() {
    const { name, sessions, resets, frames, sends, games } = this;
    return { name, sessions, resets, frames, sends, games };
  }

  // ---- the lobby ----

  /** Resolves with true when there is nothing left to do. */
  async inLobby(room) {
    if (this.run.done) return this.leaveQueue(room);
    if (Date.now() - (this.requestedAt ?? 0) < REPEAT_MS) return false;
    this.requestedAt = Date.now();
    await this.send(room, "joinOrCreate", { kind: "tic-tac-toe" });
    return false;
  }

  /** Resolves with false for a player that has been paired: that game must still be played. */
  async leaveQueue(room) {
    return (await this.send(room, "cancel", {})).outcome === "reply";
  }

  // ---- the game ----

  async inGame(room) {
    const round = this.#game(room).rounds.at(-1);
    const { view } = room;
    if (view.winner !== null) return this.afterGame(room, round);
    if (view.turn !== view.you) return;
    await sleep(this.dice.between(...THINK_MS));
    if (this.dice.happens(CHANCE.illegalMove)) await this.move(room, round, this.illegalCell(room.view), false);
    await this.legalMove(room, round);
  }

  async legalMove(room, round) {
    const { view } = room;
    if (room !== this.client.room || view.winner !== null || view.turn !== view.you) return;
    const free = view.board.flatMap((owner, cell) => (owner === null ? [cell] : []));
    const sent = this.move(room, round, this.dice.pick(free), true);
    if (this.dice.happens(CHANCE.disconnect)) this.socket.terminate();
    await sent;
    await this.shown(room, view);
  }

  /** Waits for the view that follows an answer; otherwise the player's next move would be based on the old one. */
  async shown(room, before) {
    for (let waited = 0; waited < 1000 && room.view === before && room.left === null; waited += POLL_MS)
      await sleep(POLL_MS);
  }

  illegalCell(view) {
    const taken = view.board.flatMap((owner, cell) => (owner === null ? [] : [cell]));
    return this.dice.pick([...taken, -1, 9, "middle", null]);
  }

  async move(room, round, cell, legal) {
    const send = await this.send(room, "move", { cell }, { legal, record: round.sends });
    if (send.outcome === "reply") this.run.moves += 1;
  }

  /** Both players use the same random numbers here, so both want a rematch or neither does. */
  async afterGame(room, round) {
    const game = this.#game(room);
    round.endedAt ??= Date.now();
    // A player that is disconnected when a room ends does not see the end, so neither leaves before both have seen it.
    const both = this.run.seesEnd(this.name, `${room.id} ${game.rounds.length}`);
    if (!both && Date.now() - round.endedAt < END_WAIT_MS) return;
    // Decided once: a player that has agreed to another round plays it, even if the run is over by then.
    round.again ??=
      !this.run.done &&
      game.rounds.length < MAX_ROUNDS &&
      random(this.run.seed, room.id, game.rounds.length).happens(CHANCE.rematch);
    if (round.again) await this.rematch(room, round);
    else await this.leave(room);
  }

  /** The other player may have left instead, if the run ended between the two decisions. Then this one leaves after a while. */
  async rematch(room, round) {
    // The rematch may begin just now: it is then a round without this player.
    if (round.requested && Date.now() - round.requestedAt > REPEAT_MS) this.#game(room).walkedOut ??= this.#game(room).rounds.length;
    if (!round.requested || Date.now() - round.requestedAt > REPEAT_MS)
      await this.send(room, round.requested ? "leave" : "rematch", {});
    round.requested ??= true;
    round.requestedAt ??= Date.now();
  }

  async leave(room) {
    if (this.leaving === room && Date.now() - this.leftAt < REPEAT_MS) return;
    Object.assign(this, { leaving: room, leftAt: Date.now(), requestedAt: 0 });
    await this.send(room, "leave", {});
  }

  // ---- the record ----

  async send(room, type, data, { legal = true, record = null } = {}) {
    const send = { room: room.id, type, data, legal, outcome: "pending" };
    const sentAt = performance.now();
    this.sends.push(send);
    record?.push(send);
    await room.send(type, data).then(
      (reply) => Object.assign(send, { outcome: "reply", reply }),
      ({ code, message }) => Object.assign(send, { outcome: "error", code, message }),
    );
    if (send.outcome === "reply") this.run.answered(this, sentAt);
    return send;
  }

  #record(out, frame) {
    if (frame.t === "welcome") this.connection += 1;
    if (frame.t === "welcome" && !this.sessions.includes(frame.session)) this.sessions.push(frame.session);
    this.frames.push({ connection: this.connection, out: out || undefined, frame });
  }

  #enter(room) {
    room.onView((view) => this.#update(this.#game(room), view));
  }

  #game(room) {
    let game = this.games.find((game) => game.room === room.id);
    if (!game) this.games.push((game = { room: room.id, you: room.view.you, rounds: [newRound()] }));
    return game;
  }

  /** A new round begins when a final board is replaced, even if the player did not see its first view. */
  #update(game, { board, winner, line, deadline }) {
    let round = game.rounds.at(-1);
    const before = round.final;
    if (before && (winner === null || JSON.stringify(before.board) !== JSON.stringify(board)))
      game.rounds.push((round = newRound()));
    if (winner === null) return void (round.deadline = deadline);
    if (round.final) return;
    round.final = { board, winner, line };
    round.timedOut = Boolean(round.deadline) && Date.now() > round.deadline - CLOCKS_DIFFER_MS;
  }
}

const newRound = () => ({ sends: [], final: null, deadline: null, timedOut: false });

/** Watches one game after another. It never plays. */
export class Watcher extends Player {
  async inLobby(room) {
    if (this.run.done) return true;
    await sleep(this.dice.between(50, 400));
    const { outcome, reply } = await this.send(room, "games", {});
    const games = outcome === "reply" && Array.isArray(reply) ? reply : [];
    if (games.length > 0 && room.left === null) await this.send(room, "watch", { room: this.dice.pick(games).room });
    await sleep(100);
    return false;
  }

  async inGame(room) {
    if (room.view.winner === null && !this.run.done) return;
    await sleep(this.dice.between(0, 300)); // Sometimes long enough to see a rematch.
    if (room.left === null && (room.view.winner !== null || this.run.done)) await this.leave(room);
  }
}
