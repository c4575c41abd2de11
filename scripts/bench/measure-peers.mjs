// Measures chorus, the floor and Colyseus in turn, for the table of `peers.mjs`.

import { SIDES } from "./peers.mjs";
import { AWAKE, stop } from "./servers.mjs";

/**
 * Each side with a server of its own, in turn, so that nothing is left of the measurement before. The first measurement of a
 * script includes its compilation, so all warm up for longer.
 */
export async function measurePeers(servers, rows, rounds, record) {
  for (let round = 0; round < rounds; round++) {
    for (const row of rows) {
      for (const side of SIDES) {
        if (side === "floor" && !row.floor) continue;
        const report = await (row.series ? playedBy(servers, side, row) : comparedBy(servers, side, row));
        if (report) record({ row: row.name, side, round, ...report });
      }
    }
  }
}

async function comparedBy(servers, side, { args, floor, peer = [], ours = [] }) {
  const server = await (side === "colyseus" ? servers.colyseus(peer) : servers[side]());
  const report = await servers.report(server, side === "chorus" ? [...args, ...ours] : args, { raw: side === "floor", path: floor, warmUp: 3 });
  await stop(server);
  return report;
}

/** A room of chorus must not hibernate while its memory is measured. */
async function playedBy(servers, side, { ours = [] }) {
  const server = await (side === "chorus" ? servers.chorus({ more: AWAKE }) : servers[side]());
  const report = await servers.report(server, ["played", "--rooms", "250", "--steps", "4", ...(side === "chorus" ? ours : [])]);
  await stop(server);
  return report;
}
