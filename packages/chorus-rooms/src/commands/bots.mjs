// `chorus bots`: plays on a running server with scripted clients, and measures.

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

import { argumentsOf, command, WrongArguments } from "../arguments.mjs";
import { runBots, tableOf } from "../bots.mjs";

const HELP = `Usage: chorus bots [options] FILE

Runs scripted clients on a server, and prints how long they waited for joins and replies. FILE is a module whose default export is
called for each client: async ({ client, room, index, random, sleep, signal }) => { … }.

  -n N            clients (default 10)
  --url URL       the server's WebSocket (default ws://127.0.0.1:4000/ws)
  --seconds N     how long at most (default 30)
  --rate N        clients that start in a second (default 50)
  --seed N        of the bots' random numbers (default 1)
  --token TOKEN   the token that all of them have; guests without one
  --json          the report as one line of JSON; { ok: false, error } if there is none

A server limits new sessions and connections by address (\`--new-sessions\`, \`--max-connections-per-address\`): raise them for
many bots of one machine. The exit code is 1 if a bot has failed or none has joined.
`;

const OPTIONS = { n: { type: "string", short: "n" }, url: { type: "string" }, token: { type: "string" }, json: { type: "boolean" } };

export function main(args) {
  return command(args, async () => {
    const given = argumentsOf(args, HELP, { options: OPTIONS, numbers: ["n", "seconds", "rate", "seed"] });
    if (given === undefined) return 0;
    const { values: { n = 10, url = "ws://127.0.0.1:4000/ws", seconds = 30, rate = 50, seed = 1, token, json }, positionals } = given;
    const bot = await botOf(positionals);
    if (n < 1 || rate < 1 || seconds < 1) throw new WrongArguments("-n, --rate and --seconds are at least 1");
    const stop = new AbortController();
    process.once("SIGINT", () => stop.abort());
    const report = await runBots(bot, { url, count: n, rate, ms: seconds * 1000, seed, options: token === undefined ? {} : { token }, signal: stop.signal });
    console.log(json ? JSON.stringify(report) : tableOf(report));
    return report.ok ? 0 : 1;
  });
}

async function botOf(names) {
  if (names.length !== 1) throw new WrongArguments("one FILE is needed: the module of the bots");
  const file = resolve(names[0]);
  if (!existsSync(file)) throw new WrongArguments(`there is no file ${names[0]}`);
  const { default: bot } = await import(pathToFileURL(file).href).catch((error) => { throw new Error(`${names[0]} cannot be loaded: ${error.stack ?? error}`, { cause: error }); });
  if (typeof bot !== "function") throw new WrongArguments(`${names[0]} has no default export that is a function: export default async ({ client, room }) => { … }`);
  return bot;
}
