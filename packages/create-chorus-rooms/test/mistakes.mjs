// Mistakes as authors make them, each planted in the room of a template by a change of its text. What finds them is what a project has
// from its first day: the template's own `play` and what random play checks by itself.
//
// `finds`: what the failure must name.

export const MISTAKES = [
  {
    name: "a player who drops and does not come back keeps the seat", template: "tic-tac-toe",
    from: "    this.state.seats[this.#seatOf(player)] = null;\n", to: "    if (!this.#sitting(player).connected) return;\n    this.state.seats[this.#seatOf(player)] = null;\n",
    finds: /"each member has a seat, and nobody else" does not hold/,
  },
  {
    name: "the points of a question are given again to a player who resumes", template: "quiz",
    from: "    this.#entrant(player).connected = true;\n", to: "    const own = this.#entrant(player);\n    own.connected = true;\n    own.points += own.gained ?? 0;\n",
    finds: /"points are won when an answer is shown, once, and kept until the next game" does not hold/,
  },
  {
    name: "the timer of a round is not cancelled when all have answered", template: "quiz",
    from: '    this.schedule.cancel("show");\n', to: "",
    finds: /"a phase ends by itself, and no timer of another one is left" does not hold/,
  },
  {
    name: "when each player has written is kept in a module", template: "chat",
    from: "const NUMBERS = 10_000;\n", to: "const NUMBERS = 10_000;\nconst wrote = new Map<string, number[]>();\n",
    also: [["player.data.wrote.filter(", "(wrote.get(player.session) ?? []).filter("], ["player.data.wrote = [...recent, this.now()];", "wrote.set(player.session, [...recent, this.now()]);"]],
    finds: /messages\.say: `wrote` is changed by this call[^]*\(\S*chat\/index\.ts:\d+:\d+\)/,
  },
  {
    name: "two players get one seat: the seat is the number of players at the join", template: "tic-tac-toe",
    from: "seats[seats.indexOf(null)] =", to: "seats[this.players.size - 1] =",
    finds: /"each member has a seat, and nobody else" does not hold/,
  },
  {
    name: "a third player takes part: only those who are connected are counted", template: "tic-tac-toe",
    from: "{ maxPlayers: 2, reconnectSeconds: 60 };\n", to: "{ reconnectSeconds: 60 };\n\n  onJoinAttempt() { return this.players.filter(({ connected }) => connected).length < 2; }\n",
    finds: /onJoin threw TypeError: this\.state\.seats\["-1"\] would be lost/,
  },
  {
    name: "when a player has written is never removed", template: "chat",
    from: "player.data.wrote = [...recent, this.now()];", to: "player.data.wrote.push(this.now());",
    finds: /this\.state \(with the players' data\) grows by \d+ characters with each of 1000 repetitions, from \d+ to \d+, most of it in player\.data\.wrote: /,
  },
  {
    name: "who waits for the next deal sees the hand of the player on turn", template: "cards",
    from: "seats.find(({ session }) => session === own)?.hand ?? [])", to: "(seats.find(({ session }) => session === own)?.hand ?? seats.find(({ session }) => session === turn)?.hand) ?? [])",
    finds: /"a view has its own hand, and no other cards" does not hold/,
  },
  {
    name: "the number that a client sends is added unchecked", template: "empty",
    from: '      if (by !== 1 && by !== -1) this.refuse("by is 1 or -1");\n', to: "",
    finds: /"the count stays within its bounds" does not hold: it is /,
  },
  {
    name: "a line without a text is not expected", template: "chat",
    from: 'typeof data?.text === "string" ? data.text.trim() : "";', to: "data.text.trim();",
    finds: /messages\.say threw TypeError[^]*\(\S*chat\/index\.ts:\d+:\d+\)/,
  },
  {
    name: "a player leaves in its turn, and the turn does not pass", template: "cards",
    from: "    else if (wasOnTurn) this.#turn(next);\n", to: "",
    finds: /"a turn is that of a player with cards, and ends by itself" does not hold/,
  },
  {
    name: "the points are lost at a swap, which gives all entrants the fields of a new version", template: "quiz",
    from: "  #entrant({", to: '  onRestore(why: string) {\n    if (why === "swapped") for (const one of this.state.entrants) Object.assign(one, entrant(one.session, one.name), { connected: one.connected });\n  }\n\n  #entrant({',
    finds: /"points are won when an answer is shown, once, and kept until the next game" does not hold/,
  },
  {
    name: "all players are marked as away when the room is restored", template: "empty",
    from: "  #person({", to: "  onRestore() {\n    for (const person of this.state.people) person.connected = false;\n  }\n\n  #person({",
    finds: /onRestore\("\w+"\) may only log/,
  },
];
