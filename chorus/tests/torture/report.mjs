/** The output of a torture run: its figures, and the violations with the command that repeats the run. */

export function figures(run) {
  const { players } = run;
  const sum = (of) => players.reduce((total, player) => total + of(player), 0);
  const sends = players.flatMap((player) => player.sends);
  const ends = players.flatMap(({ games }) => games.filter(({ you }) => you === 0).flatMap(({ rounds }) => rounds));
  return {
    games: run.games,
    "of them by a turn's end": ends.filter(({ timedOut }) => timedOut).length,
    "moves acknowledged": run.moves,
    "messages sent": sends.length,
    "answer lost (applied)": sends.filter(({ code }) => code === "applied").length,
    resumes: sum(({ client }) => client.resumes),
    resends: sum(({ client }) => client.resends),
    "frames received": sum(({ frames }) => frames.filter(({ out }) => !out).length),
    "whole views that skipped": sum(({ frames }) => skips(frames)),
    ...recovery(run.recoveries),
  };
}

export function recovery(recoveries, prefix = "recovery") {
  const times = recoveries.map(({ ms }) => ms);
  return { [`${prefix} p50`]: `${quantile(times, 0.5)} ms`, [`${prefix} p99`]: `${quantile(times, 0.99)} ms` };
}

export function print(values) {
  for (const [name, value] of Object.entries(values)) console.log(`${name.padEnd(32)} ${value}`);
}

/** `again`: the command that repeats the run. */
export function reportViolations(violations, kept, again) {
  const MAX_SHOWN = 30;
  console.error(`\n${violations.length} violations:`);
  for (const { rule, who, what } of violations.slice(0, MAX_SHOWN)) console.error(`  ${rule}: ${who}: ${what}`);
  if (violations.length > MAX_SHOWN) console.error(`  … and ${violations.length - MAX_SHOWN} more`);
  console.error(`\n${kept}. To play it again:\n  ${again}`);
}

/** The flags of this run, as typed on a command line. */
export function typed(flags) {
  const given = Object.entries(flags).filter(([name, value]) => value !== undefined && name !== "bin");
  return given.flatMap(([name, value]) => [value].flat().map((one) => `--${name}=${one}`)).join(" ");
}

function skips(frames) {
  const last = new Map();
  let count = 0;
  for (const { out, frame } of frames) {
    const { t, room, seq } = frame;
    if (out || seq === undefined) continue;
    if (t === "room" && last.has(room) && seq !== last.get(room) + 1) count += 1;
    if (t === "left")
      last.delete(room); // Joining again later is not counted as skipping.
    else last.set(room, seq);
  }
  return count;
}

export function quantile(values, share) {
  if (values.length === 0) return "–";
  const sorted = values.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]);
}
