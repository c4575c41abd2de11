// The command line of a command: `--help`, and wrong arguments in one line.

import { parseArgs } from "node:util";

export class WrongArguments extends Error {}

/** `{ values, positionals }`; undefined when the help was wanted, and printed. `numbers`: options whose value is a whole number. */
export function argumentsOf(args, help, { numbers = [], options = {} } = {}) {
  const all = { ...options, ...Object.fromEntries(numbers.map((name) => [name, { type: "string", ...options[name] }])), help: { type: "boolean", short: "h" } };
  let parsed;
  try {
    parsed = parseArgs({ args, allowPositionals: true, options: all });
  } catch (error) {
    throw new WrongArguments(error.message);
  }
  if (parsed.values.help) {
    console.log(help);
    return undefined;
  }
  for (const name of numbers) {
    const text = parsed.values[name];
    if (text === undefined) continue;
    if (!/^\d{1,9}$/.test(text)) throw new WrongArguments(`--${name} ${text}: not a whole number`);
    parsed.values[name] = Number(text);
  }
  return parsed;
}

/**
 * Runs a command's body: the exit code, 2 for wrong arguments, 1 for an error that is the user's to mend. With `--json` among its arguments, the
 * error is also a line of JSON: see `printError`.
 */
export async function command(args, body) {
  try {
    return (await body()) ?? 0;
  } catch (error) {
    if (error instanceof WrongArguments) {
      printError(args, error.message, "\nSee --help.");
      return 2;
    }
    if (error?.code?.startsWith?.("ERR_") || !(error instanceof Error) || error instanceof TypeError) throw error;
    printError(args, error.message);
    return 1;
  }
}

/** Prints an error that ends a command: to the standard error for people, and with `--json` as `{ ok: false, error }` to the standard output. */
export function printError(args, message, more = "") {
  console.error(message + more);
  if (args.includes("--json")) console.log(JSON.stringify({ ok: false, error: message }));
}
