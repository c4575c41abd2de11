// The SDK's notes of the room: one instance is one room.

import { newNotes } from "./notes.js";

const notes = newNotes();

export function recall() { return notes; }
