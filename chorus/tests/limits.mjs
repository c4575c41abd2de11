/**
 * The environment of servers whose players all connect from this machine, many at once and as fast as possible. The limits by
 * address and by computing have tests of their own, which set them by flags.
 */
export const ROOMY = {
  CHORUS_NEW_SESSIONS: "1000000",
  CHORUS_MAX_CONNECTIONS_PER_ADDRESS: "100000",
  CHORUS_COMPUTE_RATE: "100000",
};
