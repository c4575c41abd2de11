// Stories of the hooks: what is joined, what is left, and how often a component is rendered.

import assert from "node:assert/strict";
import { after, afterEach, beforeEach, mock, test } from "node:test";
import { createElement as h, memo, StrictMode } from "react";
import { act, create } from "react-test-renderer";

import { ChorusProvider, useConnection, useEvent, useNow, useRoom, useView } from "../react.js";
import { FakeServer, GAME, LOBBY, event, left, patch, reply, room } from "./fake.js";

globalThis.IS_REACT_ACT_ENVIRONMENT = true;
// The renderer writes that it is deprecated, once for each tree.
const { error } = console;
console.error = (...words) => (String(words[0]).includes("deprecated") ? undefined : error(...words));
after(() => { console.error = error; });

const OTHER = "b".repeat(32);
const lobby = (seq) => ({ ...room(LOBBY, seq), kind: "lobby" });
const requests = (server, type) => server.received.filter((frame) => frame.type === type);
const settled = () => act(() => new Promise((resolve) => setImmediate(resolve)));

let server, client, stays, renders, roots;
beforeEach(() => {
  roots = [];
  server = new FakeServer();
  client = server.client();
  stays = {};
  renders = {};
});

afterEach(async () => {
  await act(() => roots.forEach((root) => root.unmount()));
  await settled();
  client.close();
});

function Player({ name = "Ana", kind = "tic-tac-toe", options, how }) {
  stays[name] = useRoom(kind, options, how);
  renders[name] = (renders[name] ?? 0) + 1;
  return null;
}

/** Mounts the elements below a provider, connected and in the lobby. */
const mounted = (...elements) => mountedIn(lobby(1), ...elements);

/** The same, in a room that the session is in from before, as after a reload. */
async function mountedIn(where, ...elements) {
  const tree = (list) => h(StrictMode, null, h(ChorusProvider, { client }, ...list));
  let root;
  await act(() => { root = create(tree(elements)); });
  roots.push(root);
  await act(() => { server.accept(); server.send(where); });
  await settled();
  return { root, show: async (...list) => { await act(() => root.update(tree(list))); await settled(); } };
}

const enter = (id = GAME, seq = 2, message = 1, view = { board: [null], turn: 0 }) =>
  act(() => server.send(reply(LOBBY, seq, message, { room: id, code: "KQ7F2M" }), room(id, 1, view), left(LOBBY, seq + 1)));
const leaves = (id, seq, message) => act(() => server.send(reply(id, seq, message), { ...lobby(9) }, left(id, seq + 1)));

test("a component joins once, though its effects run twice, has the view, and sends", async () => {
  await mounted(h(Player));
  assert.equal(stays.Ana.status, "joining");
  await assert.rejects(stays.Ana.send("move"), { code: "not_in_room" });
  await enter();
  assert.deepEqual([stays.Ana.status, stays.Ana.view, stays.Ana.room.id], ["joined", { board: [null], turn: 0 }, GAME]);
  const { send } = stays.Ana;
  stays.Ana.send("move", { cell: 0 }).catch(() => {});
  assert.deepEqual([server.received.at(-1).room, server.received.at(-1).type], [GAME, "move"]);
  await act(() => server.send(patch(GAME, 2, { op: "replace", path: "/turn", value: 1 })));
  assert.equal(stays.Ana.view.turn, 1);
  assert.equal(stays.Ana.send, send);
  assert.equal(requests(server, "joinOrCreate").length, 1);
  assert.equal(requests(server, "leave").length, 0);
});

test("two components of one room share the stay, and the last one leaves", async () => {
  const { show } = await mounted(h(Player, { key: 1 }), h(Player, { key: 2, name: "Ben" }));
  await enter();
  assert.equal(requests(server, "joinOrCreate").length, 1);
  assert.equal(stays.Ana.room, stays.Ben.room);
  await show(h(Player, { key: 2, name: "Ben" }));
  assert.equal(requests(server, "leave").length, 0);
  await show();
  assert.equal(requests(server, "leave").length, 1);
});

test("another room is joined after the first one is left", async () => {
  const { show } = await mounted(h(Player));
  await enter();
  await show(h(Player, { kind: "chat" }));
  assert.deepEqual([stays.Ana.status, stays.Ana.view], ["joining", undefined]);
  assert.equal(requests(server, "joinOrCreate").length, 1, "it is in the game still");
  await leaves(GAME, 2, 2);
  await settled();
  assert.deepEqual(requests(server, "joinOrCreate").at(-1).data.kind, "chat");
});

test("an invitation that is opened while the session is in another room: that one is left, then the invitation is joined", async () => {
  await mountedIn(room(OTHER, 1), h(Player, { kind: "KQ7F2M", how: { by: "join" } }));
  assert.deepEqual([requests(server, "leave").map((frame) => frame.room), requests(server, "join"), stays.Ana.status], [[OTHER], [], "joining"]);
  await leaves(OTHER, 2, 1);
  await settled();
  assert.equal(requests(server, "join")[0].data.room, "KQ7F2M");
  await enter(GAME, 10, 2);
  assert.deepEqual([stays.Ana.status, stays.Ana.room.id], ["joined", GAME]);
});

test("a room that is not left, or refuses it, is the error of the way in", async () => {
  const { show } = await mountedIn(room(OTHER, 1), h(Player, { kind: "KQ7F2M", how: { by: "join", leave: false } }));
  assert.deepEqual([stays.Ana.status, stays.Ana.error.code, requests(server, "leave")], ["failed", "elsewhere", []]);
  await show(h(Player, { kind: "KQ7F2M", how: { by: "join" } }));
  await act(() => server.send({ t: "error", room: OTHER, seq: 2, id: 1, code: "refused", message: "not in mid-game" }));
  assert.deepEqual([stays.Ana.status, stays.Ana.error.code, stays.Ana.error.message], ["failed", "refused", "not in mid-game"]);
});

test("a room that another component uses is not left", async () => {
  const { show } = await mounted(h(Player));
  await enter();
  await show(h(Player), h(Player, { name: "Ben", kind: "chat" }));
  assert.deepEqual([stays.Ana.status, stays.Ben.status, stays.Ben.error.code], ["joined", "failed", "elsewhere"]);
  assert.equal(requests(server, "leave").length, 0);
});

test("a component that is gone before it has joined gives up its place", async () => {
  const { show } = await mounted(h(Player));
  await show();
  assert.equal(requests(server, "cancel").length, 1);
});

test("a failure is shown, and joining again is possible", async () => {
  await mounted(h(Player));
  await act(() => server.send({ t: "error", room: LOBBY, seq: 2, id: 1, code: "refused", message: "no" }));
  assert.deepEqual([stays.Ana.status, stays.Ana.error.code, stays.Ana.error.message], ["failed", "refused", "no"]);
  await act(() => stays.Ana.rejoin());
  await settled();
  await enter(GAME, 3, 2);
  assert.deepEqual([stays.Ana.status, stays.Ana.error], ["joined", null]);
  await act(() => server.send({ ...lobby(9) }, left(GAME, 2, "kicked")));
  assert.deepEqual([stays.Ana.status, stays.Ana.reason], ["left", "kicked"]);
});

test("a session that the server no longer has is out of its room, and joins again", async () => {
  await mounted(h(Player));
  await enter();
  await act(() => { server.drop(); client.retryNow(); server.accept({ session: "s2" }); server.send(lobby(1)); });
  assert.deepEqual([stays.Ana.status, stays.Ana.reason], ["left", "reset"]);
  await act(() => stays.Ana.rejoin());
  await settled();
  await enter(OTHER);
  assert.deepEqual([stays.Ana.status, stays.Ana.room.id], ["joined", OTHER]);
});

test("by a code, with create, and by none", async () => {
  await mounted(h(Player, { kind: null, name: "none" }), h(Player, { kind: "KQ7F2M", how: { by: "join" } }));
  assert.equal(stays.none.status, "idle");
  assert.equal(requests(server, "join")[0].data.room, "KQ7F2M");
});

test("a selector renders only when what it selects changes", async () => {
  const Turn = memo(({ of }) => {
    renders.turn = (renders.turn ?? 0) + 1;
    return h("b", null, useView(of, (view) => [view.turn], (a, b) => a[0] === b[0])?.[0] ?? "none");
  });
  const Page = () => h(Turn, { of: useRoom("tic-tac-toe").room });
  const { root } = await mounted(h(Page));
  assert.equal(root.toJSON().children[0], "none");
  await enter();
  const before = renders.turn;
  await act(() => server.send(patch(GAME, 2, { op: "replace", path: "/board/0", value: 1 })));
  assert.equal(renders.turn, before);
  await act(() => server.send(patch(GAME, 3, { op: "replace", path: "/turn", value: 1 })));
  assert.ok(renders.turn > before);
  assert.equal(root.toJSON().children[0], "1");
});

test("events reach the latest listener, and the connection's state is shown", async () => {
  const seen = [];
  const Page = ({ n }) => {
    const { room } = useRoom("tic-tac-toe");
    useEvent(room, "moved", (data) => seen.push([n, data]));
    return h("i", null, useConnection());
  };
  const { root, show } = await mounted(h(Page, { n: 1 }));
  await enter();
  await act(() => server.send(event(GAME, 2, "moved", 7)));
  await show(h(Page, { n: 2 }));
  await act(() => server.send(event(GAME, 3, "moved", 8)));
  assert.deepEqual(seen, [[1, 7], [2, 8]]);
  assert.equal(root.toJSON().children[0], "connected");
  await act(() => server.drop());
  assert.notEqual(root.toJSON().children[0], "connected");
});

test("a provider closes the client that it has made, and leaves open the one that it was given", async () => {
  const { root } = await mounted();
  await act(() => root.unmount());
  await settled();
  assert.equal(client.state, "connected");
  globalThis.window = globalThis;
  try {
    let made;
    const Page = () => { made = useRoom("chat"); return h("i", null, useConnection()); };
    let tree;
    const options = { WebSocket: server.WebSocket, storage: null };
    await act(() => { tree = create(h(StrictMode, null, h(ChorusProvider, { url: "ws://server/ws", options }, h(Page)))); });
    await settled();
    assert.equal(server.sockets.length, 2, "one connection each");
    const socket = server.socket;
    await act(() => tree.unmount());
    await settled();
    assert.equal(socket.closed.code, 1000);
    assert.equal(made.status, "joining");
  } finally {
    delete globalThis.window;
  }
});

test("a way in that does not exist, and a missing provider, are named", async () => {
  const { show } = await mounted(h(Player, { how: { by: "steal" } }));
  assert.match(stays.Ana.error.message, /by is "joinOrCreate", "create" or "join", not "steal"/);
  await show();
  const log = mock.method(console, "error", () => {});
  await assert.rejects(async () => act(async () => { create(h(Player)); }), /need a <ChorusProvider>/);
  log.mock.restore();
});

test("`useNow` is the time of the render, also of one that a view causes between two ticks", async () => {
  mock.timers.enable({ apis: ["setInterval", "setTimeout", "Date"], now: 1_000_000 });
  try {
    const left = [];
    const Countdown = () => {
      const now = useNow(), { view } = useRoom("tic-tac-toe");
      if (view?.endsAt) left.push(view.endsAt - now);
      return null;
    };
    await mounted(h(Countdown));
    await enter(GAME, 2, 1, { endsAt: null });
    // No timer is due before 1,000 ms: the next render is the one of the view.
    await act(() => mock.timers.tick(700));
    await act(() => server.send(patch(GAME, 2, { op: "replace", path: "/endsAt", value: 1_030_700 })));
    assert.equal(left[0], 30_000);
  } finally {
    mock.timers.reset();
  }
});

test("`useNow` is the server's time: it renders again at its pace, and when a connection is opened", async () => {
  mock.timers.enable({ apis: ["setInterval", "setTimeout", "Date"], now: 1_000_000 });
  try {
    const seen = [];
    const Clock = () => (seen.push(useNow(250)), null);
    const { root } = await mounted(h(Clock));
    assert.equal(seen.at(-1), 1_000_000);
    await act(() => { server.drop(1006); mock.timers.tick(0); });
    await act(() => server.accept({ recovered: true, now: 1_020_000 }));
    assert.equal(seen.at(-1), 1_020_000, "the device is 20 s slow");
    const before = seen.length;
    await act(() => mock.timers.tick(250));
    assert.deepEqual([seen.at(-1), seen.length > before], [1_020_250, true]);
    await act(() => root.unmount());
    const count = seen.length;
    mock.timers.tick(1_000);
    assert.equal(seen.length, count);
  } finally {
    mock.timers.reset();
  }
});
