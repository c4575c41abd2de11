// Several pages beside each other: a picture of them, or a recording with a line about them, frame by frame, as it happens.
//
// A page of its own puts the pages' screenshots on a canvas, and cuts out what has changed since the last frame. A frame lasts as long as it took
// until the next one that differs.

import { apng, smaller } from "./apng.mjs";

const EVERY_MS = 250;
/** How long the last frame is shown before the first one comes again. */
const LAST_MS = 2_500;

export class Recording {
  #frames = [];
  #line = { text: "", color: "" };
  #ends = false;

  static async of(browser, pages) {
    const recording = new Recording();
    recording.page = await (await browser.newContext()).newPage();
    recording.pages = pages;
    return recording;
  }

  /** Resolves with the bytes of a picture. */
  async picture() {
    const { png } = await this.page.evaluate(compose, { shots: await this.#shots() });
    return smaller(Buffer.from(png, "base64"));
  }

  /** Of the pages' beginnings: a click may have scrolled them. */
  async #shots() {
    return Promise.all(this.pages.map(async (page) => {
      await page.evaluate(() => scrollTo({ top: 0, behavior: "instant" }));
      return (await page.screenshot()).toString("base64");
    }));
  }

  /** The line above the pages, from the next frame on. */
  shows(text, color) { this.#line = { text, color }; }

  /** Records until `end`. */
  begin() { this.#done = this.#run().catch((error) => { this.#failed = error; }); }
  #done; #failed;

  async #run() {
    while (!this.#ends) {
      const begun = performance.now();
      await this.#frame(begun);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, EVERY_MS - (performance.now() - begun))));
    }
  }

  async #frame(at) {
    const piece = await this.page.evaluate(compose, { shots: await this.#shots(), line: this.#line });
    if (piece) this.#frames.push({ at, x: piece.x, y: piece.y, png: Buffer.from(piece.png, "base64") });
  }

  /** Resolves with the animation's bytes. */
  async end() {
    this.#ends = true;
    await this.#done;
    if (this.#failed) throw this.#failed;
    const frames = this.#frames.map(({ at, ...frame }, index) => ({ ...frame, ms: (this.#frames[index + 1]?.at ?? at + LAST_MS) - at }));
    return { bytes: apng(frames), frames: frames.length, seconds: frames.reduce((sum, { ms }) => sum + ms, 0) / 1000 };
  }
}

/** In the page: draws the frame; what has changed, as `{ x, y, png }`, or undefined. */
async function compose({ shots, line }) {
  const margin = 10, top = line ? 40 : margin;
  const pictures = await Promise.all(shots.map((shot) => createImageBitmap(new Blob([Uint8Array.from(atob(shot), (letter) => letter.charCodeAt(0))], { type: "image/png" }))));
  const wide = pictures.reduce((sum, { width }) => sum + width + margin, margin), high = Math.max(...pictures.map(({ height }) => height)) + top + margin;
  globalThis.canvas ??= new OffscreenCanvas(wide, high);
  const { canvas } = globalThis, context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#14161b";
  context.fillRect(0, 0, canvas.width, canvas.height);
  if (line) {
    context.fillStyle = line.color;
    context.beginPath();
    context.arc(margin + 10, top / 2, 6, 0, 7);
    context.fill();
    context.fillStyle = "#e6edf3";
    context.font = "15px monospace";
    context.textBaseline = "middle";
    context.fillText(line.text, margin + 25, top / 2 + 1);
  }
  let from = margin;
  for (const picture of pictures) {
    context.drawImage(picture, from, top);
    from += picture.width + margin;
  }
  const pixels = new Uint32Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer), { last } = globalThis;
  globalThis.last = pixels;
  let [left, right, above, below] = last ? [canvas.width, -1, canvas.height, -1] : [0, canvas.width - 1, 0, canvas.height - 1];
  if (last) {
    for (let at = 0; at < pixels.length; at++) {
      if (pixels[at] === last[at]) continue;
      const x = at % canvas.width, y = Math.floor(at / canvas.width);
      [left, right, above, below] = [Math.min(left, x), Math.max(right, x), Math.min(above, y), Math.max(below, y)];
    }
    if (right < 0) return undefined;
  }
  const piece = new OffscreenCanvas(right - left + 1, below - above + 1);
  const shown = context.getImageData(left, above, piece.width, piece.height), dots = new Uint32Array(shown.data.buffer);
  // What is the same is transparent, which compresses to nothing.
  if (last) for (let at = 0; at < dots.length; at++) if (dots[at] === last[(above + Math.floor(at / piece.width)) * canvas.width + left + (at % piece.width)]) dots[at] = 0;
  piece.getContext("2d").putImageData(shown, 0, 0);
  const png = new Uint8Array(await (await piece.convertToBlob({ type: "image/png" })).arrayBuffer());
  let letters = "";
  for (const byte of png) letters += String.fromCharCode(byte);
  return { x: left, y: above, png: btoa(letters) };
}
