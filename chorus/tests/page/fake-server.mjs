/**
 * Not chorus: a stand-in with the same protocol, for work on the page and on the tests themselves.
 *
 *     node fake-server.mjs --port 4000 [--data DIR]
 *
 * It accepts the flags of `chorus dev`, and prints its address in the same way. It is one process with a simple lobby and a
 * simple tic-tac-toe. With `--data` the whole state is written before any frame is sent, so that it survives `kill -9` too.
 * `POST /dev/events` with a JSON body shows that body as a status on every page.
 */

import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { parseArgs } from "node:util";

import { WebSocketServer } from "ws";

const { values: flags } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  strict: false,
  options: {
    port: { type: "string", default: "0" },
    data: { type: "string" },
    "turn-ms": { type: "string", default: "30000" },
  },
});

const LOBBY = "000000000000000000000000000010bb7".slice(1);
const LINES = [
  [0, 1, 2],
  [3, 4, 5],
  [6, 7, 8],
  [0, 3, 6],
  [1, 4, 7],
  [2, 5, 8],
  [0, 4, 8],
  [2, 4, 6],
];
const newId = () => randomBytes(16).toString("hex");

// ---- the state ----

const file = flags.data && join(flags.data, "fake.json");
if (file) mkdirSync(flags.data, { recursive: true });
const state = file && existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { sessions: {}, rooms: {} };
state.rooms[LOBBY] ??= { id: LOBBY, kind: "lobby", members: {}, queue: [], results: [], games: [] };
/** Frames to be sent once the state is written. */
let outbox = [];
const sockets = new Map();

function commit() {
  if (file) {
    writeFileSync(`${file}.new`, JSON.stringify(state));
    renameSync(`${file}.new`, file);
  }
  for (const [session, frame] of outbox) sockets.get(session)?.send(JSON.stringify(frame));
  outbox = [];
}

// ---- rooms ----

function say(room, session, frame) {
  const member = room.members[session];
  if (!member) return;
  member.seq += 1;
  const numbered = { ...frame, room: room.id, seq: member.seq };
  member.ring = [...member.ring, numbered].slice(-64);
  outbox.push([session, numbered]);
}

const everyone = (room) => Object.keys(room.members);
const broadcast = (room, type, data) => everyone(room).forEach((who) => say(room, who, { t: "event", type, data }));

function viewOf(room, session) {
  if (room.kind === "lobby") return { kinds: ["tic-tac-toe"] };
  const seats = room.seats.map((seat) => ({
    name: state.sessions[seat]?.name,
    connected: room.members[seat]?.connected ?? false,
  }));
  const you = room.seats.indexOf(session);
  const { board, turn, deadline, winner, line, rematch } = room;
  return { board, seats, turn, you: you < 0 ? null : you, deadline, winner, line, rematch };
}

/** The simplest possible patch: it replaces each changed member of the view as a whole. */
function showChanges(room) {
  for (const who of everyone(room)) {
    const member = room.members[who];
    const view = viewOf(room, who);
    const changed = Object.keys(view).filter((key) => JSON.stringify(view[key]) !== JSON.stringify(member.view[key]));
    if (changed.length === 0) continue;
    member.view = structuredClone(view);
    say(room, who, { t: "patch", ops: changed.map((key) => ({ op: "replace", path: `/${key}`, value: view[key] })) });
  }
}

function enter(room, session) {
  // The frame numbers of a new seat continue above those of all earlier seats.
  room.members[session] = {
    seq: room.highSeq ?? 0,
    ring: [],
    ack: state.sessions[session].lastId,
    connected: sockets.has(session),
    view: {},
  };
  showWhole(room, session);
  state.sessions[session].room = room.id;
  if (room.kind === "lobby")
    say(room, session, {
      t: "event",
      type: "welcome",
      data: { name: state.sessions[session].name, waiting: room.queue.length },
    });
  showChanges(room);
}

function showWhole(room, session) {
  const member = room.members[session];
  member.view = structuredClone(viewOf(room, session));
  say(room, session, { t: "room", kind: room.kind, ack: member.ack, view: member.view });
}

function exit(room, session, reason) {
  say(room, session, { t: "left", reason });
  room.highSeq = Math.max(room.highSeq ?? 0, room.members[session]?.seq ?? 0);
  delete room.members[session];
  if (room.kind === "lobby") dequeue(room, session);
  else away(room, session);
}

function move(session, from, to) {
  enter(to, session);
  exit(from, session, "moved");
}

// ---- the lobby ----

const lobby = () => state.rooms[LOBBY];

function dequeue(room, session) {
  if (!room.queue.includes(session)) return;
  room.queue = room.queue.filter((who) => who !== session);
  tellWaiting(room);
}

const tellWaiting = (room) => broadcast(room, "waiting", { count: room.queue.length });

const lobbyMessages = {
  find(room, session, { kind } = {}) {
    if (kind !== "tic-tac-toe") throw new Error(`there is no game ${kind}`);
    if (!room.queue.includes(session)) room.queue.push(session);
    const position = room.queue.indexOf(session) + 1;
    if (position >= 2) later(() => startGame(room, room.queue.splice(0, 2)));
    tellWaiting(room);
    return { position };
  },
  cancel(room, session) {
    dequeue(room, session);
    return {};
  },
  games: (room) => room.games,
  look(room, session) {
    const position = room.queue.indexOf(session) + 1 || null;
    return { waiting: room.queue.length, position, games: room.games, results: room.results };
  },
  watch(room, session, { room: id } = {}) {
    const game = state.rooms[id];
    if (game?.kind !== "tic-tac-toe") throw new Error("there is no such game");
    later(() => move(session, room, game));
    return {};
  },
};

function startGame(room, seats) {
  const game = { id: newId(), kind: "tic-tac-toe", members: {}, seats, rematch: [false, false] };
  state.rooms[game.id] = game;
  deal(game, 0);
  room.games.push({
    room: game.id,
    kind: game.kind,
    players: seats.map((seat) => state.sessions[seat].name),
    since: Date.now(),
  });
  for (const seat of seats) move(seat, room, game);
  tellWaiting(room);
}

// ---- the game ----

function deal(game, first) {
  Object.assign(game, {
    board: Array(9).fill(null),
    turn: first,
    first,
    winner: null,
    line: null,
    rematch: [false, false],
  });
  game.deadline = Date.now() + Number(flags["turn-ms"]);
}

const gameMessages = {
  move(room, session, { cell } = {}) {
    const seat = room.seats.indexOf(session);
    if (seat < 0) throw new Error("you are watching");
    if (room.winner !== null) throw new Error("the game is over");
    if (room.turn !== seat) throw new Error("it is not your turn");
    if (!Number.isInteger(cell) || cell < 0 || cell > 8) throw new Error("there is no such cell");
    if (room.board[cell] !== null) throw new Error("that cell is taken");
    room.board[cell] = seat;
    broadcast(room, "moved", { seat, cell });
    judge(room, seat);
    showChanges(room);
    return {};
  },
  rematch(room, session) {
    const seat = room.seats.indexOf(session);
    if (seat < 0 || room.winner === null) throw new Error("there is nothing to play again");
    room.rematch[seat] = true;
    if (room.rematch.every(Boolean)) deal(room, 1 - room.first);
    showChanges(room);
    return {};
  },
  leave(room, session) {
    later(() => {
      move(session, room, lobby());
      if (room.seats.includes(session)) close(room, 1 - room.seats.indexOf(session));
    });
    return {};
  },
};

function judge(room, seat) {
  room.line = LINES.find((line) => line.every((cell) => room.board[cell] === seat)) ?? null;
  if (room.line) end(room, seat);
  else if (room.board.every((cell) => cell !== null)) end(room, "draw");
  else Object.assign(room, { turn: 1 - seat, deadline: Date.now() + Number(flags["turn-ms"]) });
}

function end(room, winner) {
  Object.assign(room, { winner, deadline: null });
  broadcast(room, "ended", { winner, line: room.line });
  const result = {
    room: room.id,
    winner,
    players: room.seats.map((seat) => state.sessions[seat].name),
    at: Date.now(),
  };
  lobby().results = [...lobby().results, result].slice(-50);
  broadcast(lobby(), "result", result);
}

function close(room, winner) {
  if (room.winner === null) end(room, winner);
  lobby().games = lobby().games.filter((game) => game.room !== room.id);
  for (const who of everyone(room)) move(who, room, lobby());
  delete state.rooms[room.id];
}

function away(room, session) {
  const seat = room.seats.indexOf(session);
  if (seat >= 0) broadcast(room, "away", { seat });
  showChanges(room);
}

setInterval(() => {
  const late = Object.values(state.rooms).filter((room) => room.deadline && room.deadline < Date.now());
  for (const room of late) (end(room, 1 - room.turn), showChanges(room));
  if (late.length > 0) commit();
}, 250).unref();

// ---- the edge ----

let afterwards = [];
const later = (task) => afterwards.push(task);

function hello(socket, frame) {
  const kept = Object.values(state.sessions).find(({ resumes }) => frame.resume && resumes.includes(frame.resume));
  const session = kept ?? { id: newId(), name: frame.name ?? "Guest", resumes: [], room: LOBBY, lastId: 0 };
  state.sessions[session.id] = session;
  sockets.get(session.id)?.close(4504, "replaced");
  sockets.set(session.id, socket);
  const resume = newId();
  session.resumes = [frame.resume, resume].filter(Boolean);
  const { id, name } = session;
  outbox.push([id, { t: "welcome", session: id, resume, recovered: Boolean(kept), pingMs: 8000, player: id, name }]);
  if (kept) back(session, frame.last ?? {});
  else enter(lobby(), id);
  return session;
}

function back(session, last) {
  const room = state.rooms[session.room];
  const member = room.members[session.id];
  const missed = member.ring.filter(({ seq }) => seq > last[room.id]);
  member.connected = true;
  if (last[room.id] === undefined || missed.length !== member.seq - last[room.id]) showWhole(room, session.id);
  else for (const frame of missed) outbox.push([session.id, frame]);
  for (const id of Object.keys(last).filter((id) => id !== room.id))
    outbox.push([session.id, { t: "left", room: id, seq: last[id] + 1, reason: "moved" }]);
  if (room.kind !== "lobby") broadcast(room, "back", { seat: room.seats.indexOf(session.id) });
  showChanges(room);
}

function message(session, { id, room: roomId, type, data }) {
  const room = state.rooms[roomId ?? session.room];
  const member = room?.members[session.id];
  const refuse = (code, text) => outbox.push([session.id, { t: "error", id, code, message: text }]);
  if (!member) return refuse("not_in_room", "you are not in that room");
  if (id <= member.ack) return;
  member.ack = session.lastId = id;
  const handlers = room.kind === "lobby" ? lobbyMessages : gameMessages;
  if (!Object.hasOwn(handlers, type))
    return say(room, session.id, { t: "error", id, code: "unknown_type", message: `there is no ${type} here` });
  try {
    say(room, session.id, { t: "reply", id, data: handlers[type](room, session.id, data ?? {}) });
  } catch (error) {
    say(room, session.id, { t: "error", id, code: "refused", message: error.message });
  }
  for (const task of afterwards.splice(0)) task();
}

function lose(socket, session) {
  if (sockets.get(session.id) !== socket) return;
  sockets.delete(session.id);
  const room = state.rooms[session.room];
  if (room.members[session.id]) room.members[session.id].connected = false;
  if (room.kind === "lobby") dequeue(room, session.id);
  else away(room, session.id);
  commit();
}

for (const room of Object.values(state.rooms))
  for (const member of Object.values(room.members)) member.connected = false;

// ---- HTTP ----

const at = (path) => new URL(path, import.meta.url);
const types = { ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml" };
const watchers = new Set();

const http = createServer((request, response) => {
  const path = new URL(request.url, "http://fake").pathname;
  if (path === "/dev/events") return devEvents(request, response);
  const name = path === "/" ? "index.html" : path.slice(1);
  const source = name === "chorus.js" ? at("../../../clients/js/chorus.js") : at(`../../page/${name}`);
  if (!/^[\w.-]+$/.test(name) || !existsSync(source)) return response.writeHead(404).end();
  response.writeHead(200, { "content-type": `${types[extname(name)]}; charset=utf-8` }).end(readFileSync(source));
});

function devEvents(request, response) {
  if (request.method === "GET") {
    response.writeHead(200, { "content-type": "text/event-stream" }).write(": hello\n\n");
    watchers.add(response);
    return request.on("close", () => watchers.delete(response));
  }
  let body = "";
  request.on("data", (piece) => (body += piece));
  request.on("end", () => {
    for (const watcher of watchers) watcher.write(`event: status\ndata: ${body}\n\n`);
    response.end();
  });
}

new WebSocketServer({ server: http, path: "/ws" }).on("connection", (socket) => {
  let session = null;
  socket.on("message", (data) => {
    const frame = JSON.parse(data);
    if (frame.t === "ping") return socket.send('{"t":"pong"}');
    if (frame.t === "hello") session = hello(socket, frame);
    else message(session, frame);
    commit();
  });
  socket.on("close", () => session && lose(socket, session));
});

http.listen(Number(flags.port), "127.0.0.1", () =>
  console.log(`a fake chorus is at http://127.0.0.1:${http.address().port}`),
);
