/** A folder of guests with kinds of a test's own, for `chorus dev --guests`. */

import { cp, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));

/** Copies the repository's guests and their tools into `folder`, adds these kinds (code by name), and returns the folder of guests. */
export async function guestsWith(folder, kinds) {
  const skipped = ["node_modules", "fixtures", "test", "dist"].map((name) => join(REPOSITORY, "guests", name));
  await cp(join(REPOSITORY, "guests"), join(folder, "guests"), { recursive: true, filter: (path) => !skipped.includes(path) });
  await cp(join(REPOSITORY, "wit"), join(folder, "wit"), { recursive: true });
  const tools = join(REPOSITORY, "engine", "node_modules");
  await cp(join(REPOSITORY, "engine"), join(folder, "engine"), { recursive: true, filter: (path) => path !== tools });
  await symlink(join(REPOSITORY, "guests/node_modules"), join(folder, "guests/node_modules"));
  for (const [kind, code] of Object.entries(kinds)) {
    await mkdir(join(folder, "guests", kind));
    await writeFile(join(folder, `guests/${kind}/index.js`), code);
  }
  return join(folder, "guests");
}
