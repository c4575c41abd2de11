// Misbehaving clients. Each receives an error frame or a close code from the table, and no other client is affected.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { once } from "node:events";

import { pair, play } from "./player.mjs";
import { stories } from "./stories.mjs";

const story = stories();

const msg = (id, type, more = {}) => ({ t: "msg", id, type, ...more });
const MAX_SAFE = Number.MAX_SAFE_INTEGER;
const NO_ROOM = "f".repeat(32);

/** Texts that are no frames, or frames out of order, each with the error's code, and its `id` if one could be read. */
const REFUSED = [
  ["", "bad_frame"],
  ["hello", "bad_frame"],
  ["[]", "bad_frame"],
  ["null", "bad_frame"],
  ['"hello"', "bad_frame"],
  ["{}", "bad_frame"],
  ['{"t":"msg","id":1,"type":"games"', "bad_frame"],
  ['{"t":"msg","t":"msg","id":1,"type":"games"}', "bad_frame"],
  [{ t: "dance", id: 3 }, "bad_frame", 3],
  [{ t: "welcome", session: "mine" }, "bad_frame"],
  [{ t: 7 }, "bad_frame"],
  [{ t: "msg", type: "games" }, "bad_frame"],
  [msg(0, "games"), "bad_frame"],
  [msg(-1, "games"), "bad_frame"],
  [msg(1.5, "games"), "bad_frame"],
  [msg("1", "games"), "bad_frame"],
  ['{"t":"msg","id":1e99,"type":"games"}', "bad_frame"],
  ['{"t":"msg","id":9007199254740992,"type":"games"}', "bad_frame"],
  [{ t: "msg", id: 1 }, "bad_frame", 1],
  [msg(1, ""), "bad_frame", 1],
  [msg(1, "x".repeat(65)), "bad_frame", 1],
  [msg(1, 5), "bad_frame"],
  [msg(1, "games", { room: "lobby" }), "bad_frame", 1],
  [msg(1, "games", { room: 5 }), "bad_frame"],
  [msg(MAX_SAFE, "games", { room: NO_ROOM }), "not_in_room", MAX_SAFE],
  [{ t: "hello" }, "bad_order"],
  [{ t: "hello", name: "Other" }, "bad_order"],
  [{ t: "hello", colour: "red" }, "bad_frame"],
  [{ t: "hello", last: { nowhere: 1 } }, "bad_frame"],
  [{ t: "hello", last: { [NO_ROOM]: -1 } }, "bad_frame"],
];

story("an input that is no frame gets an error, and the connection stays open", async ({ raw }) => {
  const client = await raw();
  await client.arrive();
  let id = 100;
  for (const [frame, code, about] of REFUSED) {
    client.send(frame);
    const error = await client.frame("error");
    assert.deepEqual([error.code, error.id], [code, about], JSON.stringify(frame));
    assert.ok(error.message.length > 10, "it says what was expected");
    // A valid frame after each bad one: ten bad ones in a row would close the connection.
    client.send(msg(++id, "games"));
    assert.equal((await client.frame("reply")).id, id);
  }
});

story("a type without a handler, and a refusal by the script, are errors of the room", async ({ raw }) => {
  const client = await raw();
  await client.arrive();
  const answers = [
    [msg(1, "dance"), "unknown_type"],
    [msg(2, "__proto__"), "unknown_type"],
    [msg(3, "constructor"), "unknown_type"],
    [msg(4, "onJoin"), "unknown_type"],
    [msg(5, "joinOrCreate", { data: { kind: "chess" } }), "refused"],
    [msg(6, "joinOrCreate", { data: { kind: 7 } }), "refused"],
    [msg(7, "watch", { data: { room: "__proto__" } }), "refused"],
    [msg(8, "watch"), "refused"],
  ];
  for (const [frame, code] of answers) {
    client.send(frame);
    const error = await client.frame("error");
    assert.deepEqual([error.id, error.code], [frame.id, code], JSON.stringify(frame));
  }
});

story("any JSON within the bounds may be data; each message has its one answer", async ({ raw }) => {
  const client = await raw();
  await client.arrive();
  const data = [
    "null", "true", "0", "-0", "1e308", '"\\u0000"', '"\\ud83d\\ude00"', "[]", '{"kind":null}', '{"__proto__":{"kind":"chess"}}',
    '{"kind":{"toString":"x"}}', '{"kind":"\\ud83d\\ude00"}', `"${"x".repeat(60_000)}"`, `[${"0,".repeat(4_000)}0]`,
    `${"[".repeat(63)}${"]".repeat(63)}`,
  ];
  for (const [n, text] of data.entries()) {
    client.send(`{"t":"msg","id":${n + 1},"type":"games","data":${text}}`);
    assert.equal((await client.frame("reply")).id, n + 1, text.slice(0, 40));
  }
  for (const [n, text] of data.entries()) {
    const id = 100 + 2 * n;
    client.send(`{"t":"msg","id":${id},"type":"joinOrCreate","data":${text}}`);
    const answer = await client.answer(id);
    assert.ok(answer.t === "reply" || answer.code === "refused", `${text.slice(0, 40)}: ${JSON.stringify(answer)}`);
    client.send(msg(id + 1, "cancel"));
    await client.answer(id + 1);
  }
});

story("JSON beyond a bound is refused each time, and does not use up its id", async ({ raw }) => {
  const client = await raw();
  await client.arrive();
  const halves = ['"\\ud83d"', '"\\ude00"', '"\\ude00\\ud83d"', '{"kind":"\\ud83d"}', '{"\\ud83d":1}', '[["\\udfff"]]'];
  const large = [`[${"0,".repeat(20_000)}0]`, `${"[".repeat(64)}${"]".repeat(64)}`, "1e309"];
  for (const data of [...halves, ...large]) {
    client.send(`{"t":"msg","id":1,"type":"games","data":${data}}`);
    assert.equal((await client.answer(1)).code, "bad_data", data.slice(0, 40));
  }
  client.send(msg(1, "games"));
  assert.equal((await client.answer(1)).t, "reply");
});

story("an id below the highest is stale, and has no effect", async ({ raw }) => {
  const client = await raw();
  await client.arrive();
  client.send(msg(5, "joinOrCreate", { data: { kind: "tic-tac-toe" } }));
  assert.equal((await client.frame("reply")).id, 5);
  for (const id of [5, 4, 1]) {
    client.send(msg(id, "cancel"));
    const error = await client.frame("error");
    assert.deepEqual([error.id, error.code], [id, "stale_id"]);
  }
  client.send(msg(MAX_SAFE, "look"));
  assert.equal((await client.frame("reply")).data.position, 1, "no cancel was carried out");
  client.send(msg(MAX_SAFE, "look"));
  assert.equal((await client.frame("error")).code, "stale_id");
});

story("a message before hello, and a second hello, are out of order", async ({ raw }) => {
  const client = await raw();
  client.send(msg(1, "games"));
  const early = await client.frame("error");
  assert.deepEqual([early.code, early.id], ["bad_order", 1]);
  await client.arrive();
  client.send({ t: "hello" });
  assert.equal((await client.frame("error")).code, "bad_order");
});

story("a message to a room that the session has left is refused", async ({ raw, join }) => {
  const client = await raw();
  const { room: lobby } = await client.arrive();
  client.send(msg(1, "joinOrCreate", { data: { kind: "tic-tac-toe" } }));
  await (await join("Ana"))[0].find();
  const game = await client.frame("room");
  await client.frame("left");
  client.send(msg(2, "joinOrCreate", { room: lobby }));
  assert.equal((await client.answer(2)).code, "not_in_room");
  client.send(msg(3, "leave"));
  assert.equal((await client.frame("reply")).room, game.room, "without a room it goes to the latest");
});

/** Actions that close a connection, each with the close code. */
const CLOSED = {
  "ten bad frames in a row": [4506, (client) => { for (let n = 0; n < 10; n++) client.send("{"); }],
  "a binary frame": [4506, (client) => client.socket.send(Buffer.from([1, 2, 3]))],
  "a frame of more than 64 KiB": [4506, (client) => client.send(" ".repeat(65_537))],
  "a much larger frame": [4506, (client) => client.send(" ".repeat(500_000))],
  "pieces that are too large together": [4506, (client) => {
    client.socket.send(" ".repeat(40_000), { fin: false });
    client.socket.send(" ".repeat(40_000), { fin: true });
  }],
  "text that is no UTF-8": [4506, (client) => client.socket.send(Buffer.from([0xff, 0xfe]), { binary: false })],
  "messages without end": [4029, (client) => { for (let id = 1; id <= 400; id++) client.send(msg(id, "games")); }],
  "pings without end": [4029, (client) => { for (let n = 0; n < 400; n++) client.socket.ping(); }],
};

for (const [what, [code, attack]] of Object.entries(CLOSED)) {
  story(`${what}: the connection is closed with ${code}`, async ({ raw }) => {
    const client = await raw();
    await client.arrive();
    attack(client);
    const end = await client.closed();
    assert.equal(end.code, code);
    assert.ok(end.reason.length > 10, "it says why");
  });
}

story("a client that is too fast first gets an error with the time of its next try", async ({ raw }) => {
  const client = await raw();
  await client.arrive();
  for (let id = 1; id <= 130; id++) client.send(msg(id, "games"));
  const error = await client.frame("error");
  assert.equal(error.code, "rate_limited");
  assert.ok(error.id >= 100 && error.retryAfterMs > 0, JSON.stringify(error));
});

story("a client that is not accepted is closed with a reason", async ({ raw }) => {
  for (const hello of [{ token: "x" }, { name: "" }, { name: " " }, { name: "x".repeat(33) }, { name: "a\u0007" }, { name: "\u202eevil" }]) {
    const client = await raw();
    client.send({ t: "hello", ...hello });
    assert.equal((await client.closed()).code, 4501, JSON.stringify(hello));
  }
});

story("before there is a WebSocket, HTTP reports the error", async ({ raw, system }) => {
  await assert.rejects(raw({ headers: { origin: "https://evil.example" } }), /HTTP 403/);
  await assert.rejects(raw({ protocol: "v9.xml.other" }), /HTTP 400/);
  const [url] = system.urls;
  const status = async (path, options) => (await fetch(`${url}${path}`, options)).status;
  assert.equal(await status("/ws"), 426);
  assert.equal(await status("/ws", { method: "POST", body: "{}" }), 405);
  assert.equal(await status("/healthz"), 200);
  assert.equal(await status("/../../etc/passwd"), 404);
  assert.equal(await status("/no/such/page"), 404);
});

story("a connection that does not send HTTP is closed soon", async ({ system }) => {
  const { hostname, port } = new URL(system.urls[0]);
  for (const bytes of ["\u0000\u0001\u0002\r\n\r\n", "GET\r\n\r\n", `GET /ws HTTP/1.1\r\nHost: localhost\r\nX-Large: ${"x".repeat(20_000)}\r\n\r\n`]) {
    const socket = connect(Number(port), hostname);
    socket.on("error", () => {}).on("data", () => {});
    socket.write(bytes, "latin1");
    await once(socket, "close");
  }
});

story("other players are not affected", async ({ raw, join }) => {
  const players = await pair(...(await join("Ana", "Bo")));
  const attack = async () => {
    const client = await raw();
    await client.arrive("Mallory");
    for (let id = 1; id <= 400; id++) client.send(msg(id, "joinOrCreate", { data: { kind: "tic-tac-toe" } }));
    assert.equal((await client.closed()).code, 4029);
  };
  await Promise.all([play(players, [0, 3, 1, 4, 2]), ...Array.from({ length: 5 }, attack)]);
  for (const player of players) {
    await player.sees("the end", ({ winner }) => winner !== null);
    assert.equal(player.connections, 1);
  }
});

// This story is the last: if the attack succeeds, the lobby is unusable for later stories.
story("a session that claims frames that were never sent harms itself only", async ({ raw, join }) => {
  const first = await raw();
  const { resume, room } = await first.arrive("Mallory");
  // A session that has sent nothing has no seat in the lobby once its connection is gone.
  first.send(msg(1, "games"));
  await first.frame("reply");
  first.terminate();
  const second = await raw();
  await second.hello({ resume, last: { [room]: MAX_SAFE } });
  // It leaves the room, and the room's next members continue its frame numbers.
  second.send(msg(2, "joinOrCreate", { data: { kind: "tic-tac-toe" } }));
  const [ana] = await join("Ana");
  await ana.find();
  await ana.in("tic-tac-toe");
  await second.frame("left", (frame) => frame.room === room);
  const [bo] = await join("Bo");
  const { seq } = bo.frames.find(({ t }) => t === "room");
  assert.ok(seq < MAX_SAFE / 2, `Bo's numbers begin at ${seq}: soon no client can count them`);
});
