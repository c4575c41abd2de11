// A game of cards: players put a card of the same colour or number on the pile, or draw one. Hands and the deck are in the state, which no
// client sees; each member's view has its own hand.

import { Room, type Messages, type Player, type Timers } from "chorus";

import { CARDS, fits, type Card, type Cards, type Seat, type State, type View } from "../../shared/cards.ts";

const HAND = 6;
const TURN_MS = 30_000;

export default class CardsRoom extends Room<Cards> {
  static config = { maxPlayers: 4, reconnectSeconds: 60 };

  onCreate() {
    this.state = { phase: "waiting", seats: [], turn: null, deck: [], pile: [], passes: 0, endsAt: null, winner: null };
  }

  /** Who comes during a game has cards from the next deal on. */
  onJoin({ session, name }: Player) {
    this.state.seats.push({ session, name, connected: true, hand: null });
  }

  onDrop(player: Player) {
    this.#seat(player).connected = false;      // the clock goes on, and ends its turns
  }

  onReconnect(player: Player) {
    this.#seat(player).connected = true;
  }

  onLeave(player: Player) {
    const { hand, session } = this.#seat(player), wasOnTurn = this.state.turn === session;
    const next = this.#after(session);
    this.state.seats = this.state.seats.filter((seat) => seat.session !== session);
    if (this.state.seats.length === 0) return this.#stop();
    if (this.state.phase !== "playing" || hand === null) return;
    this.state.deck.unshift(...hand);          // under the deck: no card is lost
    const left = this.#playing();
    if (left.length === 1) this.#finish(left[0]);
    else if (wasOnTurn) this.#turn(next);
  }

  messages: Messages<Cards> = {
    deal: () => {
      const { phase, seats } = this.state;
      if (phase === "playing") this.refuse("the game goes on");
      if (seats.length < 2) this.refuse("two players are needed");
      const deck = this.random.shuffle(Array.from({ length: CARDS }, (_, card) => card));
      for (const seat of seats) seat.hand = deck.splice(0, HAND);
      Object.assign(this.state, { phase: "playing", pile: deck.splice(0, 1), deck, passes: 0, winner: null });
      this.#turn(this.random.pick(seats)!.session);
    },

    // A client may send any JSON, also what is not of the declared type.
    play: (player, data) => {
      const { hand } = this.#onTurn(player), at = hand.indexOf(data?.card);
      if (at === -1) this.refuse("you do not have that card");
      if (!fits(hand[at], this.state.pile.at(-1)!)) this.refuse("neither the colour nor the number fits");
      this.state.pile.push(...hand.splice(at, 1));
      this.state.passes = 0;
      if (hand.length === 0) this.#finish(this.#seat(player));
      else this.#turn(this.#after(player.session));
    },

    draw: (player) => {
      this.#onTurn(player);
      this.#draw();
    },
  };

  timers: Timers<Cards> = { turn: () => this.#draw() };       // who does not play draws

  view({ phase, seats, turn, deck, pile, endsAt, winner }: State, { session: own }: Player): View {
    const hand = [...(seats.find(({ session }) => session === own)?.hand ?? [])].sort((a, b) => a - b), top = pile.at(-1) ?? null;
    return {
      phase, hand, top, endsAt,
      players: seats.map(({ session, name, connected, hand }) => ({ name, you: session === own, connected, cards: hand?.length ?? null, turn: session === turn })),
      playable: turn === own ? hand.filter((card) => top !== null && fits(card, top)) : [],
      deck: deck.length,
      winner: winner && { name: winner.name, you: winner.session === own },
    };
  }

  /** The player on turn draws a card, and the turn is over. The pile is shuffled when the deck is empty. */
  #draw() {
    const { pile } = this.state, { session, hand } = this.state.seats.find((seat) => seat.session === this.state.turn)!;
    if (this.state.deck.length === 0) this.state.deck = this.random.shuffle(pile.splice(0, pile.length - 1));
    const card = this.state.deck.pop();
    if (card !== undefined) hand!.push(card);
    this.state.passes = card === undefined ? this.state.passes + 1 : 0;
    // All cards are in hands, and nobody plays: the fewest win.
    if (this.state.passes >= this.#playing().length) return this.#finish(this.#playing().sort((a, b) => a.hand!.length - b.hand!.length)[0]);
    this.#turn(this.#after(session));
  }

  #turn(turn: string) {
    Object.assign(this.state, { turn, endsAt: this.now() + TURN_MS });
    this.schedule.after(TURN_MS, "turn");      // replaces the one before
  }

  #finish({ session, name }: Seat) {
    Object.assign(this.state, { phase: "over", turn: null, endsAt: null, winner: { session, name } });
    this.schedule.cancel("turn");
  }

  #stop() {
    this.schedule.cancel("turn");
    this.onCreate();
  }

  #onTurn({ session }: Player): { hand: Card[] } {
    if (this.state.phase !== "playing") this.refuse("no game goes on");
    if (this.state.turn !== session) this.refuse("it is not your turn");
    return { hand: this.state.seats.find((seat) => seat.session === session)!.hand! };
  }

  /** The session that is on turn after this one. */
  #after(session: string): string {
    const playing = this.state.seats.filter((seat) => seat.hand !== null || seat.session === session);
    return playing[(playing.findIndex((seat) => seat.session === session) + 1) % playing.length].session;
  }

  #playing(): Seat[] {
    return this.state.seats.filter(({ hand }) => hand !== null);
  }

  #seat({ session }: Player): Seat {
    return this.state.seats.find((seat) => seat.session === session)!;
  }
}
