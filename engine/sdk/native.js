// The engine's functions (engine/src/sdk.c), taken from the global scope before any author's code runs.

export const { native } = globalThis;
delete globalThis.native;
