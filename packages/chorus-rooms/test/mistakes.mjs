// Mistakes as authors make them, each planted in one of the rooms of these tests by a change of its text.
//
// `finds`: what the failure must name.

export const MISTAKES = [
  {
    name: "a player on turn who drops, and does not come back, is not handled", room: "duel",
    from: "    if (this.state.turn !== null && seat !== -1) this.#finish(1 - seat);\n    this.#standUp(player);",
    to: "    if (this.state.turn === null) this.#standUp(player);",
    finds: /who is on turn is in the room|no coin is made or lost/,
  },
  {
    name: "a stake is given back twice, at the drop and at the end", room: "duel",
    from: "    this.state.seats.splice(at, 1);\n    this.state.pot -= STAKE;\n    this.state.purses[player.id] += STAKE;",
    to: "    this.state.purses[player.id] += STAKE;\n    if (player.connected) return;\n    this.state.seats.splice(at, 1);\n    this.state.pot -= STAKE;",
    also: [["    if (this.state.turn === null) this.#standUp(player);\n  }", "    if (this.state.turn === null) this.state.purses[player.id] += this.#seatOf(player) === -1 ? 0 : STAKE;\n  }"]],
    finds: /no coin is made or lost/,
  },
  {
    name: "the clock of a turn is never cancelled", room: "duel",
    from: '    this.schedule.cancel("turn");\n', to: "",
    finds: /the clock runs in a game alone/,
  },
  {
    name: "questions go on in an empty room", room: "quiz",
    from: '    this.schedule.cancel("ask");\n    this.schedule.cancel("close");\n', to: "",
    finds: /timers\.\w+ is set again and again when nobody is in the room/,
  },
  {
    name: "the points of a player with two tabs go with the first tab", room: "quiz",
    from: "if (this.players.of(player.id).length === 0) {", to: "{",
    finds: /every player has points/,
  },
  {
    name: "a timer counts on a player who has left", room: "quiz",
    from: "this.players.get(session)?.send(", to: "/** @type {any} */ (this.players.get(session)).send(",
    finds: /timers\.hint threw TypeError[^]*\(\S*quiz\/index\.js:\d+:\d+\)/,
  },
  {
    name: "who has spoken last is kept in the module", room: "chat",
    from: "const FLOOD_MS = 500;", to: "const FLOOD_MS = 500;\n/** @type {Record<string, number>} */\nconst last = {};",
    also: [["(this.state.last[player.session] ?? 0)", "(last[player.session] ?? 0)"], ["this.state.last[player.session] = this.now();", "last[player.session] = this.now();"]],
    finds: /`last\.[0-9a-f]+` is changed by this call[^]*\(\S*chat\/index\.js:\d+:\d+\)/,
  },
  {
    name: "the lines of a chat are all kept", room: "chat",
    from: "      if (this.state.lines.length > KEPT) this.state.lines.shift();\n", to: "",
    finds: /this\.state \(with the players' data\) grows by \d+ characters with each of 1000 repetitions/,
  },
  {
    name: "what a client sends is not checked", room: "chat",
    from: "const text = data?.text;", to: "const { text } = data;",
    finds: /messages\.say threw TypeError[^]*\(\S*chat\/index\.js:\d+:\d+\)/,
  },
  {
    name: "two who join at once get the same seat: the seats are counted when the cards are dealt", room: "cards",
    from: "if (this.#hasDealt() || seats.length >= SEATS || seats.includes(player.id))", to: "if (this.#hasDealt() || Object.keys(this.state.hands).length >= SEATS || seats.includes(player.id))",
    finds: /three play at most/,
  },
  {
    name: "who watches sees all hands", room: "cards",
    from: "player.spectator ? {} :", to: "player.spectator ? hands :",
    finds: /nobody sees another's cards/,
  },
  {
    name: "a swap starts a clock that no game has", room: "duel",
    from: "  /** @param {import(\"chorus\").Player} player */\n  onJoin(player) {",
    to: "  /** @param {string} why */\n  onRestore(why) { if (why === \"swapped\") this.#startTurn(0); }\n\n  /** @param {import(\"chorus\").Player} player */\n  onJoin(player) {",
    finds: /(timers\.turn|onLeave) threw TypeError|does not hold/,
  },
];
