/**
 * The environment of servers whose players all connect from this machine, many at once and as fast as possible. The limits by
 * address, by bytes and by computing have tests of their own, which set them by flags.
 */
export const ROOMY = {
  CHORUS_NEW_CONNECTIONS: "1000000",
  CHORUS_NEW_SESSIONS: "1000000",
  CHORUS_MAX_CONNECTIONS_PER_ADDRESS: "100000",
  CHORUS_BYTE_RATE: "1000000000",
  CHORUS_COMPUTE_RATE: "100000",
};
