/**
 * The checker of a torture run: compares what the players received with the promises of chorus. Pure: a history in,
 * violations out.
 *
 * A history is `{ players: [player] }`, and a player
 *
 *     { name, sessions, resets,                        how often the server no longer had its session
 *       frames: [{ connection, out, frame }],    in the order of receiving and sending; the rules see { …, …frame }
 *       sends:  [{ room, type, data, legal, outcome, code, reply }],          outcome: "reply", "error" or "pending"
 *       games:  [{ room, you, rounds: [{ sends, final, timedOut }], walkedOut }] }       you: null for a watcher
 *
 * A rematch is the next round of its room. `walkedOut`: the number of rounds after which the player stopped waiting for a
 * rematch; if one has begun meanwhile, it is not checked. `final` is `{ board, winner, line }`, or null if the player did not
 * see the end.
 *
 * A violation is `{ rule, who, what }`. The rules are the functions below.
 */

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

export function check(history) {
  const perPlayer = [
    framesAreCounted,
    movesAreShownOnce,
    messagesAreAnswered,
    sessionsAreKept,
    legalMovesAreTaken,
    gamesAreFinished,
    winnersAreRight,
    acknowledgedMovesStand,
  ];
  const all = [movesAreSomebodys, playersAgree];
  const meant = roundsBeforeWalkingOut(history.players);
  const meantOf = (game) => ({ ...game, walkedOut: meant.get(game.room), rounds: game.rounds.slice(0, meant.get(game.room)) });
  const games = (player) => player.games.map(meantOf);
  const players = history.players.map((player) => ({ ...player, frames: player.frames.map(flat), games: games(player) }));
  return [
    ...players.flatMap((player) => perPlayer.flatMap((rule) => rule(player))),
    ...all.flatMap((rule) => rule(players)),
  ];
}

/** By room, the number of rounds before a player stopped waiting for a rematch. */
function roundsBeforeWalkingOut(players) {
  const rounds = new Map();
  for (const { room, walkedOut } of players.flatMap(({ games }) => games))
    if (walkedOut !== undefined) rounds.set(room, Math.min(walkedOut, rounds.get(room) ?? Infinity));
  return rounds;
}

const flat = ({ frame, ...more }) => ({ ...more, ...frame });
const violation = (rule, who, what) => ({ rule, who, what });

/** Frames of each room are numbered 1, 2, 3, … with none missing and none twice; only a whole view may skip numbers. */
export function framesAreCounted({ name, frames }) {
  const found = [];
  const last = new Map();
  for (const { out, t, room, seq } of frames) {
    if (out || seq === undefined) continue;
    const before = last.get(room) ?? 0;
    if (seq <= before) found.push(violation("a frame came twice", name, `${t} ${seq} after ${before} in ${room}`));
    else if (t !== "room" && seq !== before + 1)
      found.push(violation("a frame is missing", name, `${t} ${seq} after ${before} in ${room}`));
    last.set(room, Math.max(seq, before));
  }
  return found;
}

/** No player sees the same cell taken twice in one round. */
export function movesAreShownOnce({ name, frames }) {
  const found = [];
  const taken = new Map();
  for (const { out, t, room, type, data } of frames) {
    if (out) continue;
    if (t === "room" || type === "ended") taken.delete(room);
    if (t !== "event" || type !== "moved") continue;
    const cells = taken.get(room) ?? taken.set(room, new Set()).get(room);
    if (cells.has(data.cell)) found.push(violation("a move was applied twice", name, `cell ${data.cell} in ${room}`));
    cells.add(data.cell);
  }
  return found;
}

/**
 * Every message has exactly one answer. A message may be sent again while its first answer is in flight, and an edge may
 * answer the second one with an error, after the player has left the room; a room answers once.
 */
export function messagesAreAnswered({ name, frames, sends }) {
  const pending = sends.filter(({ outcome }) => outcome === "pending");
  const found = pending.map(({ type, room }) => violation("a message has no answer", name, `${type} to ${room}`));
  const twice = [...answersById(frames)].filter(
    ([, { sent, answers, byRooms }]) => byRooms > 1 || answers > Math.max(1, sent),
  );
  return [
    ...found,
    ...twice.map(([id, { answers }]) =>
      violation("a message has several answers", name, `${answers} to message ${id}`),
    ),
  ];
}

/** By message id: how often it was sent, how often it was answered, and how often by a room. */
function answersById(frames) {
  const byId = new Map();
  for (const { out, t, id, seq } of frames) {
    if (id === undefined) continue;
    const counts = byId.get(id) ?? byId.set(id, { sent: 0, answers: 0, byRooms: 0 }).get(id);
    if (out) counts.sent += 1;
    else if (t === "reply" || t === "error")
      Object.assign(counts, { answers: counts.answers + 1, byRooms: counts.byRooms + (seq ? 1 : 0) });
  }
  return byId;
}

export function sessionsAreKept({ name, resets }) {
  return resets > 0 ? [violation("a session was lost", name, `${resets} times`)] : [];
}

/** When a move is refused that the view allowed, a message was applied twice, or the view was wrong. */
export function legalMovesAreTaken({ name, games }) {
  const found = [];
  for (const { room, rounds } of games) {
    for (const { sends, timedOut } of rounds) {
      for (const { legal, outcome, code, data, message } of sends) {
        if (legal && !timedOut && outcome === "error" && code === "refused")
          found.push(violation("a legal move was refused", name, `cell ${data.cell} in ${room}: ${message}`));
        if (!legal && outcome === "reply")
          found.push(violation("an illegal move was taken", name, `${JSON.stringify(data)} in ${room}`));
      }
    }
  }
  return found;
}

export function gamesAreFinished({ name, games }) {
  const open = games.filter(({ you, rounds }) => you !== null && rounds.some(({ final }) => final === null));
  return open.map(({ room }) => violation("a game never ended", name, room));
}

/** The winner follows from the board, and the players moved in turn. */
export function winnersAreRight({ name, games }) {
  const found = [];
  for (const { room, you, rounds, walkedOut } of games) {
    for (const { final, timedOut, deadline } of rounds) {
      if (final === null) continue;
      // A watcher that joined after the end has not seen the deadline. The watcher may also have seen an unchecked round, which
      // ends when the player that has stopped waiting for it leaves.
      const isUncertain = you === null && (!deadline || walkedOut !== undefined);
      const wrong = wrongEnd(final, timedOut || isUncertain);
      if (wrong)
        found.push(
          violation("a game ended otherwise than its moves say", name, `${wrong} in ${room}: ${JSON.stringify(final)}`),
        );
    }
  }
  return found;
}

function wrongEnd({ board, winner, line }, timedOut) {
  const count = (seat) => board.filter((owner) => owner === seat).length;
  if (Math.abs(count(0) - count(1)) > 1) return "somebody moved out of turn";
  const full = LINES.find(
    (cells) => board[cells[0]] !== null && cells.every((cell) => board[cell] === board[cells[0]]),
  );
  if (full) {
    if (winner !== board[full[0]]) return "the line is another's";
    return line?.every((cell) => board[cell] === winner) ? null : "the line shown is none";
  }
  if (line !== null && line !== undefined) return "there is no line";
  if (board.every((owner) => owner !== null)) return winner === "draw" ? null : "it was a draw";
  return timedOut ? null : "nobody has won yet";
}

/** The main promise: an acknowledged move is on the board when the round ends. */
export function acknowledgedMovesStand({ name, games }) {
  const found = [];
  for (const { room, you, rounds } of games) {
    for (const { sends, final } of rounds) {
      for (const { data } of sends.filter((send) => final && send.outcome === "reply" && send.type === "move")) {
        if (final.board[data.cell] !== you)
          found.push(violation("an acknowledged move was lost", name, `cell ${data.cell} in ${room}`));
      }
    }
  }
  return found;
}

/** Every mark on a final board was sent by the player whose mark it is. */
export function movesAreSomebodys(players) {
  const found = [];
  for (const { room, you, rounds, name } of seats(players)) {
    rounds.forEach(({ sends, final }) => {
      const sent = new Set(
        sends
          .filter(({ type, outcome, code }) => type === "move" && (outcome === "reply" || code !== "refused"))
          .map(({ data }) => data.cell),
      );
      const unsent = (final?.board ?? []).flatMap((owner, cell) => (owner === you && !sent.has(cell) ? [cell] : []));
      for (const cell of unsent) found.push(violation("a mark that nobody made", name, `cell ${cell} in ${room}`));
    });
  }
  return found;
}

/** Both players and all watchers end with the same boards. */
export function playersAgree(players) {
  const found = [];
  const byRoom = new Map();
  for (const seat of seats(players)) byRoom.set(seat.room, [...(byRoom.get(seat.room) ?? []), seat]);
  for (const [room, [one, other]] of byRoom) {
    if (!other) continue;
    const [a, b] = [one, other].map(({ rounds }) => rounds.map(({ final }) => outcome(final)));
    if (JSON.stringify(a) !== JSON.stringify(b))
      found.push(violation("players disagree", `${one.name} and ${other.name}`, `${room}: ${a} or ${b}`));
  }
  for (const { name, room, rounds, walkedOut } of watched(players)) {
    if (walkedOut !== undefined) continue; // The watcher may have seen the end of an unchecked round.
    const known = new Set((byRoom.get(room) ?? []).flatMap((seat) => seat.rounds.map(({ final }) => outcome(final))));
    const strange = rounds.filter(({ final }) => final !== null && !known.has(outcome(final)));
    for (const { final } of strange)
      found.push(violation("a watcher saw another game", name, `${room}: ${outcome(final)}`));
  }
  return found;
}

const outcome = (final) => (final ? JSON.stringify([final.board, final.winner, final.line ?? null]) : "no end");
const named = (players) => players.flatMap(({ name, games }) => games.map((game) => ({ ...game, name })));
const seats = (players) => named(players).filter(({ you }) => you !== null);
const watched = (players) => named(players).filter(({ you }) => you === null);
