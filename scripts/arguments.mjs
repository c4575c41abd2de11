// The command line of a script. `--help` prints the help; wrong arguments print one line, without a stack trace, and end the
// script with exit code 2.

import { parseArgs } from "node:util";

/**
 * Values and positionals, as returned by `parseArgs`. `config.numbers` names the options whose value is a whole number:
 * they are checked, and stay strings, so that they can be passed on.
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

/** Ends the script because of wrong arguments. */
export function wrongArguments(why) {
  console.error(`${why}\nSee --help.`);
  process.exit(2);
}
