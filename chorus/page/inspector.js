/**
 * The inspector: the rooms of this server, and of one of them its members, state, views, records and log, from
 * `chorus/src/dev/inspector`. `chorus dev` serves it to this machine alone.
 *
 * Bounds: the latest 200 records and 200 lines.
 */

import { $, h, say } from "./dom.js";
import { Tree } from "./tree.js";

const ROOMS_EVERY_MS = 1000;
const RECORDS = 200;
const LINES = 200;
/** Texts of records and frames are shown up to here in a row. */
const BRIEF = 160;

/** The room that is shown. */
let shown = null;
let events = null;
let stateTree = new Tree($("state"));
let viewTrees = new Map();
/** The records that are shown, by offset: a stream that begins again repeats some. */
let offsets = new Set();
/** Whether the stream has ended, and its reason is shown. */
let isDropped = false;
let leftOut = 0;
/** The names of members, by session. */
const names = new Map();

addEventListener("hashchange", choose);
$("crash").addEventListener("click", crash);
$("end").addEventListener("click", end);
$("send").addEventListener("submit", send);
listRooms();
choose();

// ---- the rooms ----

async function listRooms() {
  const answer = await fetch("/dev/inspector/rooms", { cache: "no-store" }).catch(() => null);
  const list = answer?.ok ? await answer.json().catch(() => null) : null;
  if (list) drawRooms(list);
  else showConnection("busy", "The server does not answer …");
  setTimeout(listRooms, ROOMS_EVERY_MS);
}

function drawRooms({ rooms, more }) {
  if (!events) showConnection("good", "Connected");
  say($("rooms-count"), more ? `the latest ${rooms.length}` : `${rooms.length}`);
  const old = new Map([...$("rooms").children].map((row) => [row.dataset.room, row]));
  const rows = rooms.map((room) => {
    const now = JSON.stringify([room, room.id === shown]);
    const row = old.get(room.id);
    return row?.dataset.now === now ? row : roomRow(room, now);
  });
  // A row under the pointer stays the same element while nothing of it changes.
  if (rows.some((row, at) => $("rooms").children[at] !== row) || rows.length !== $("rooms").children.length) $("rooms").replaceChildren(...rows);
}

function roomRow(room, now) {
  const members = `${room.members} member${room.members === 1 ? "" : "s"}`;
  const away = room.connected === null || room.connected === room.members ? "" : `, ${room.members - room.connected} away`;
  const current = room.id === shown ? "true" : null;
  return h(
    "li",
    { "data-room": room.id, "data-now": now },
    h(
      "a",
      { href: `#${room.id}`, "data-testid": `room-${room.kind}`, "aria-current": current },
      h("strong", {}, room.kind),
      h("span", { class: "dot", "data-state": room.state, title: room.state }, room.state),
      h("small", {}, `${members}${away}`),
      h("code", {}, `${room.id.slice(0, 8)} · ${room.component.slice(0, 8)}`),
      room.metadata ? h("small", { class: "metadata" }, brief(JSON.stringify(room.metadata), 60)) : null,
    ),
  );
}

// ---- one room ----

function choose() {
  const room = location.hash.slice(1) || null;
  if (room === shown) return;
  shown = room;
  events?.close();
  events = null;
  names.clear();
  [offsets, viewTrees, leftOut, isDropped] = [new Set(), new Map(), 0, false];
  stateTree = new Tree($("state"));
  for (const list of ["members", "records", "log", "views", "state"]) $(list).replaceChildren();
  $("send-as").replaceChildren();
  showOutcome(null);
  $("none").hidden = room !== null;
  $("room").hidden = room === null;
  if (room !== null) follow(room);
}

function follow(room) {
  const stream = new EventSource(`/dev/inspector/rooms/${room}/events`);
  events = stream;
  const on = (name, listener) =>
    stream.addEventListener(name, (event) => stream === events && listener(event.data === undefined ? null : JSON.parse(event.data)));
  on("open", () => showConnection("good", "Connected"));
  on("begin", ({ left_out }) => {
    if (isDropped) showOutcome(null);
    isDropped = false;
    countLeftOut(left_out);
  });
  on("state", drawState);
  on("record", drawRecord);
  on("left-out", ({ records }) => countLeftOut(records));
  on("dropped", ({ reason }) => {
    showOutcome(`No more events: ${reason}.`);
    isDropped = true;
  });
  stream.addEventListener("error", async () => {
    if (stream !== events) return;
    if (stream.readyState !== EventSource.CLOSED) return showConnection("busy", "Reconnecting …");
    // An answer that is no stream; the browser does not show it to this page.
    const answer = await fetch(stream.url, { method: "GET" }).catch(() => null);
    const error = answer && !answer.ok ? (await answer.json().catch(() => null))?.error : null;
    answer?.body?.cancel().catch(() => {});
    if (stream !== events) return;
    if (error) showOutcome(sentence(error));
    else setTimeout(() => stream === events && follow(room), ROOMS_EVERY_MS);
    showConnection(error ? "good" : "busy", error ? "Connected" : "Reconnecting …");
  });
}

function drawState(now) {
  say($("room-kind"), now.kind);
  drawFacts(now);
  now.members.forEach(({ session, name }) => names.set(session, name));
  drawMembers(now);
  stateTree.draw(scriptsState(now.state ?? null));
  say($("state-note"), [`version ${now.state_version ?? "–"}`, now.waits ? "waits for its host's decision" : ""].filter(Boolean).join(" · "));
  drawViews(now);
}

/** The SDK saves `this.state` as a member beside its own, which are shown only where there are any. */
function scriptsState(saved) {
  if (saved === null || typeof saved !== "object" || !("state" in saved)) return saved;
  return Object.keys(saved).length === 1 ? saved.state : saved;
}

function drawFacts({ component, offset, clock, locked, faults, timers, metadata }) {
  const due = timers.map(({ name, due }) => `${name} ${new Date(due).toLocaleTimeString()}`).join(", ");
  const facts = {
    Room: shown,
    Component: component.slice(0, 12),
    "Last record": offset,
    Time: new Date(clock).toLocaleTimeString(),
    ...(locked && { Locked: "yes" }),
    ...(faults > 0 && { Faults: faults }),
    ...(due && { Timers: due }),
    ...(metadata && { Metadata: brief(JSON.stringify(metadata), BRIEF) }),
  };
  $("room-facts").replaceChildren(...Object.entries(facts).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))));
}

function drawMembers({ members, more_members, messages }) {
  const key = JSON.stringify([members.map(({ view: _, ...member }) => member), more_members, messages]);
  if ($("members").dataset.now === key) return;
  $("members").dataset.now = key;
  const rows = members.map(({ session, name, player, connected, spectator }) =>
    h(
      "li",
      { "data-session": session },
      h("span", { class: "dot", "data-state": connected ? "live" : "away" }, connected ? "connected" : "away"),
      h("strong", { class: "grow" }, name || "no name"),
      spectator ? h("small", {}, "spectator") : null,
      h("code", { title: `session ${session}, player ${player}` }, session.slice(0, 8)),
    ),
  );
  if (more_members > 0) rows.push(h("li", {}, `and ${more_members} more`));
  if (rows.length === 0) rows.push(h("li", { class: "empty" }, "Nobody is in this room."));
  $("members").replaceChildren(...rows);
  const chosen = $("send-as").value;
  $("send-as").replaceChildren(...members.map(({ session, name }) => h("option", { value: session }, `${name || "no name"} (${session.slice(0, 4)})`)));
  if (members.some(({ session }) => session === chosen)) $("send-as").value = chosen;
  $("send-types").replaceChildren(...messages.map((name) => h("option", { value: name })));
  $("send").hidden = members.length === 0;
}

/** A tree for each member that has a view of its own, and one for all others. */
function drawViews({ members, view }) {
  const own = members.filter((member) => member.view !== null);
  const others = members.length - own.length;
  const wanted = own.map((member) => [member.session, `${member.name || "no name"} sees`, member.view]);
  if (view !== null && (others > 0 || own.length === 0)) wanted.push(["", own.length > 0 ? "The others see" : "All see", view]);
  for (const [id, { box }] of viewTrees) if (!wanted.some(([session]) => session === id)) (box.remove(), viewTrees.delete(id));
  for (const [id, title, value] of wanted) {
    if (!viewTrees.has(id)) {
      const [root, heading] = [h("div", {}), h("h3", {})];
      const box = h("div", { class: "view", "data-testid": "view", "data-session": id }, heading, root);
      viewTrees.set(id, { box, heading, tree: new Tree(root) });
      $("views").append(box);
    }
    const { heading, tree } = viewTrees.get(id);
    say(heading, title);
    tree.draw(value);
  }
}

// ---- records, and what the script logs ----

function drawRecord({ record, by_author, outputs, more }) {
  if (offsets.has(record.offset)) return;
  offsets.add(record.offset);
  for (const output of outputs) drawLine(record, output);
  const { offset, time, command, session, ...rest } = record;
  if (command === "join") names.set(session, rest.name);
  const frames = outputs.filter(({ what }) => what === "frame").length;
  const failed = outputs.some(({ what }) => what === "failed");
  const summary = h(
    "summary",
    {},
    h("span", { class: "offset" }, String(offset)),
    h("b", {}, rest.type ?? command),
    session ? h("span", { class: "who" }, nameOf(session)) : null,
    by_author ? h("em", { "data-testid": "by-author" }, "from the inspector") : null,
    h("code", { class: "grow" }, brief(payloadOf(rest), BRIEF)),
    failed ? h("em", { class: "bad" }, "failed") : null,
    frames > 0 ? h("small", {}, `${frames} frame${frames === 1 ? "" : "s"}`) : null,
  );
  const row = h("li", { "data-testid": "record", "data-command": command, "data-offset": offset }, h("details", {}, summary));
  row.firstChild.addEventListener("toggle", () => fillRecord(row.firstChild, record, time, outputs, more), { once: true });
  $("records").prepend(row);
  while ($("records").children.length > RECORDS) {
    const oldest = $("records").lastChild;
    offsets.delete(Number(oldest.dataset.offset));
    oldest.remove();
    leftOut += 1;
  }
  countLeftOut(0);
}

function fillRecord(row, record, time, outputs, more) {
  const tree = h("div", { class: "tree" });
  new Tree(tree).draw(record);
  const lines = outputs.map((output) => h("li", {}, ...outputLine(output)));
  if (more > 0) lines.push(h("li", {}, `and ${more} more outputs`));
  row.append(h("p", { class: "when" }, new Date(time).toISOString().slice(11, 23) + " UTC"), tree, h("ol", { class: "outputs" }, ...lines));
}

function outputLine(output) {
  const code = (value) => h("code", {}, typeof value === "string" ? value : JSON.stringify(value));
  switch (output.what) {
    case "frame":
      return [h("b", {}, "→ "), `${output.to.map(nameOf).join(", ")}${output.more > 0 ? ` and ${output.more} more` : ""} `, code(output.frame)];
    case "append":
      return [h("b", {}, "record "), `for ${output.room === shown ? "this room" : output.room.slice(0, 8)} `, code(output.command)];
    case "create":
      return [h("b", {}, "creates "), `a ${output.kind}, `, h("a", { href: `#${output.room}` }, output.room.slice(0, 8))];
    case "log":
      return [h("b", {}, `${output.level} `), code(output.text)];
    case "failed":
      return [h("b", {}, `${output.handler ?? "the script"} `), code(output.text)];
    case "ended":
      return [h("b", {}, "ended "), output.failed ?? ""];
    default:
      return [h("b", {}, `${output.name} `), output.session ? `${nameOf(output.session)} ` : "", output.text ?? ""];
  }
}

function drawLine(record, { what, level, handler, text, at }) {
  if (what !== "log" && what !== "failed") return;
  const where = at ? `${handler ?? ""} at ${at}`.trim() : (handler ?? "");
  const row = h(
    "li",
    { "data-level": what === "failed" ? "failed" : level, "data-testid": "line" },
    h("b", { title: new Date(record.time).toLocaleString() }, String(record.offset)),
    h("pre", {}, where ? h("strong", { "data-testid": "place" }, `${where}\n`) : null, text),
  );
  $("log").prepend(row);
  while ($("log").children.length > LINES) $("log").lastChild.remove();
}

function countLeftOut(more) {
  leftOut += more;
  say($("records-note"), leftOut > 0 ? `the latest ${$("records").children.length}; ${leftOut} before are not shown` : "since the last snapshot");
}

function payloadOf(rest) {
  if (rest.data !== undefined) return JSON.stringify(rest.data);
  return Object.entries(rest).filter(([name]) => name !== "type").map(([name, value]) => `${name} ${JSON.stringify(value)}`).join(", ");
}

// ---- acting ----

async function send(event) {
  event.preventDefault();
  const [session, type, text] = [$("send-as").value, $("send-type").value.trim(), $("send-data").value.trim()];
  let data;
  try {
    data = text === "" ? null : JSON.parse(text);
  } catch (error) {
    return showOutcome(`The data is no JSON: ${error.message}.`);
  }
  const sent = await post("send", { session, type, data });
  if (sent) showOutcome(`Sent in the name of ${nameOf(session)}: record ${sent.offset}. Its client gets no answer, and keeps its own numbers.`);
}

async function crash() {
  const rebuilt = await post("crash");
  if (!rebuilt) return;
  const { before, after, ms } = rebuilt;
  const same = before !== null && before === after;
  const digest = same ? `The state is the same, byte for byte: SHA-256 ${after.slice(0, 12)}….` : `The state was ${before}, and is ${after}.`;
  showOutcome(`The instance was dropped; another had its place ${ms.toFixed(1)} ms later, from the snapshot and the records since. ${digest}`, same);
}

async function end() {
  if (!confirm("End this room for all of its members?")) return;
  const sent = await post("end");
  if (sent) showOutcome(`The room ends with record ${sent.offset}.`);
}

async function post(what, body = {}) {
  const answer = await fetch(`/dev/inspector/rooms/${shown}/${what}`, { method: "POST", body: JSON.stringify(body) }).catch(() => null);
  const result = await answer?.json().catch(() => null);
  if (answer?.ok) return result;
  showOutcome(sentence(result?.error ?? "The server does not answer"));
}

// ---- words ----

const nameOf = (session) => names.get(session) || session.slice(0, 8);
const brief = (text, most) => (text.length > most ? `${text.slice(0, most)}…` : text);
const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

function showOutcome(text, good = false) {
  $("outcome").hidden = text === null;
  $("outcome").dataset.good = good;
  say($("outcome"), text ?? "");
}

function showConnection(now, text) {
  $("connection").dataset.state = now;
  say($("connection"), text);
}
