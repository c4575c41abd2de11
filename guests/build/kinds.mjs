// What a lobby imports as "chorus/kinds": the kinds that clients may request, each with `maxPlayers` and its `static lobby`.
//
// They are read from the other guests' classes when the lobby is built, so that the lobby is configured where the kinds are, and a
// replay finds the same table. A guest of fixtures, a bare one and another lobby are not among them.

/**
 * `guests`: all that are built together. `inspected`: from a guest to its `{ bundled, offer }`. A guest that does not build
 * now is offered as when it was last built: `known`, by kind.
 */
export async function kindsOf(guests, inspected, known) {
  const offers = guests.filter(({ fixture, refused }) => !fixture && !refused).map(async (guest) => {
    try {
      return [guest.kind, offerOf(await inspected(guest))];
    } catch {
      return [guest.kind, known[guest.kind]?.offer];
    }
  });
  const found = (await Promise.all(offers)).filter(([, offer]) => offer);
  return Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** False when clients cannot request the kind. */
export function offerOf({ bundled, offer }) { return !bundled.isLobby && offer; }
