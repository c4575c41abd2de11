/** An operator: runs the `chorus` command against the monitors, one after the other until one answers. */

import { run } from "../../../testing/services/programs.mjs";

export class Operator {
  constructor({ bin, token, monitors }) {
    Object.assign(this, { bin, token, monitors });
  }

  /** Runs `chorus ARGS --json`, and resolves with the parsed output. */
  async chorus(...args) {
    let failed;
    for (const monitor of this.monitors) {
      const env = { ...process.env, CHORUS_MONITOR: monitor, CHORUS_TOKEN: this.token };
      const [command, before] = this.bin.endsWith(".mjs") ? [process.execPath, [this.bin]] : [this.bin, []];
      try {
        return JSON.parse(await run(command, [...before, ...args, "--json"], { env }));
      } catch (error) {
        failed = error;
      }
    }
    throw failed;
  }

  status() {
    return this.chorus("status");
  }

  async machines() {
    return (await this.chorus("machine", "ls")).machines;
  }

  publish(kind, file) {
    return this.chorus("publish", file, "--kind", kind);
  }
}
