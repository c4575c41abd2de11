/** Players in rooms of the kind `seeker` (`guests/fixtures/seeker.js`), which they reach by the lobby `bench-lobby`. */

/** Connects the player, and brings it into a new room of this level. Resolves with the room's id. */
export async function seeks(player, level) {
  player.client.connect();
  await player.until("the lobby", () => player.client.room?.view);
  await player.send("enter", { kind: "seeker", options: { level } });
  return (await player.in("seeker")).id;
}

const answerTo = (number) => ({ answers }) => answers.some(([of]) => of === number);

/** Searches until an answer has this room, and resolves with the number of searches. A room is listed shortly after it is created. */
export async function finds(player, level, room) {
  for (let number = 1; ; number++) {
    await player.send("look", { level, number });
    const { answers } = await player.sees(`the answer to search ${number}`, answerTo(number));
    if (answers.at(-1)[1].includes(room)) return number;
  }
}

/** The answers to the searches with these numbers, when all of them have one. */
export async function answersTo(player, numbers) {
  const { answers } = await player.sees(`answers to ${numbers}`, (view) => numbers.every((number) => answerTo(number)(view)));
  return answers.filter(([of]) => numbers.includes(of));
}
