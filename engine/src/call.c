// The current call, and the only writer of its effects. One instance is one room and calls never overlap, so there is one.
//
// Effects are written in the contract's format as they are requested: separated by U+001E, their parts by U+001F. The next
// version of the contract changes `effect_begin`, `effect_part` and `effect_end`, and nothing else.

#define PART 0x1f
#define END 0x1e
/* As in guests/sdk/limits.js: the log of one call, less the line that reports the cut. */
#define LOG_UNITS (16384 - 64)
#define LOG_NAME "log\x1f"

/* What a call may request, from `static config.budget`: numbers of effects and timers; output and state in units of UTF-16. */
static struct { double output, effects, timers, state; } allowed;

static struct {
  /* Whether the time of a record is set: it is not while the guest is built. */
  bool begun;
  /* Whether the call may refuse its record, and the reason once it has. */
  bool refusable, seeded, locked, was_locked;
  uint8_t chance[64];
  uint32_t a, b, c, counter;
  uint32_t number, created;
  JSValue refused, promised;
  /* `requested`: effects so far, without the log and the answer. `spent`: no less than the units of the effects' texts. */
  uint32_t requested;
  uint64_t spent;
  /* The units of log that are kept, and those that were cut. */
  uint32_t logged;
  uint64_t cut;
  Text effects;
} call;

static void call_begin(void) {
  if (!JS_IsUndefined(call.refused)) { JS_FreeValue(js, call.refused); call.refused = JS_UNDEFINED; }
  if (!JS_IsUndefined(call.promised)) { JS_FreeValue(js, call.promised); call.promised = JS_UNDEFINED; }
  call.refusable = call.seeded = false;
  call.was_locked = call.locked;
  call.number++;
  call.created = call.requested = call.logged = 0;
  call.spent = call.cut = 0;
  call.effects.length = 0;
}

static int throw_too_early(const char *what) {
  JS_ThrowPlainError(js, "%s has no meaning while the component is built, and would be the same in every room: use it in onCreate or later", what);
  return -1;
}

/* Begins an effect, and returns what `effect_end` needs. */
static inline uint32_t effect_begin(const char *name, uint32_t length) {
  uint32_t mark = call.effects.length;
  if (mark) text_byte(&call.effects, END);
  text_bytes(&call.effects, name, length);
  return mark;
}

#define EFFECT(literal) effect_begin(literal, sizeof(literal) - 1)

static inline void effect_part(void) { text_byte(&call.effects, PART); }

/* Drops an effect that was begun and cannot be completed: an exception is pending. */
static int effect_drop(uint32_t mark) {
  call.effects.length = mark;
  return -1;
}

/* The end of the effect that begins at `at`. */
static uint32_t effect_end_of(uint32_t at) {
  const Text *text = &call.effects;
  const uint8_t *end = at < text->length ? memchr(text->bytes + at, END, text->length - at) : NULL;
  return end ? end - text->bytes : text->length;
}

static bool is_log(uint32_t at, uint32_t end) { return end - at >= 4 && memcmp(call.effects.bytes + at, LOG_NAME, 4) == 0; }

/* The units that the effects before `mark` have, without the log. */
static uint64_t effects_units(uint32_t mark) {
  uint64_t units = 0;
  for (uint32_t at = 0; at < mark;) {
    uint32_t end = effect_end_of(at);
    if (!is_log(at, end)) units += utf16_units(call.effects.bytes + at, end - at);
    at = end + 1;
  }
  return units;
}

/* Ends an effect, if the call may have it. An effect that `answers` the record is not counted, so that a script cannot use up
 * its place. */
static int effect_end(uint32_t mark, const char *what, bool answers) {
  if (!call.begun) { throw_too_early(what); return effect_drop(mark); }
  if (call.requested >= allowed.effects && !answers) {
    JS_ThrowRangeError(js, "%s: this call has requested %d effects, the most that a call may request (config.budget.effectsPerRecord)", what, (int)allowed.effects);
    return effect_drop(mark);
  }
  uint32_t start = mark ? mark + 1 : 0, bytes = call.effects.length - start;
  if (unlikely(call.spent + bytes > allowed.output)) {
    /* A byte is at most one unit of UTF-16. */
    uint32_t units = utf16_units(call.effects.bytes + start, bytes);
    call.spent = effects_units(mark);
    if (call.spent + units > allowed.output) {
      JS_ThrowRangeError(js, "%s: with these %u characters the effects of this call exceed %d characters (config.budget.outputKiB)", what, units, (int)allowed.output);
      return effect_drop(mark);
    }
    bytes = units;
  }
  call.spent += bytes;
  if (!answers) call.requested++;
  return 0;
}

/* A log line that is not counted. */
static void log_line(JSValueConst level, JSValueConst text) {
  effect_begin(LOG_NAME, 4);
  text_string(&call.effects, level);
  effect_part();
  text_string(&call.effects, text);
}

static void log_close(void) {
  if (call.cut == 0) return;
  effect_begin(LOG_NAME "warn\x1f(", 10);
  json_natural(&call.effects, call.cut);
  text_literal(&call.effects, " more bytes of log were cut)");
}

/* Whether the call has other effects than its log. */
static bool has_effects(void) {
  for (uint32_t at = 0; at < call.effects.length;) {
    uint32_t end = effect_end_of(at);
    if (!is_log(at, end)) return true;
    at = end + 1;
  }
  return false;
}

static void effects_keep_log(void) {
  Text *text = &call.effects;
  uint32_t kept = 0, length = text->length;
  for (uint32_t at = 0; at < length;) {
    uint32_t end = effect_end_of(at);
    if (is_log(at, end)) {
      if (kept) text->bytes[kept++] = END;
      memmove(text->bytes + kept, text->bytes + at, end - at);
      kept += end - at;
    }
    at = end + 1;
  }
  text->length = kept;
  call.requested = 0;
  call.spent = 0;
}

/* The random generator: sfc32, as in guests/sdk/bits.js. */

static uint32_t chance_word(int word) {
  uint32_t value = 0;
  for (int i = 0; i < 8; i++) value = value << 4 | from_hex(call.chance[word * 8 + i]);
  return value;
}

static uint32_t random_bits(void) {
  if (!call.seeded) {
    call.seeded = true;
    call.a = chance_word(0);
    call.b = chance_word(1);
    call.c = chance_word(2);
    call.counter = chance_word(3);
    /* The first outputs are correlated with the seed. */
    for (int round = 0; round < 8; round++) random_bits();
  }
  uint32_t sum = call.a + call.b + call.counter++;
  call.a = call.b ^ call.b >> 9;
  call.b = call.c + (call.c << 3);
  call.c = (call.c << 21 | call.c >> 11) + sum;
  return sum;
}

static double random_float(void) {
  uint32_t high = random_bits() >> 5, low = random_bits() >> 6;
  return (high * 67108864.0 + low) / 9007199254740992.0;
}
