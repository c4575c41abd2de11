// A bundle: all components of a project in one file, which `chorus serve` serves. `chorus/src/serve/bundle.rs` has the format and
// reads it; both have the same golden bytes.

import { createHash } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

const MAGIC = "CHORUSBN";
const VERSION = 1;

const sha256 = (bytes) => createHash("sha256").update(bytes).digest();

/** The bytes of a bundle. `components`: `{ kind, wasm }`; they are sorted by kind, so that the same components are the same bytes. */
export function encode(name, components) {
  const sorted = [...components].sort((a, b) => (a.kind < b.kind ? -1 : 1));
  const entries = sorted.map(({ kind, wasm }) => ({ kind, bytes: wasm.length, sha256: sha256(wasm).toString("hex") }));
  const header = Buffer.from(JSON.stringify({ name, components: entries }));
  const beginning = Buffer.alloc(16);
  beginning.write(MAGIC, "latin1");
  beginning.writeUInt32LE(VERSION, 8);
  beginning.writeUInt32LE(header.length, 12);
  return Buffer.concat([beginning, sha256(header), header, ...sorted.map(({ wasm }) => wasm)]);
}

/** The name of a package as that of a file, without its scope; as in `chorus/src/serve/mod.rs`. */
export function fileName(name = "") {
  return name.split("/").at(-1).replace(/[^A-Za-z0-9._-]/g, "") || "rooms";
}

/** Writes the bundle of the package in `root` from the components in `out`. Resolves with its path and size. */
export async function writeBundle(root, reports, out, to) {
  const { name } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  const components = await Promise.all(reports.map(async ({ kind, file }) => ({ kind, wasm: await readFile(join(out, file)) })));
  const path = join(to, `${fileName(name)}.chorus`);
  const bytes = encode(name ?? "", components);
  await mkdir(dirname(path), { recursive: true });
  // A server that starts now reads the old one or the new one.
  await writeFile(`${path}.new`, bytes);
  await rename(`${path}.new`, path);
  return { path, bytes: bytes.length };
}
