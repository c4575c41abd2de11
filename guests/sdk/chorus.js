// What authors import as "chorus".

export { LOBBY } from "./players.js";
export { Room } from "./room.js";
