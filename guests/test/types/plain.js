// The same in JavaScript, by type comments.

import { Room } from "chorus";

/**
 * @typedef {import("./declared.js").Declared} Declared
 * @extends {Room<Declared>}
 */
export default class Plain extends Room {
  /** @param {import("chorus").OptionsOf<Declared>} options */
  onCreate({ size }) {
    this.state = { board: Array(size).fill(null), turn: /** @type {const} */ ("x"), secret: 0 };
    this.broadcast("won", { mark: this.state.turn, line: [] });
    // @ts-expect-error no such event
    this.broadcast("wno");
    // @ts-expect-error the state has a shape
    this.state.turn = "z";
  }

  /** @type {import("chorus").Messages<Declared>} */
  messages = {
    place: (player, { cell }) => ({ left: cell + player.data.mark.length }),
    rematch: () => {},
    // @ts-expect-error the data of a message is as declared
    chat: (_player, { txt }) => txt,
  };
}
