// A WebSocket class whose server is here: it admits every client to the lobby, answers each message by `answer(type, data)`, and
// lets it into another room where the answer `enters` one.

const GAME = "a".repeat(32);
const LOBBY = "00000000000000000000000000010bb7";

export function fakeSocket(answer = () => ({ reply: null })) {
  let sessions = 0;
  return class FakeSocket {
    #seq = 0;
    #gameSeq = 1;

    constructor() { setTimeout(() => this.onopen?.({})); }

    send(text) {
      const frame = JSON.parse(text);
      if (frame.t === "hello") {
        this.#later({ t: "welcome", session: `s${++sessions}`, resume: "token", recovered: false, pingMs: 60_000 });
        this.#later({ t: "room", room: LOBBY, kind: "lobby", seq: ++this.#seq, ack: 0, view: {} });
      }
      if (frame.t !== "msg") return;
      if (frame.room === GAME) return this.#later({ t: "reply", room: GAME, seq: ++this.#gameSeq, id: frame.id, data: answer(frame.type, frame.data).reply });
      const { reply, refused, close, enters, events = 0 } = answer(frame.type, frame.data);
      for (let i = 0; i < events; i++) this.#later({ t: "event", room: LOBBY, seq: ++this.#seq, type: "x", data: null });
      if (enters) this.#later({ t: "event", room: LOBBY, seq: ++this.#seq, type: "placed", data: { room: GAME, code: "KQ7F2M" } });
      if (close) setTimeout(() => this.onclose?.({ code: close, reason: "no" }));
      else if (refused) this.#later({ t: "error", room: LOBBY, seq: ++this.#seq, id: frame.id, code: "refused", message: refused });
      else this.#later({ t: "reply", room: LOBBY, seq: ++this.#seq, id: frame.id, data: enters ? { room: GAME, code: "KQ7F2M" } : reply });
      if (enters) this.#later({ t: "room", room: GAME, kind: enters, seq: 1, ack: 0, view: {} });
    }

    #later(frame) { setTimeout(() => this.onmessage?.({ data: JSON.stringify(frame) })); }
    close() {}
  };
}
