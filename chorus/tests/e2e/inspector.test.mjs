/** The inspector's requests: what the author sees of a room, and does to it. Not for a cluster. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { get } from "node:http";
import { after, before, test } from "node:test";

import { Server } from "../server.mjs";
import { WAIT_MS } from "./player.mjs";
import { Raw } from "./raw.mjs";

const STREAMS = 8;

let server, ana, lobby;

before(async () => {
  server = await Server.start({ watch: true, args: ["--fixtures", "--lobby", "throw-everywhere"] });
  ana = await Raw.connect(server.url);
  ana.session = (await ana.hello({ name: "Ana" })).session;
  lobby = (await ana.frame("room")).room;
}, { timeout: 180_000 });

after(async () => {
  ana?.terminate();
  await server?.stop();
});

test("a room's members, state, views and records are shown as they change, and reading them is no record", async () => {
  const events = await Stream.of(lobby);
  const state = await events.of("state", ({ members }) => members.some(({ name }) => name === "Ana"));
  assert.deepEqual([state.kind, state.state.state.throwIn, state.members[0].connected], ["throw-everywhere", "", true]);
  assert.ok(state.messages.includes("arm") && "view" in state);
  ana.send({ t: "msg", id: 1, type: "arm", data: "nothing" });
  await ana.answer(1);
  const { record, outputs } = await events.of("record", ({ record }) => record.type === "arm");
  assert.deepEqual([record.command, record.session, record.data], ["message", ana.session, "nothing"]);
  assert.ok(outputs.some(({ what, frame, to }) => what === "frame" && frame.t === "reply" && to[0] === ana.session), JSON.stringify(outputs));
  const changed = await events.of("state", ({ state }) => state.state.throwIn === "nothing");
  assert.equal((await rooms())[0].offset, changed.offset, "the room has applied no further record");
  assert.deepEqual((({ kind, state, members, connected }) => ({ kind, state, members, connected }))((await rooms())[0]), { kind: "throw-everywhere", state: "live", members: 1, connected: 1 });
  events.close();
});

test("a message in a member's name has its effect, is marked, and takes no number from the member's client", async () => {
  const events = await Stream.of(lobby);
  for (const data of ["once", "twice"]) {
    const { offset } = await ok(post("send", { session: ana.session, type: "arm", data }));
    const shown = await events.of("record", ({ record }) => record.offset === offset);
    assert.deepEqual([shown.by_author, shown.record.data, shown.outputs.some(({ frame }) => frame?.t === "reply")], [true, data, false]);
  }
  await events.of("state", ({ state }) => state.state.throwIn === "twice");
  ana.send({ t: "msg", id: 2, type: "arm", data: "message" });
  assert.equal((await ana.answer(2)).t, "reply");
  const mistaken = await ok(post("send", { session: ana.session, type: "dance" }));
  const { outputs } = await events.of("record", ({ record }) => record.offset === mistaken.offset);
  assert.match(outputs[0].text, /no message "dance"; it has arm/);
  for (const body of [{ session: "x", type: "arm" }, { session: ana.session, type: "" }, { session: ana.session }, "no json"]) {
    assert.equal((await post("send", body)).status, 400, JSON.stringify(body));
  }
  assert.equal((await post("send", { session: ana.session, type: "arm", data: "x".repeat(300_000) })).status, 413);
  events.close();
});

test("an error is shown with the author's file and line", async () => {
  const events = await Stream.of(lobby);
  await ok(post("send", { session: ana.session, type: "message" }));
  const { outputs } = await events.of("record", ({ outputs }) => outputs.some(({ what }) => what === "failed"));
  const failed = outputs.find(({ what }) => what === "failed");
  assert.equal(failed.handler, "messages.message");
  assert.match(failed.at, /throw-everywhere\.js:\d+:\d+/);
  events.close();
});

test("an instance that is dropped comes back with the same state, and the room goes on", async () => {
  for (let n = 0; n < 3; n++) {
    await ok(post("send", { session: ana.session, type: "arm", data: `before ${n}` }));
    const { before, after, offset } = await ok(post("crash"));
    assert.match(before, /^[0-9a-f]{64}$/);
    assert.equal(after, before);
    assert.ok(offset > 0);
  }
  ana.send({ t: "msg", id: 3, type: "arm", data: "" });
  assert.equal((await ana.answer(3)).t, "reply");
});

test("only the author may, and only so much at a time", async () => {
  const { host, origin } = new URL(server.url);
  const path = `${server.url}/dev/inspector/rooms/${lobby}/end`;
  for (const [headers, status] of [[{ origin: "https://evil.example" }, 403], [{ "x-forwarded-for": "192.0.2.1" }, 404], [{ via: "1.1 a" }, 404]]) {
    // Where nothing is, nothing takes a POST.
    assert.equal((await fetch(path, { method: "POST", headers, body: "{}" })).status, status === 404 ? 405 : status, JSON.stringify(headers));
    assert.equal((await fetch(`${server.url}/dev/inspector/rooms`, { headers })).status, status, JSON.stringify(headers));
  }
  assert.equal((await fetch(`${server.url}/dev/inspector/rooms`, { headers: { origin } })).status, 200, host);
  assert.equal((await fetch(`${server.url}/dev/inspector/rooms/${"1".repeat(32)}/events`)).status, 404);
  const streams = [];
  try {
    while (streams.length < STREAMS) streams.push(await Stream.of(lobby));
    const refused = await fetch(`${server.url}/dev/inspector/rooms/${lobby}/events`);
    assert.equal(refused.status, 503);
    assert.match((await refused.json()).error, /8 rooms are inspected already/);
  } finally {
    streams.forEach((stream) => stream.close());
  }
  // The places of those that have gone are free again.
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    const stream = await Stream.of(lobby).catch(() => null);
    if (stream) return stream.close();
    assert.ok(Date.now() < deadline, "no place became free");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

const rooms = async () => (await ok(fetch(`${server.url}/dev/inspector/rooms`))).rooms;

const post = (what, body = {}) =>
  fetch(`${server.url}/dev/inspector/rooms/${lobby}/${what}`, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });

async function ok(answer) {
  const response = await answer;
  assert.equal(response.status, 200, response.status === 200 ? "" : await response.text());
  return response.json();
}

/** The events of one room. */
class Stream {
  #events = [];
  #changed = () => {};

  static async of(room) {
    const stream = new Stream();
    stream.request = get(`${server.url}/dev/inspector/rooms/${room}/events`);
    stream.request.on("error", () => {});
    const [response] = await once(stream.request, "response");
    if (response.statusCode !== 200) throw new Error(`HTTP ${response.statusCode}`);
    let text = "";
    response.on("error", () => {});
    response.setEncoding("utf8").on("data", (piece) => {
      const events = (text + piece).split("\n\n");
      text = events.pop();
      for (const event of events) {
        const [, name] = event.match(/^event:\s*(.*)$/m) ?? [];
        const [, data] = event.match(/^data:\s*(.*)$/m) ?? [];
        if (name) stream.#events.push({ name, data: JSON.parse(data) });
      }
      stream.#changed();
    });
    return stream;
  }

  /** The first event of this name that fits, of those that have come or will. */
  async of(name, fits) {
    const deadline = Date.now() + WAIT_MS;
    for (;;) {
      const found = this.#events.find((event) => event.name === name && fits(event.data));
      if (found) return found.data;
      assert.ok(Date.now() < deadline, `no ${name} came: ${JSON.stringify(this.#events.slice(-5))}\n${server.output}`);
      await new Promise((resolve) => {
        const late = setTimeout(resolve, 500);
        this.#changed = () => (clearTimeout(late), resolve());
      });
    }
  }

  close() {
    this.request.destroy();
  }
}
