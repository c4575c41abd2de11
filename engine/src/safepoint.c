// Safepoints: calls of the host, which lets other rooms have their turn there (wit/room.wit, `meter`). Between two of them lie so many
// units of work, or so many polls (meter.c). A unit takes some 20 to 100 ns: an allocation, some bytes of a large one, a value that is
// printed, a comparison. Nothing follows from when a safepoint is: a script cannot observe it.
//
// There is none while the host allocates the input (`cabi_realloc`), since a component must not call out then.

#define SAFEPOINT_WORK 1024
#define SAFEPOINT_BYTES 256

IMPORT("chorus:room/meter@3.0.0", "safepoint") void host_safepoint(void);

/* The work since the last one. */
static uint32_t safepoint_work;

/* The host may suspend the guest where it next enters a function: here. */
static __attribute__((noinline)) void safepoint_turn(void) { __asm__ volatile(""); }

static __attribute__((noinline)) void safepoint(void) {
  safepoint_work = 0;
  host_safepoint();
  safepoint_turn();
}

static inline void js_work(uint32_t units) {
  safepoint_work += units;
  if (__builtin_expect(safepoint_work >= SAFEPOINT_WORK, 0)) safepoint();
}
