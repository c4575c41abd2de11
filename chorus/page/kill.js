/**
 * Kills the server at a button's request, and waits until it is back. `chorus dev` takes the request from a page on its own
 * machine alone; it replaces its process at once, so the request has no answer.
 */

import { $, say } from "./dom.js";

const ASK_EVERY_MS = 20;
const GIVE_UP_MS = 60_000;

/** This life of the server: `{ pid, started, kills }`. Null where this page may not kill it. */
export async function life() {
  const answer = await fetch("/dev/process", { cache: "no-store" }).catch(() => null);
  return answer?.ok ? answer.json().catch(() => null) : null;
}

/** Resolves with the next life, and how many milliseconds nobody answered. */
export async function kill() {
  const before = await life();
  const begun = performance.now();
  const answer = await fetch("/dev/kill", { method: "POST" }).catch(() => null);
  if (answer) throw new Error((await answer.json().catch(() => null))?.error ?? `the server answered ${answer.status}`);
  for (;;) {
    const now = await life();
    const ms = performance.now() - begun;
    if (now !== null && now.started !== before?.started) return { ...now, ms };
    if (ms > GIVE_UP_MS) throw new Error("the server is not back after a minute: see its terminal");
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
  }
}

/** The button that kills the server. `killAndReport` does that, and resolves with the sentence that is then shown. */
export function killButton(killAndReport) {
  const button = $("trick-kill");
  button.addEventListener("click", async () => {
    button.disabled = true;
    $("trick").dataset.state = "down";
    say($("trick-text"), "Killed. The next process reads the log …");
    try {
      say($("trick-text"), await killAndReport());
      $("trick").dataset.state = "back";
    } catch (error) {
      say($("trick-text"), `That did not work: ${error.message}.`);
      $("trick").dataset.state = "failed";
    } finally {
      button.disabled = false;
    }
  });
}

/** `0.42 s`. */
export const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;
