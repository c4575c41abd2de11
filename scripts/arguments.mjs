// The command line of a script. `--help` prints the help; what cannot be parsed is one line and exit code 2, no stack
// trace.

import { parseArgs } from "node:util";

/**
 * Values and positionals, as `parseArgs` gives them. `config.numbers` names the options whose value is a whole number:
 * they are checked, and stay text, so that they can be passed on.
 */
export function argumentsOf(help, { numbers = [], ...config } = {}) {
  try {
    const { values, positionals } = parseArgs({
      ...config,
      options: { ...config.options, help: { type: "boolean", short: "h" } },
    });
    if (values.help) {
      process.stdout.write(help);
      process.exit(0);
    }
    const wrong = numbers.find((name) => values[name] !== undefined && !/^\d{1,15}$/.test(values[name]));
    if (wrong) throw new Error(`--${wrong} ${values[wrong]}: not a whole number`);
    return { values, positionals };
  } catch (error) {
    wrongArguments(error.message);
  }
}

/** Ends the script: its arguments are wrong. */
export function wrongArguments(why) {
  console.error(`${why}\nSee --help.`);
  process.exit(2);
}
