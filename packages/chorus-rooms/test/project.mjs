// A project in a folder of its own, for tests of commands: its files, and `chorus` in it.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));

/** A folder with these files: text by path. It is deleted at the end. */
export function project(files) {
  const folder = mkdtempSync(join(tmpdir(), "chorus-project-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(PACKAGE, join(folder, "node_modules/chorus-rooms"));
  write(folder, { "package.json": '{ "type": "module" }', ...files });
  return folder;
}

export function write(folder, files) {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}

/** Runs `chorus` in a folder: `{ status, output }`. */
export function chorus(folder, ...args) {
  const { CHORUS_ROOMS, CHORUS_TEST_DIST, CHORUS_TEST_RUNS, CHORUS_TEST_SEED, CHORUS_BIN, NODE_TEST_CONTEXT, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(PACKAGE, "bin/chorus.mjs"), ...args], { cwd: folder, env, encoding: "utf8" });
  return { status, output: stdout + stderr, stdout, stderr };
}

/** A room of this class body. */
export const roomOf = (body, top = "") => `import { Room } from "chorus";\n${top}\nexport default class extends Room {\n${body}\n}\n`;
