// Stories of one client and a scripted server.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, mock, test } from "node:test";

import { GAME, LOBBY, FakePage, FakeServer, event, left, patch, reply, room, seated, tab } from "./fake.js";

const refusedWith = (code) => (error) => error.name === "ChorusError" && error.code === code;

// The stories run on a mocked clock: time passes only in `tick`, and a client left behind does not keep the process alive.
const clock = mock.timers;
beforeEach(() => clock.enable({ apis: ["setTimeout"] }));
afterEach(() => clock.reset());

describe("a first connection", () => {
  test("sends the name, and receives its identity", () => {
    const server = new FakeServer();
    const client = server.client({ name: "Ana" });
    client.connect();
    assert.equal(server.socket.protocol, "v1.json.chorus");
    server.accept({ player: "p1", name: "Ana" });
    assert.deepEqual(server.received, [{ t: "hello", name: "Ana" }]);
    assert.deepEqual(client.emitted, [["connected", { session: "s1", player: "p1", name: "Ana", recovered: false }]]);
  });

  test("ends in a room with a view", () => {
    const { client } = seated();
    assert.equal(client.room.id, GAME);
    assert.equal(client.room.kind, "tic-tac-toe");
    assert.deepEqual(client.room.view, { board: [null, null] });
  });

  test("that is refused for good is not repeated", async () => {
    const server = new FakeServer();
    const client = server.client();
    client.connect();
    const waiting = client.send("find");
    server.drop(4501, "unauthorized");
    await assert.rejects(waiting, refusedWith("closed"));
    assert.deepEqual(client.emitted, [
      ["disconnected", { willRetry: false, code: 4501, reason: "unauthorized", inMs: null }],
    ]);
    assert.equal(client.state, "closed");
  });
});

describe("messages", () => {
  test("are answered by their id", async () => {
    const { server, client } = seated();
    const [first, second] = [client.send("move", { cell: 4 }), client.room.send("move", { cell: 4 })];
    assert.deepEqual(server.received.slice(1), [
      { t: "msg", id: 1, room: GAME, type: "move", data: { cell: 4 } },
      { t: "msg", id: 2, room: GAME, type: "move", data: { cell: 4 } },
    ]);
    server.send(reply(GAME, 2, 1, { fine: true }));
    server.send({ t: "error", room: GAME, seq: 3, id: 2, code: "refused", message: "taken" });
    assert.deepEqual(await first, { fine: true });
    await assert.rejects(second, { code: "refused", message: "taken" });
  });

  test("refused by the edge carry no seq, and name the time of the next try", async () => {
    const { server, client } = seated();
    const sent = client.send("move");
    server.send({ t: "error", id: 1, code: "rate_limited", message: "slowly", retryAfterMs: 250 });
    await assert.rejects(sent, { code: "rate_limited", retryAfterMs: 250 });
    assert.equal(client.gaps, 0);
  });

  test("before the first room wait for it", () => {
    const server = new FakeServer();
    const client = server.client();
    client.connect();
    client.send("find", { kind: "tic-tac-toe" });
    server.accept();
    assert.equal(server.received.length, 1);
    server.send(room(LOBBY, 1));
    assert.deepEqual(server.received[1], { t: "msg", id: 1, room: LOBBY, type: "find", data: { kind: "tic-tac-toe" } });
  });

  test("wait for a connection up to a bound", async () => {
    const { server, client } = seated({ limit: 2 });
    server.drop();
    client.send("one");
    client.send("two");
    await assert.rejects(client.send("three"), refusedWith("offline"));
  });

  test("without an answer are bounded too", async () => {
    const { client } = seated({ limit: 1 });
    client.send("one");
    await assert.rejects(client.send("two"), refusedWith("busy"));
  });

  test("end when the client is closed", async () => {
    const { server, client } = seated();
    const sent = client.send("move");
    client.close();
    await assert.rejects(sent, refusedWith("closed"));
    await assert.rejects(client.send("move"), refusedWith("closed"));
    assert.equal(server.socket.closed.code, 1000);
  });
});

describe("what cannot be sent", () => {
  const cycle = {};
  cycle.self = cycle;
  const nested = (depth) => JSON.parse("[".repeat(depth) + "]".repeat(depth));
  const bad = {
    "a type that is a number": [5],
    "a type that is an object": [{}],
    "a type that is a symbol": [Symbol("move")],
    "no type": [undefined],
    "an empty type": [""],
    "a type of 65 bytes": ["x".repeat(65)],
    "a type of 22 characters, which are 66 bytes": ["\u20ac".repeat(22)],
    "a type that ends in half a character": ["move\ud83d"],
    "a BigInt": ["move", { cell: 4n }],
    "a cycle": ["move", cycle],
    "a toJSON that throws": ["move", { toJSON: () => { throw new Error("mine"); } }],
    "a toJSON that throws no error": ["move", { toJSON: () => { throw Object.create(null); } }],
    "a getter that throws": ["move", { get cell() { throw new Error("mine"); } }],
    "64 levels in a frame": ["move", nested(64)],
    "half of a character": ["move", { text: "Ana \ud83d" }],
    "half of a character in a name": ["move", { "\udc00": 1 }],
    "4,097 values": ["move", Array(4_097).fill(1)],
    "1,025 members": ["move", Array(205).fill({ a: 1, b: 2, c: 3, d: 4, e: 5 })],
    "257 names": ["move", Object.fromEntries(Array.from({ length: 257 }, (_, n) => [`n${n}`, 1]))],
    "a name of 129 bytes": ["move", { ["x".repeat(129)]: 1 }],
    "33 extreme numbers": ["move", Array(33).fill(1e300)],
    "5,000 levels": ["move", nested(5_000)],
    "70 KB": ["move", "x".repeat(70_000)],
    "22,000 characters, which are 66,000 bytes": ["move", "\u20ac".repeat(22_000)],
  };

  for (const [name, [type, data]] of Object.entries(bad)) {
    test(`is rejected at once: ${name}`, async () => {
      const { server, client } = seated();
      const before = client.send("move", { cell: 1 });
      const refused = client.send(type, data);
      const after = client.send("move", { cell: 2 });
      await assert.rejects(refused, (error) => error instanceof Error && (error.code === "invalid" || name.includes("no error")));
      server.drop();
      clock.tick(0);
      server.accept({ recovered: true });
      assert.deepEqual(server.received.slice(1).map(({ id, data: { cell } }) => [id, cell]), [[1, 1], [2, 2]]);
      server.send(reply(GAME, 2, 1, "one"), reply(GAME, 3, 2, "two"));
      assert.deepEqual(await Promise.all([before, after]), ["one", "two"]);
    });
  }

  test("is not data that `JSON.stringify` replaces", () => {
    const { server, client } = seated();
    for (const data of [undefined, () => {}, Symbol("x"), NaN, new Date(0), { a: undefined, b: () => {} }, [undefined]]) {
      client.send("move", data);
    }
    assert.deepEqual(
      server.received.slice(1).map((frame) => frame.data),
      [undefined, undefined, undefined, null, "1970-01-01T00:00:00.000Z", {}, [null]],
    );
  });

  test("ends at the limits, which are allowed", () => {
    const { server, client } = seated();
    client.send("x".repeat(64));
    client.send("\u20ac".repeat(21));
    client.send("move", nested(63));
    const overhead = JSON.stringify({ t: "msg", id: Number.MAX_SAFE_INTEGER, room: GAME, type: "move", data: "" }).length;
    client.send("move", "x".repeat(65_536 - overhead));
    client.send("move", Array(4_085).fill(1));
    client.send("move", { ["x".repeat(128)]: 1, text: "\\ud83d \u{1f600}" });
    client.send("move", [...Array(32).fill(-1e300), 0, 1e21, 123456789012345680000]);
    assert.equal(server.received.length, 8);
  });

  test("is serialized once: later changes are not sent", () => {
    const { server, client } = seated();
    const data = { cell: 1 };
    client.send("move", data);
    data.cell = 2n;
    server.drop();
    clock.tick(0);
    server.accept({ recovered: true });
    assert.deepEqual(server.received[1].data, { cell: 1 });
  });

  test("closes nothing when serializing closes the client", async () => {
    const { client } = seated();
    const sent = client.send("move", { toJSON: () => client.close() });
    await assert.rejects(sent, refusedWith("closed"));
  });

  test("never affects messages that can be, in any order, over any number of connections", async () => {
    const random = mulberry(20261129);
    for (let round = 0; round < 40; round++) {
      const { server, client } = seated();
      const open = new Map();
      const promises = [];
      let seq = 1;
      let sent = 0;
      const answer = () => {
        const [id, n] = open.entries().next().value ?? [];
        if (id === undefined) return;
        open.delete(id);
        server.send(reply(GAME, ++seq, id, n));
      };
      for (let step = 0; step < 60; step++) {
        const dice = random();
        if (dice < 0.35) {
          const n = sent++;
          promises.push(client.send("move", { n }).then((got) => assert.equal(got, n)));
          open.set(sent, n);
        } else if (dice < 0.7) {
          const [type, data] = Object.values(bad)[Math.floor(random() * Object.keys(bad).length)];
          promises.push(assert.rejects(client.send(type, data)));
        } else if (dice < 0.9) answer();
        else {
          server.drop();
          clock.tick(30_000);
          server.accept({ recovered: true });
          const again = server.received.slice(1).map(({ id, data }) => [id, data.n]);
          assert.deepEqual(again, [...open], "what has no answer is sent again, and nothing else");
        }
      }
      while (open.size > 0) answer();
      await Promise.all(promises);
      assert.equal(client.state, "connected");
      client.close();
    }
  });
});

/** A generator of numbers from 0 to 1, determined by its seed. */
function mulberry(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe("options", () => {
  const server = () => new FakeServer();

  test("that are invalid are refused by the constructor", () => {
    const wrong = [
      { name: 5 }, { name: {} }, { token: 5 }, { answerMs: NaN }, { answerMs: -1 }, { connectMs: "soon" }, { connectMs: 2 ** 31 },
      { limit: null }, { retry: { baseMs: NaN } }, { retry: { maxMs: "1" } }, { offlinePage: "no" },
    ];
    for (const options of wrong) assert.throws(() => server().client(options), TypeError, JSON.stringify(options));
    assert.throws(() => server().client().forget(5), TypeError);
  });

  test("may hold a name that a field has cut in the middle of a character", () => {
    const there = server();
    there.client({ name: "Ana \ud83d" }).connect();
    there.accept();
    assert.deepEqual(there.received, [{ t: "hello", name: "Ana " }]);
  });

  test("ignore stored sessions that this client did not write", () => {
    for (const kept of ["5", "null", '"x"', "[]", '{"resume":5,"id":"x","name":{}}', '{"id":-1}', '{"id":1e300}']) {
      const there = server();
      const client = there.client({ storage: { getItem: () => kept, setItem: () => {} } });
      client.connect();
      there.accept();
      there.send(room(GAME, 1));
      client.send("move");
      assert.deepEqual([there.received[0], there.received[1].id], [{ t: "hello" }, 1], kept);
    }
  });
});

describe("a lost connection", () => {
  test("is followed by a resume at once, with the numbers of the last frames", () => {
    const { server, client } = seated();
    server.send(event(GAME, 2, "moved"));
    server.drop();
    assert.equal(client.emitted.at(-1)[1].inMs, 0);
    clock.tick(0);
    server.accept({ recovered: true });
    assert.deepEqual(server.received[0], { t: "hello", resume: "token 1", last: { [GAME]: 2 } });
    assert.equal(client.resumes, 1);
  });

  test("is followed by attempts at growing, random intervals", () => {
    const { server, client } = seated({ retry: { baseMs: 100, maxMs: 400 } });
    const delays = [];
    for (let attempt = 0; attempt < 6; attempt++) {
      server.drop();
      delays.push(client.emitted.at(-1)[1].inMs);
      clock.tick(delays.at(-1));
    }
    const bounds = [
      [0, 0],
      [50, 100],
      [100, 200],
      [200, 400],
      [200, 400],
      [200, 400],
    ];
    delays.forEach((delay, i) => assert.ok(bounds[i][0] <= delay && delay <= bounds[i][1], `${i}: ${delay}`));
  });

  test("after a stable connection starts with the first interval again", () => {
    const { server, client } = seated({ stableMs: 1000 });
    server.drop();
    clock.tick(0);
    server.accept({ recovered: true });
    clock.tick(1000);
    server.drop();
    assert.equal(client.emitted.at(-1)[1].inMs, 0);
  });

  test("sends unanswered messages again, under their old ids, before new ones", async () => {
    const { server, client } = seated();
    const answered = client.send("move", { cell: 0 });
    const open = client.send("move", { cell: 1 });
    server.send(reply(GAME, 2, 1));
    await answered;
    client.on("connected", () => client.send("from a listener"));
    server.drop();
    client.send("while away");
    clock.tick(0);
    server.accept({ recovered: true });
    const messages = server.received.slice(1).map(({ id, type }) => [id, type]);
    assert.deepEqual(messages, [
      [2, "move"],
      [3, "while away"],
      [4, "from a listener"],
    ]);
    server.send(reply(GAME, 3, 2, "done"));
    assert.equal(await open, "done");
    assert.equal(client.resends, 1);
  });

  test("sends a message again to its own room", () => {
    const { server, client } = seated();
    client.send("move");
    server.send(room(LOBBY, 1));
    server.drop();
    clock.tick(0);
    server.accept({ recovered: true });
    assert.equal(server.received[1].room, GAME);
  });

  test("is assumed when no welcome arrives", () => {
    const server = new FakeServer();
    const client = server.client({ connectMs: 1000 });
    client.connect();
    clock.tick(1000);
    assert.equal(client.emitted[0][1].reason, "no welcome");
    assert.equal(server.sockets.length, 2);
  });

  test("is assumed when no answer arrives", () => {
    const { server, client } = seated({ answerMs: 1000 });
    client.send("move");
    clock.tick(999);
    assert.equal(client.state, "connected");
    clock.tick(1);
    clock.tick(0);
    server.accept({ recovered: true });
    assert.equal(server.received[1].id, 1);
  });

  test("whose session is gone is followed by a new session, and a reset", async () => {
    const { server, client } = seated();
    const sent = client.send("move");
    server.drop();
    clock.tick(0);
    server.accept({ recovered: false, session: "s2" });
    await assert.rejects(sent, refusedWith("reset"));
    assert.ok(client.emitted.some(([name]) => name === "reset"));
    assert.deepEqual(client.rooms, []);
    server.send(room(LOBBY, 1));
    client.send("find");
    assert.equal(server.received.at(-1).id, 2, "ids rise even so");
  });

  test("of a closed client is not replaced", () => {
    const { server, client } = seated();
    server.drop();
    client.close();
    clock.tick(60_000);
    assert.equal(server.sockets.length, 1);
  });

  test("has no effect on a client that has a new one", () => {
    const { server, client } = seated();
    const old = server.socket;
    server.drop();
    clock.tick(0);
    server.accept({ recovered: true });
    old.onclose({ code: 1006, reason: "" });
    assert.equal(client.state, "connected");
  });
});

describe("a connection that is lost without a close", () => {
  const pings = (server) => server.received.filter(({ t }) => t === "ping").length;
  const PING_MS = 8_000;
  let page;
  beforeEach(() => (page = new FakePage()));
  afterEach(() => page.restore());

  function seatedAt(pingMs = PING_MS, options) {
    const server = new FakeServer();
    const client = server.client(options);
    client.connect();
    server.accept({ pingMs });
    server.send(room(GAME, 1));
    return { server, client };
  }

  test("is pinged, dropped, and replaced within twice pingMs", () => {
    const { server, client } = seatedAt();
    clock.tick(PING_MS - 1);
    assert.equal(pings(server), 0);
    clock.tick(1);
    assert.deepEqual(server.received.at(-1), { t: "ping" });
    clock.tick(PING_MS / 2 - 1);
    assert.equal(client.state, "connected");
    clock.tick(1);
    clock.tick(0);
    assert.equal(server.sockets.length, 2);
    assert.equal(server.sockets[0].closed.code, 3002);
    server.accept({ recovered: true });
    assert.deepEqual(server.received, [{ t: "hello", resume: "token 1", last: { [GAME]: 1 } }]);
  });

  test("is not assumed while the server answers", () => {
    for (const answer of [{ t: "pong" }, { t: "error", code: "rate_limited", message: "" }, { t: "news" }]) {
      const { server, client } = seatedAt();
      for (let n = 1; n <= 5; n++) {
        clock.tick(PING_MS);
        assert.equal(pings(server), n);
        clock.tick(PING_MS / 2 - 1);
        server.send(answer);
      }
      assert.equal(client.state, "connected");
      assert.equal(server.sockets.length, 1);
      client.close();
    }
  });

  test("is not assumed while frames arrive, and no ping is sent", () => {
    const { server } = seatedAt();
    for (let seq = 2; seq < 8; seq++) {
      clock.tick(PING_MS - 1);
      server.send(event(GAME, seq, "moved"));
    }
    assert.equal(pings(server), 0);
  });

  test("is pinged sooner when a message waits for an answer, however many more are sent", async () => {
    const { server, client } = seatedAt();
    const sent = [];
    for (let n = 0; n < 5; n++) {
      sent.push(client.send("tap"));
      clock.tick(1_000);
    }
    assert.equal(pings(server), 1);
    clock.tick(1_000);
    clock.tick(0);
    assert.equal(server.sockets.length, 2);
    server.accept({ recovered: true, pingMs: PING_MS });
    assert.equal(server.received.length, 6);
    server.send(...sent.map((_, n) => reply(GAME, 2 + n, 1 + n)));
    await Promise.all(sent);
  });

  test("is pinged at once when the page becomes visible, is restored from a cache, or its network changes", () => {
    const doubts = {
      visible: () => (page.show("hidden"), page.show("visible")),
      pageshow: () => page.fire("pageshow", { persisted: true }),
      offline: () => page.fire("offline"),
      online: () => page.fire("online"),
    };
    for (const [name, doubt] of Object.entries(doubts)) {
      const { server, client } = seatedAt(PING_MS, { probeMs: 500 });
      doubt();
      doubt();
      assert.equal(pings(server), 1, name);
      clock.tick(499);
      assert.equal(client.state, "connected", name);
      clock.tick(1);
      clock.tick(0);
      assert.equal(server.sockets.length, 2, name);
      client.close();
    }
  });

  test("is not pinged when a page is hidden, or shown for the first time", () => {
    const { server } = seatedAt();
    page.show("hidden");
    page.fire("pageshow", { persisted: false });
    assert.equal(pings(server), 0);
  });

  test("is replaced at once when the page is shown, or by retryNow", () => {
    const reasons = [
      () => page.fire("online"),
      () => page.show("visible"),
      () => page.fire("pageshow", { persisted: true }),
      (client) => client.retryNow(),
    ];
    for (const reason of reasons) {
      const { server, client } = seatedAt(PING_MS, { retry: { baseMs: 10_000 } });
      server.drop();
      clock.tick(0);
      server.drop();
      assert.equal(client.state, "waiting");
      reason(client);
      assert.equal(client.state, "connecting");
      assert.equal(server.sockets.length, 3);
      client.close();
    }
  });

  test("drops an attempt that was begun on the previous network", () => {
    const { server, client } = seatedAt();
    server.drop();
    clock.tick(0);
    page.fire("online");
    assert.equal(server.sockets.length, 3);
    assert.ok(server.sockets[1].closed);
    server.accept({ recovered: true });
    assert.equal(client.state, "connected");
  });

  test("does not concern a closed client", () => {
    const { server, client } = seatedAt();
    client.close();
    page.fire("online");
    page.show("visible");
    client.retryNow();
    clock.tick(100_000);
    assert.equal(server.sockets.length, 1);
    assert.equal(client.state, "closed");
  });

  test("is found by the client's default when the server names no interval, or one too long for a timer", () => {
    for (const pingMs of [undefined, 1e15]) {
      const { server, client } = seatedAt(pingMs);
      clock.tick(100);
      assert.equal(pings(server), 0);
      clock.tick(3_600_000);
      assert.ok(pings(server) >= 1);
      client.close();
    }
  });
});

describe("a hello that is refused", () => {
  test("ends the attempts when its code requires it, and reports the reason", () => {
    const server = new FakeServer();
    const client = server.client({ name: "x" });
    client.connect();
    server.socket.onopen({});
    server.send({ t: "error", code: "bad_frame", message: "bad hello: no" });
    assert.equal(client.emitted[0][1].code, "bad_frame");
    server.drop(4506);
    assert.deepEqual(client.emitted[1], ["disconnected", { willRetry: false, code: 4506, reason: "bad hello: no", inMs: null }]);
    clock.tick(100_000);
    assert.equal(server.sockets.length, 1);
  });

  test("ends them too when the server does not close the connection", () => {
    const server = new FakeServer();
    const client = server.client();
    client.connect();
    server.socket.onopen({});
    server.send({ t: "error", code: "bad_frame", message: "bad hello: no" });
    clock.tick(100_000);
    assert.equal(server.sockets.length, 1);
    assert.equal(client.state, "closed");
  });

  test("is sent again when it was only too early", () => {
    const server = new FakeServer();
    const client = server.client();
    client.connect();
    server.socket.onopen({});
    server.send({ t: "error", code: "unavailable", message: "not now", retryAfterMs: 100 });
    clock.tick(2_000);
    clock.tick(0);
    assert.equal(server.sockets.length, 2);
    server.drop(4010);
    assert.equal(client.state, "waiting");
  });

  test("may be caused by a browser that cannot open the connection", async () => {
    const client = new FakeServer().client({
      WebSocket: class {
        constructor() {
          throw new Error("insecure");
        }
      },
    });
    const sent = client.send("move");
    client.connect();
    await assert.rejects(sent, refusedWith("closed"));
    assert.equal(client.state, "closed");
    assert.equal(client.emitted[0][1].reason, "insecure");
  });
});

describe("codes of the server", () => {
  test("from 4500 on are final, known or not", () => {
    for (const code of [4500, 4501, 4503, 4504, 4505, 4506, 4777, 4999]) {
      const { server, client } = seated();
      server.drop(code);
      clock.tick(1_000_000);
      assert.deepEqual([client.state, server.sockets.length], ["closed", 1], String(code));
    }
  });

  test("below are not, nor those of others", () => {
    for (const code of [1000, 1001, 1006, 1011, 3000, 4000, 4001, 4008, 4009, 4010, 4029, 4499]) {
      const { server, client } = seated();
      server.drop(code);
      assert.equal(client.state, "waiting", String(code));
      client.close();
    }
  });

  test("that report too many messages delay the next attempt", () => {
    const { server, client } = seated({ retry: { baseMs: 1000, maxMs: 15_000 } });
    server.drop(4029);
    assert.ok(client.emitted.at(-1)[1].inMs >= 2_000);
  });

  test("that end the session end its token", () => {
    const storage = tab();
    const { server } = seated({ storage });
    server.drop(4503, "cheating");
    assert.equal(new FakeServer().client({ storage }).resumable, false);
  });
});

describe("frames", () => {
  test("that arrive twice are dropped", () => {
    const { server, client } = seated();
    const seen = [];
    client.room.onEvent((type) => seen.push(type));
    server.send(event(GAME, 2, "moved"), event(GAME, 2, "moved"), room(GAME, 1), event(GAME, 3, "ended"));
    assert.deepEqual(seen, ["moved", "ended"]);
    assert.equal(client.duplicates, 2);
  });

  test("that are missing are a bug of the server, and requested again", () => {
    const { server, client } = seated();
    const seen = [];
    client.room.onEvent((type) => seen.push(type));
    server.send(event(GAME, 3, "late"));
    assert.equal(client.gaps, 1);
    assert.equal(client.emitted.at(-1)[1].code, "gap");
    clock.tick(0);
    server.accept({ recovered: true });
    assert.deepEqual(server.received[0].last, { [GAME]: 1 });
    server.send(event(GAME, 2, "missed"), event(GAME, 3, "late"));
    assert.deepEqual(seen, ["missed", "late"]);
  });

  test("that stay missing are replaced by the whole view", () => {
    const { server, client } = seated();
    server.send(event(GAME, 3, "late"));
    clock.tick(0);
    server.accept({ recovered: true });
    server.send(event(GAME, 3, "late"));
    clock.tick(15_000);
    server.accept({ recovered: true });
    assert.deepEqual(server.received[0].last, {});
    server.send(room(GAME, 4, "whole"));
    assert.equal(client.room.view, "whole");
  });

  test("of a room that the session has not joined are a gap", () => {
    const { server, client } = seated();
    server.send(event(LOBBY, 1, "welcome"));
    assert.equal(client.gaps, 1);
  });

  test("may be skipped by a whole view, and with them an answer", async () => {
    const { server, client } = seated();
    const handled = client.send("move");
    const open = client.send("move");
    server.drop();
    clock.tick(0);
    server.accept({ recovered: true });
    server.send(room(GAME, 9, { board: ["x"] }, 1));
    await assert.rejects(handled, refusedWith("applied"));
    assert.deepEqual(client.room.view, { board: ["x"] });
    server.send(
      { t: "error", room: GAME, seq: 10, id: 1, code: "applied", message: "before" },
      reply(GAME, 11, 2, "ok"),
    );
    assert.equal(await open, "ok");
    assert.equal(client.gaps, 0);
  });

  test("that were not skipped bring their answer, also above `ack`", async () => {
    const { server, client } = seated();
    const sent = client.send("move");
    server.send(room(GAME, 2, {}, 1), reply(GAME, 3, 1, "ok"));
    assert.equal(await sent, "ok");
  });

  test("may be skipped by a whole view in the middle, when the server had to take something back", () => {
    const { server, client } = seated();
    server.send(event(GAME, 2, "moved"), room(GAME, 10_003, "before"), event(GAME, 10_004, "moved"));
    assert.equal(client.room.view, "before");
    assert.equal(client.gaps, 0);
  });

  const malformed = [
    "{", "null", "5", "[]", '"x"', "{}", '{"t":5}', new ArrayBuffer(8), undefined,
    '{"t":"event","room":5,"seq":2,"type":"x"}', '{"t":"event","room":"x","seq":"2","type":"x"}',
    '{"t":"room","room":"x","seq":2.5,"kind":"x"}', '{"t":"room","room":"x","seq":2,"kind":null}',
    '{"t":"reply","room":"x","seq":2,"id":"1"}', '{"t":"error","code":5}', '{"t":"left","seq":1}',
    `{"t":"patch","room":"${GAME}","seq":2,"ops":{}}`, '{"t":"news","seq":1}',
    '{"t":"welcome","session":"s9","resume":"stolen","recovered":false}',
  ];

  for (const data of malformed) {
    test(`that are malformed end the connection, and nothing else: ${data}`, async () => {
      const { server, client } = seated();
      const sent = client.send("move", { cell: 4 });
      server.socket.onmessage({ data });
      assert.equal(client.state, "waiting");
      assert.equal(client.emitted.at(-1)[1].code, "bad_frame");
      clock.tick(0);
      server.accept({ recovered: true });
      assert.deepEqual(server.received[0], { t: "hello", resume: "token 1", last: { [GAME]: 1 } });
      assert.deepEqual(server.received[1].data, { cell: 4 });
      server.send(reply(GAME, 2, 1, "ok"));
      assert.equal(await sent, "ok");
    });
  }

  test("with a malformed patch are replaced by the whole view", () => {
    for (const ops of [[null], [5], [{ op: "replace" }], [{ op: "add", path: 5, value: 1 }]]) {
      const { server, client } = seated();
      server.send({ t: "patch", room: GAME, seq: 2, ops });
      assert.equal(client.emitted.at(-1)[1].code, "bad_patch");
      clock.tick(0);
      server.accept({ recovered: true });
      assert.deepEqual(server.received[0].last, {});
    }
  });

  test("of an unknown type are ignored", () => {
    const { server, client } = seated();
    server.send({ t: "news" }, { t: "toString" }, { t: "__proto__" }, { t: "news", room: GAME, seq: 2 }, event(GAME, 3, "moved"));
    assert.equal(client.state, "connected");
    assert.equal(client.room.seq, 3);
  });

  test("that answer unknown or settled messages change nothing", async () => {
    const { server, client } = seated();
    const sent = client.send("move");
    server.send(reply(GAME, 2, 77), { t: "error", id: 78, code: "applied", message: "" }, reply(GAME, 3, 1, "ok"), reply(GAME, 4, 1, "no"));
    assert.equal(await sent, "ok");
    assert.equal(client.state, "connected");
  });
});

describe("rooms", () => {
  test("change under the same socket", () => {
    const { server, client } = seated();
    const entered = [];
    client.on("room", ({ id }) => entered.push(id));
    server.send(room(LOBBY, 1), left(GAME, 2));
    assert.deepEqual(entered, [LOBBY]);
    assert.deepEqual(
      client.rooms.map(({ id }) => id),
      [LOBBY],
    );
  });

  test("that are left fall back to the one before", () => {
    const { server, client } = seated();
    server.send(room(LOBBY, 1), left(LOBBY, 2, "closed"));
    assert.equal(client.room.id, GAME);
    server.send(left(GAME, 2));
    assert.equal(client.room, null);
  });

  test("can be joined again, and their numbers continue", () => {
    const { server, client } = seated();
    const before = client.room;
    server.send(event(GAME, 2, "moved"), left(GAME, 3), room(GAME, 4, "new"), event(GAME, 5, "moved"));
    assert.notEqual(client.room, before);
    assert.equal(client.room.view, "new");
    assert.equal(client.gaps, 0);
  });

  test("can be left and joined again while the client is disconnected", () => {
    const { server, client } = seated();
    server.send(event(GAME, 2, "moved"), event(GAME, 3, "moved"));
    server.drop();
    clock.tick(0);
    server.accept({ recovered: true });
    server.send(room(GAME, 8, "new"), event(GAME, 9, "moved"));
    assert.equal(client.room.view, "new");
    assert.equal(client.gaps, 0);
    assert.deepEqual(client.rooms, [client.room]);
  });

  test("show their views as they change", () => {
    const { server, client } = seated();
    const views = [];
    client.room.onView((view) => views.push(view));
    server.send(patch(GAME, 2, { op: "replace", path: "/board/1", value: 0 }, { op: "add", path: "/turn", value: 1 }));
    assert.deepEqual(views, [{ board: [null, 0], turn: 1 }]);
  });

  test("get their whole view when a patch does not fit", () => {
    const { server, client } = seated();
    server.send(patch(GAME, 2, { op: "remove", path: "/nothing" }));
    assert.equal(client.emitted.at(-1)[1].code, "bad_patch");
    clock.tick(0);
    server.accept({ recovered: true });
    assert.deepEqual(server.received[0].last, {});
    server.send(room(GAME, 3, "whole"));
    assert.equal(client.room.view, "whole");
  });
});

describe("a page that is loaded again", () => {
  test("resumes the session, and ids continue to rise", () => {
    const storage = tab();
    const { client: before } = seated({ storage, name: "Ana" });
    before.send("move");
    const server = new FakeServer();
    const client = server.client({ storage });
    assert.equal(client.resumable, true);
    client.connect();
    server.accept({ recovered: true });
    assert.deepEqual(server.received, [{ t: "hello", name: "Ana", resume: "token 1", last: {} }]);
    server.send(room(GAME, 7));
    client.send("move");
    assert.equal(server.received[1].id, 2);
  });

  test("in another tab is another player", () => {
    seated({ storage: tab() });
    assert.equal(new FakeServer().client({ storage: tab() }).resumable, false);
  });

  test("may begin a new session under another name", () => {
    const storage = tab();
    const { client } = seated({ storage, name: "Ana" });
    client.close();
    client.forget("Ben");
    const server = new FakeServer();
    server.client({ storage }).connect();
    server.accept();
    assert.deepEqual(server.received, [{ t: "hello", name: "Ben" }]);
  });

  test("with unreadable storage is a new one", () => {
    const storage = {
      getItem: () => "{",
      setItem: () => {
        throw new Error("full");
      },
    };
    const { client } = seated({ storage });
    assert.equal(client.state, "connected");
  });
});

test("a listener that throws is reported, and does not affect the others", async () => {
  const { server, client } = seated();
  const seen = [];
  const reported = mock.fn();
  const queue = mock.method(globalThis, "queueMicrotask", (task) => {
    try {
      task();
    } catch (error) {
      reported(error.message);
    }
  });
  client.room.onEvent(() => {
    throw new Error("mine");
  });
  client.room.onEvent((type) => seen.push(type));
  server.send(event(GAME, 2, "moved"));
  queue.mock.restore();
  assert.deepEqual(seen, ["moved"]);
  assert.equal(reported.mock.calls[0].arguments[0], "mine");
});

test("a listener can be taken off", () => {
  const { server, client } = seated();
  const seen = [];
  const off = client.room.onEvent((type) => seen.push(type));
  server.send(event(GAME, 2, "one"));
  off();
  server.send(event(GAME, 3, "two"));
  assert.deepEqual(seen, ["one"]);
});
