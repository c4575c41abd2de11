// A registry that has these packed packages, as if they were published, and forwards to the registry of npm's settings for all others.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

export class Registry {
  /** Serves the tarballs of a folder, until `close`. */
  static async of(folder) {
    const upstream = execFileSync("npm", ["config", "get", "registry"], { encoding: "utf8" }).trim().replace(/\/$/, "");
    const registry = new Registry();
    registry.server = createServer((request, response) => registry.#answer(request, response, upstream)).listen(0, "127.0.0.1");
    await new Promise((resolve) => registry.server.once("listening", resolve));
    registry.url = `http://127.0.0.1:${registry.server.address().port}`;
    for (const file of readdirSync(folder).filter((name) => name.endsWith(".tgz"))) registry.#add(join(folder, file), file);
    return registry;
  }

  #files = new Map();
  #packages = new Map();

  #add(path, file) {
    const manifest = JSON.parse(execFileSync("tar", ["xzOf", path, "package/package.json"], { encoding: "utf8" }));
    const integrity = `sha512-${createHash("sha512").update(readFileSync(path)).digest("base64")}`;
    const { name, version } = manifest;
    const hasShrinkwrap = execFileSync("tar", ["tzf", path], { encoding: "utf8" }).includes("package/npm-shrinkwrap.json\n");
    this.#files.set(`/${file}`, path);
    const versions = { [version]: { ...manifest, _hasShrinkwrap: hasShrinkwrap, dist: { integrity, tarball: `${this.url}/${file}` } } };
    this.#packages.set(`/${name}`, JSON.stringify({ name, versions, "dist-tags": { latest: version } }));
  }

  #answer({ url }, response, upstream) {
    const [path] = url.split("?");
    if (this.#packages.has(path)) return response.setHeader("content-type", "application/json").end(this.#packages.get(path));
    if (this.#files.has(path)) return response.end(readFileSync(this.#files.get(path)));
    return response.writeHead(302, { location: `${upstream}${url}` }).end();
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
