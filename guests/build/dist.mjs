// The artifacts: content-addressed components, and `manifest.json`, which maps each kind to its component.
//
// An artifact is kept for as long as its inputs are unchanged: that is quick, and the componentizer of bare guests gives other bytes each
// time.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A component is deleted this long after it was replaced, since a process may still be reading it. */
const KEEP_REPLACED_MS = 24 * 60 * 60 * 1000;

export class Dist {
  #folder;

  constructor(folder) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  manifest() {
    try {
      return JSON.parse(readFileSync(this.#path("manifest.json"), "utf8"));
    } catch {
      return {};
    }
  }

  /** The artifact of this kind, if it was built from the same source. */
  kept(kind, sourceHash) {
    const entry = this.manifest()[kind];
    if (entry?.sourceHash !== sourceHash) return undefined;
    const found = statSync(this.#path(entry.file), { throwIfNoEntry: false });
    return found?.size === entry.bytes ? entry : undefined;
  }

  /**
   * Stores a component, then adds it to the manifest, so that every file in the manifest exists. `made`: `{ sourceHash, ms, offer }`,
   * of which `offer` is what the lobby has of the kind.
   */
  keep(kind, component, made) {
    const digest = sha256(component);
    const file = `${kind}-${digest.slice(0, 12)}.wasm`;
    this.#write(file, component);
    const entry = { digest, file, bytes: component.length, ...made };
    this.#writeManifest({ ...this.manifest(), [kind]: entry });
    return entry;
  }

  /** Drops kinds whose guests were deleted, and components older than a day that are not in the manifest. */
  prune(kinds) {
    const entries = Object.entries(this.manifest()).filter(([kind]) => kinds.includes(kind));
    this.#writeManifest(Object.fromEntries(entries));
    const named = new Set(entries.map(([, { file }]) => file));
    const old = Date.now() - KEEP_REPLACED_MS;
    for (const file of readdirSync(this.#folder)) {
      if (file.endsWith(".wasm") && !named.has(file) && statSync(this.#path(file)).mtimeMs < old) rmSync(this.#path(file), { force: true });
    }
  }

  #writeManifest(manifest) {
    const sorted = Object.fromEntries(Object.entries(manifest).sort(([a], [b]) => (a < b ? -1 : 1)));
    this.#write("manifest.json", `${JSON.stringify(sorted, null, 2)}\n`);
  }

  /** Writes a file atomically, also when two builds run at once. */
  #write(file, bytes) {
    const unfinished = this.#path(`.${file}.${process.pid}`);
    writeFileSync(unfinished, bytes);
    renameSync(unfinished, this.#path(file));
  }

  #path(file) { return join(this.#folder, file); }
}

export function sha256(...parts) {
  const hash = createHash("sha256");
  parts.forEach((part) => hash.update(part));
  return hash.digest("hex");
}
