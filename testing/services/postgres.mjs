/** A PostgreSQL of its own: a new cluster in a folder, on loopback, which trusts every user. */

import { chmod, chown, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";

import { SERVER_USER, end, findOrInstall, freePorts, run, start, until, which } from "./programs.mjs";

const DEBIAN = "/usr/lib/postgresql";

export class Postgres {
  #bin;
  #data;
  #port;
  #child = null;

  static async start(folder) {
    const bin = await findOrInstall("PostgreSQL", findBin, ["postgresql"], "set CHORUS_TEST_POSTGRES");
    const postgres = new Postgres();
    [postgres.#port] = await freePorts(1);
    postgres.#bin = bin;
    postgres.#data = join(folder, "postgres");
    await giveToServerUser(folder, postgres.#data);
    const options = ["--username=chorus", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"];
    const as = { user: SERVER_USER, cwd: "/" };
    await run(join(bin, "initdb"), [...options, "-D", postgres.#data], as);
    await postgres.start();
    return postgres;
  }

  /** The URL of a superuser, since tests create databases of their own. */
  get url() {
    return `postgres://chorus@127.0.0.1:${this.#port}/postgres`;
  }

  /** Starts it (again), at the same address and on the same data; resolves when it answers. */
  async start() {
    const settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=300"];
    const args = ["-D", this.#data, "-p", String(this.#port), ...settings.flatMap((setting) => ["-c", setting])];
    this.#child = start(join(this.#bin, "postgres"), args, { user: SERVER_USER, cwd: "/" });
    const isReady = ["-q", "-h", "127.0.0.1", "-p", String(this.#port), "-U", "chorus", "-d", "postgres"];
    await until("PostgreSQL", this.#child, () => run(join(this.#bin, "pg_isready"), isReady).then(() => true));
  }

  async kill() {
    await end(this.#child, "SIGKILL");
  }

  /** A fast shutdown: open sessions are ended. */
  async stop() {
    await end(this.#child, "SIGINT");
  }
}

/** The directory of the newest version's programs, which Debian does not put on the PATH. */
async function findBin() {
  const versions = await readdir(DEBIAN).catch(() => []);
  const newest = versions.sort((a, b) => Number(b) - Number(a)).map((version) => join(DEBIAN, version, "bin"));
  const wanted = async (dir) => (await readdir(dir).catch(() => [])).includes("initdb");
  for (const dir of newest) if (await wanted(dir)) return dir;
  return which("initdb")?.replace(/\/initdb$/, "") ?? null;
}

async function giveToServerUser(folder, data) {
  await mkdir(data, { mode: 0o700 });
  if (!SERVER_USER) return;
  const id = async (flag) => Number(await run("id", [flag, SERVER_USER]));
  await chmod(folder, 0o711); // The server's user can only pass through it.
  await chown(data, await id("-u"), await id("-g"));
}
