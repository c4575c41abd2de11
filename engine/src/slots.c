// Several rooms in one instance, each in a slot: a cell. For kinds with `share` in their config (wit/room.wit, "Slots").
//
// What lasts from call to call and is a room's own is in a few variables. They hold the room of the selected slot, and the slots hold
// those of the other rooms. All else is of one entry, or of the component: what the build has made is sealed, and what an entry has
// written there is put back at its end (undo.c), so no room sees what another one has done.
//
// The rooms share memory, the collector, the tables of names and shapes, and the hash key. No result follows from these.

typedef struct Own {
  Live state;
  typeof(members) members;
  typeof(pending) pending;
  typeof(reported) reported;
  JSValue sdk_memory;
  bool locked, places_wanted;
} Own;

/* One for each room, and an empty one, as the build has left it. NULL until the first `select` or `close`: an instance without them
 * is one room, and has no slots. */
static struct { Own *list; uint32_t selected; } slots;

static void own_keep(Own *own) {
  *own = (Own){state, members, pending, reported, sdk_memory, call.locked, places_wanted};
}

static void own_take(const Own *own) {
  state = own->state;
  members = own->members;
  pending = own->pending;
  reported = own->reported;
  sdk_memory = own->sdk_memory;
  call.locked = own->locked;
  places_wanted = own->places_wanted;
}

/* The notes of a room are made as it is opened. */
static bool is_open(void) { return !JS_IsUndefined(sdk_memory); }

static void slots_begin(void) {
  /* Also if the instance is one room already: the host has mixed both ways. */
  if (allowed.share < 2 || is_open()) __builtin_trap();
  slots.list = memory_new(NULL, (allowed.share + 1) * sizeof *slots.list);
  for (uint32_t i = 0; i <= allowed.share; i++) own_keep(&slots.list[i]);
}

static void slot_select(uint32_t slot) {
  if (slot == slots.selected) return;
  own_keep(&slots.list[slots.selected]);
  own_take(&slots.list[slot]);
  slots.selected = slot;
}

/* Frees the room in the selected slot. Nothing is freed that the build has made. */
static void slot_empty(void) {
  JS_FreeValue(js, state.value);
  text_free(&state.text);
  while (members.first) member_unlist(members.first);
  memory_free(NULL, members.buckets);
  memory_free(NULL, pending.flags);
  memory_free(NULL, reported);
  JS_FreeValue(js, sdk_memory);
  own_take(&slots.list[allowed.share]);
}

static void on_slot(uint8_t tag, uint32_t slot) {
  if (!slots.list) slots_begin();
  if (slot >= allowed.share) __builtin_trap();
  slot_select(slot);
  if (tag == ENTRY_CLOSE) slot_empty();
}

/* An entry without a room is the host's mistake, and would be another room's. */
static void slot_check(uint8_t tag, bool selected) {
  if (!selected || !(is_open() || tag == ENTRY_OPEN)) __builtin_trap();
}
