// `chorus dev` on a data directory that has lost a part: it is refused by name, and served again when the part is restored or
// the loss is accepted. Not for a cluster.

import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, readdir, rename, rm, stat, symlink, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";

import { freePort } from "../../../testing/services/programs.mjs";
import { Server } from "../server.mjs";
import { Player } from "./player.mjs";

/** A story of a data directory that has served a player, and of an empty one beside it. */
function story(name, { end = "kill9" } = {}, body) {
  test(name, { timeout: 180_000 }, async () => {
    const aside = await mkdtemp(join(tmpdir(), "chorus-aside-"));
    const server = await Server.start({ port: await freePort() });
    try {
      const ana = new Player("Ana", server.url);
      await ana.arrive();
      await server[end]();
      ana.client.close();
      await body(new Place(server, aside));
    } finally {
      await server.stop();
      await rm(aside, { recursive: true, force: true });
    }
  });
}

class Place {
  constructor(server, aside) {
    Object.assign(this, { server, aside });
  }

  path(...parts) {
    return join(this.server.data, ...parts);
  }

  /** Moves a part away. Resolves with a function that restores it. */
  async take(part) {
    await rename(this.path(part), join(this.aside, "part"));
    return async () => {
      await rm(this.path(part), { recursive: true, force: true });
      await rename(join(this.aside, "part"), this.path(part));
    };
  }

  /** Checks that the server refuses to start, twice, with these texts in its output. */
  async isRefused(...expected) {
    for (let attempt = 1; attempt <= 2; attempt++) {
      await assert.rejects(this.server.start(), (error) => {
        assert.match(error.message, /ended with 1\n/);
        for (const text of [this.server.data, ...expected]) {
          const has = text instanceof RegExp ? text.test(error.message) : error.message.includes(text);
          assert.ok(has, `${attempt}: ${text} is not in: ${error.message.slice(-2000)}`);
        }
        return true;
      });
    }
  }

  /** Checks that the server starts, serves players, and shuts down cleanly. */
  async serves(args = []) {
    const server = new Server({ data: this.server.data, port: await freePort(), args });
    try {
      await server.start();
      const bo = new Player("Bo", server.url);
      await bo.arrive();
      bo.client.close();
    } finally {
      await server.interrupt();
    }
    return server.output;
  }
}

// Two at a time: each has a server of its own, and mostly waits.
describe("a data directory", { concurrency: 2 }, () => {
  story("a log that is gone after a kill", {}, async (place) => {
    const back = await place.take("log");
    await place.isRefused("the store is there, and its log is missing", "--accept-loss", "store.sqlite");
    await back();
    await place.serves();
  });

  story("a log that is gone, accepted", {}, async (place) => {
    await place.take("log");
    assert.match(await place.serves(["--accept-loss"]), /--accept-loss is given: going on without what was played since/);
    await place.serves();
  });

  story("an empty log", { end: "interrupt" }, async (place) => {
    await place.take("log");
    await mkdir(place.path("log"));
    await place.isRefused("its log is missing or empty", "--accept-loss");
  });

  story("segments that are gone", {}, async (place) => {
    const back = await place.take("log/0");
    await place.isRefused(join("log", "0"), "is missing");
    await back();
    const [segment] = (await readdir(place.path("log/0"))).filter((file) => file.endsWith(".log"));
    await place.take(`log/0/${segment}`).then(async (giveBack) => {
      await place.isRefused(segment, "is missing");
      await giveBack();
    });
    await place.serves();
  });

  story("a store that is gone", {}, async (place) => {
    const back = await place.take("store.sqlite");
    await place.isRefused("the log is there, and the store is missing", "store.sqlite", "--accept-loss");
    assert.ok(!(await readdir(place.server.data)).includes("store.sqlite"), "and none is made in its place");
    await back();
    await place.serves();
  });

  story("a store that is gone, accepted", {}, async (place) => {
    await place.take("store.sqlite");
    assert.match(await place.serves(["--accept-loss"]), /going on without the snapshots, all sessions/);
    await place.serves();
  });

  story("a store that is empty", { end: "interrupt" }, async (place) => {
    await truncate(place.path("store.sqlite"), 0);
    await place.isRefused("the store is missing or empty");
  });

  story("a write-ahead log that is gone", {}, async (place) => {
    const back = await place.take("store.sqlite-wal");
    await place.isRefused("store.sqlite-wal is missing", "--accept-loss");
    await back();
    await place.serves();
  });

  story("a write-ahead log that is gone, accepted", {}, async (place) => {
    await place.take("store.sqlite-wal");
    assert.match(await place.serves(["--accept-loss"]), /store.sqlite-wal is missing/);
    await place.serves();
  });

  story("the halves of two directories", { end: "interrupt" }, async (place) => {
    const other = await Server.start({ port: await freePort() });
    try {
      await other.interrupt();
      await place.take("log");
      await cp(join(other.data, "log"), place.path("log"), { recursive: true });
      await place.isRefused("they were not created together", "Put the log and the store back that belong together");
      const server = new Server({ data: place.server.data, port: await freePort(), args: ["--accept-loss"] });
      await assert.rejects(server.start(), /were not created together/, "that is no loss to be accepted");
    } finally {
      await other.stop();
    }
  });

  for (const [part, reason] of [["store.sqlite", "the store is an older copy"], ["log", "the log is an older copy"]]) {
    story(`an older copy of ${part}`, { end: "interrupt" }, async (place) => {
      await cp(place.path(part), join(place.aside, "older"), { recursive: true });
      await place.serves();
      await rm(place.path(part), { recursive: true });
      await rename(join(place.aside, "older"), place.path(part));
      await place.isRefused(reason, "--accept-loss");
      await place.serves(["--accept-loss"]);
      await place.serves();
    });
  }

  story("a copy of the whole directory is served", {}, async (place) => {
    await place.serves();
    await cp(place.server.data, join(place.aside, "copy"), { recursive: true });
    await rm(place.server.data, { recursive: true });
    await rename(join(place.aside, "copy"), place.server.data);
    await place.serves();
  });

  story("a torn end of the log is truncated, with a warning", {}, async (place) => {
    const [segment] = (await readdir(place.path("log/0"))).filter((file) => file.endsWith(".log"));
    const { size } = await stat(place.path("log/0", segment));
    await truncate(place.path("log/0", segment), size - 3);
    assert.match(await place.serves(), /truncated the torn end of the log/);
  });

  story("only its owner can read the directory, and links are not followed", { end: "interrupt" }, async (place) => {
    const modes = async (path) => {
      const found = await stat(path);
      assert.equal(found.mode & 0o777, found.isDirectory() ? 0o700 : 0o600, path);
      if (found.isDirectory()) for (const name of await readdir(path)) await modes(join(path, name));
    };
    await modes(place.server.data);
    for (const part of ["store.sqlite", "log", "lock", "token"]) {
      await rename(place.path(part), join(place.aside, part));
      await symlink(join(place.aside, part), place.path(part));
      await place.isRefused("is a symbolic link, which is not followed", place.path(part));
      await rm(place.path(part));
      await rename(join(place.aside, part), place.path(part));
    }
    await place.serves();
  });
});
