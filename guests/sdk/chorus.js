// What authors import as "chorus".

export { LOBBY } from "./ids.js";
export { Room } from "./room.js";
