// The rooms of the benchmark, on Colyseus: what `guests/fixtures/bench-room.js` and `guests/tic-tac-toe` are on chorus.
//
// Colyseus is used as its documentation shows it: one process, its own matchmaker, the WebSocket transport that it installs by
// default, a schema for the state, requests with a response. The rules of the game, its events, its answers and the timer of a
// turn are those of the guest. Its defaults are kept, so the state's changes are sent 20 times a second. With
// `--patch-each-move` they are sent after each move, as chorus sends them.

import { Room, Server } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { WebSocketTransport } from "@colyseus/ws-transport";

import { LINES } from "../../../guests/tic-tac-toe/board.js";

const PATCH_EACH_MOVE = process.argv.includes("--patch-each-move");
const REMATCH_MS = 120_000;
const FREE = -1;

class BenchRoom extends Room {
  maxClients = 10_000;

  messages = {
    echo: (_client, data) => data,
    say: (_client, data) => { this.broadcast("said", data); },
    /** The heap without its garbage, for figures of memory. */
    collect: () => { globalThis.gc?.(); },
  };
}

const Seat = schema({ name: t.string(), connected: t.boolean() }, "Seat");
const Table = schema({
  board: t.array("int8"),
  seats: t.array(Seat),
  turn: t.int8(),
  deadline: t.number(),
  winner: t.string(),
  line: t.array("int8"),
  rematch: t.array("boolean"),
}, "Table");

class TicTacToe extends Room {
  maxClients = 2;
  patchRate = PATCH_EACH_MOVE ? null : this.patchRate;
  state = new Table();
  /** The board and the seats for the rules: reading them from the state costs more. */
  #cells = [];
  #seats = new Map();
  #first = 0;
  #turnMs = 30_000;
  #timer;

  onCreate({ turnSeconds }) {
    if (turnSeconds) this.#turnMs = turnSeconds * 1000;
    this.#first = Math.floor(Math.random() * 2);
    this.#startGame(this.#first);
  }

  onJoin(client) {
    this.#seats.set(client.sessionId, this.#seats.size);
    this.state.seats.push(new Seat().assign({ name: client.sessionId, connected: true }));
    this.#changed();
  }

  messages = {
    move: (client, data, ctx) => {
      const { winner, turn } = this.state;
      const seat = this.#seats.get(client.sessionId);
      const cell = data?.cell;
      if (!Number.isInteger(cell) || cell < 0 || cell > 8) return ctx.reject("a move needs a cell from 0 to 8");
      if (winner !== "") return ctx.reject("the game is over");
      if (turn !== seat) return ctx.reject("it is not your turn");
      if (this.#cells[cell] !== FREE) return ctx.reject("the cell is taken");
      this.#cells[cell] = seat;
      this.state.board[cell] = seat;
      this.broadcast("moved", { seat, cell });
      const end = verdict(this.#cells);
      if (end) this.#finish(end.winner, end.line);
      else this.#startTurn(1 - seat);
      this.#changed();
      return {};
    },

    rematch: (client, _data, ctx) => {
      const { winner, rematch } = this.state;
      const seat = this.#seats.get(client.sessionId);
      if (winner === "") return ctx.reject("the game is not over");
      if (!rematch[seat]) this.broadcast("rematch", { seat });
      rematch[seat] = true;
      const started = rematch.every(Boolean);
      if (started) this.#startGame(1 - this.#first);
      this.#changed();
      return { started };
    },
  };

  #startGame(first) {
    this.#first = first;
    this.#cells = Array(9).fill(FREE);
    this.state.assign({ board: [...this.#cells], winner: "", line: [], rematch: [false, false] });
    this.#startTurn(first);
  }

  #startTurn(seat) {
    this.state.turn = seat;
    this.state.deadline = Date.now() + this.#turnMs;
    this.#after(this.#turnMs, () => this.#finish(`${1 - seat}`, []));
  }

  #finish(winner, line) {
    this.state.assign({ winner, line, deadline: 0 });
    this.#after(REMATCH_MS, () => this.disconnect());
    this.broadcast("ended", { winner, line, reason: line.length > 0 ? "line" : "full" });
  }

  /** One timer: that of the turn, or that of the rematch. */
  #after(ms, then) {
    this.#timer?.clear();
    this.#timer = this.clock.setTimeout(then, ms);
  }

  #changed() {
    if (PATCH_EACH_MOVE) this.broadcastPatch();
  }
}

function verdict(board) {
  for (const line of LINES) {
    const mark = board[line[0]];
    if (mark !== FREE && mark === board[line[1]] && mark === board[line[2]]) return { winner: `${mark}`, line };
  }
  return board.includes(FREE) ? null : { winner: "draw", line: [] };
}

const transport = new WebSocketTransport();
const server = new Server({ transport, greet: false });
server.define("bench-room", BenchRoom).filterBy(["key"]);
server.define("tic-tac-toe", TicTacToe).filterBy(["key"]);
await server.listen(0, "127.0.0.1");
console.log(`Colyseus is at http://127.0.0.1:${transport.server.address().port}/`);
