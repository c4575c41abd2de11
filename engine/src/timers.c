// Which timers are pending, counted as the host counts them: by name, among those that have a handler.

#define TIMERS 256

static struct {
  /* Their names, in the order of the manifest; made by the build. */
  JSAtom *names;
  uint32_t known;
} timer_names;

enum { TIMER_PENDING = 1, TIMER_WAS_PENDING = 2, TIMER_CHANGED = 4 };

static struct {
  uint8_t *flags;
  uint32_t count, changed;
} pending;

static int timer_find(JSAtom name) {
  for (uint32_t i = 0; i < timer_names.known; i++) if (timer_names.names[i] == name) return i;
  return -1;
}

static bool timer_is_pending(int timer) { return pending.flags && pending.flags[timer] & TIMER_PENDING; }

static void timer_set(int timer, bool is) {
  if (timer_is_pending(timer) == is) return;
  if (!pending.flags) pending.flags = memory_calloc(NULL, timer_names.known, 1);
  uint8_t *flags = &pending.flags[timer];
  if (!(*flags & TIMER_CHANGED)) {
    *flags = TIMER_CHANGED | (*flags & TIMER_PENDING ? TIMER_WAS_PENDING | TIMER_PENDING : 0);
    pending.changed++;
  }
  *flags ^= TIMER_PENDING;
  pending.count += is ? 1 : -1;
}

static void timers_end(bool undo) {
  if (!pending.changed) return;
  for (uint32_t i = 0; i < timer_names.known; i++) {
    uint8_t flags = pending.flags[i];
    if (!(flags & TIMER_CHANGED)) continue;
    bool is = flags & (undo ? TIMER_WAS_PENDING : TIMER_PENDING);
    pending.count += is - !!(flags & TIMER_PENDING);
    pending.flags[i] = is ? TIMER_PENDING : 0;
  }
  pending.changed = 0;
}

static void timers_begin(void) { timers_end(false); }
static void timers_undo(void) { timers_end(true); }
