// The current call, and the only writer of its effects. Calls never overlap, so there is one.
//
// Effects are written into the answer in the contract's encoding (layout.c), as they are requested.

/* As in guests/sdk/limits.js: the log of one call, less the line that reports the cut. */
#define LOG_UNITS (16384 - 64)

/* What a call may request, from `static config.budget`: numbers of effects and timers; output in bytes, state in units of UTF-16.
 * `share`: how many rooms one instance may have, from `static config`. */
static struct { double output, effects, timers, state; uint32_t share; } allowed;

static struct {
  /* Whether the time of a record is set: it is not while the guest is built. */
  bool begun;
  /* Whether the call may refuse its record, and the reason once it has. */
  bool refusable, seeded, locked, was_locked;
  uint8_t chance[CHANCE];
  uint32_t a, b, c, counter;
  uint32_t number, created;
  JSValue refused, promised;
  /* `requested`: effects so far, without the log and the answer. `spent`: their bytes. */
  uint32_t requested;
  uint64_t spent;
  /* The units of log that are kept, and those that were cut. */
  uint32_t logged;
  uint64_t cut;
  /* The outcomes so far, and where the effects of this call begin in it. */
  Text answer;
  uint32_t first;
} call;

static void call_begin(void) {
  if (!JS_IsUndefined(call.refused)) { JS_FreeValue(js, call.refused); call.refused = JS_UNDEFINED; }
  if (!JS_IsUndefined(call.promised)) { JS_FreeValue(js, call.promised); call.promised = JS_UNDEFINED; }
  call.refusable = call.seeded = false;
  call.was_locked = call.locked;
  call.number++;
  call.created = call.requested = call.logged = 0;
  call.spent = call.cut = 0;
  call.first = call.answer.length;
}

static int throw_too_early(const char *what) {
  JS_ThrowPlainError(js, "%s has no meaning while the component is built, and would be the same in every room: use it in onCreate or later", what);
  return -1;
}

/* Begins an effect, and returns what `effect_end` needs. */
static inline uint32_t effect_begin(uint8_t tag) { return tagged_begin(&call.answer, tag); }

/* Drops an effect that was begun and cannot be completed: an exception is pending. */
static int effect_drop(uint32_t mark) {
  call.answer.length = mark;
  return -1;
}

/* Ends an effect, if the call may have it. An effect that `answers` the record is not counted, so that a script cannot use up
 * its place. */
static int effect_end(uint32_t mark, const char *what, bool answers) {
  if (!call.begun) { throw_too_early(what); return effect_drop(mark); }
  if (call.requested >= allowed.effects && !answers) {
    JS_ThrowRangeError(js, "%s: this call has requested %d effects, the most that a call may request (config.budget.effectsPerRecord)", what, (int)allowed.effects);
    return effect_drop(mark);
  }
  uint32_t bytes = call.answer.length - mark;
  if (unlikely(call.spent + bytes > allowed.output)) {
    JS_ThrowRangeError(js, "%s: with these %u bytes the effects of this call exceed %d bytes (config.budget.outputKiB)", what, bytes, (int)allowed.output);
    return effect_drop(mark);
  }
  tagged_end(&call.answer, mark);
  call.spent += bytes;
  if (!answers) call.requested++;
  return 0;
}

/* The end of the effect that begins at `at`. */
static uint32_t effect_end_of(uint32_t at) {
  uint32_t length;
  memcpy(&length, call.answer.bytes + at + 1, sizeof length);
  return at + HEAD + length;
}

static bool is_log(uint32_t at) { return call.answer.bytes[at] == EFFECT_LOG; }

/* A log line that is not counted. */
static void log_line(JSValueConst level, JSValueConst text) {
  static const char levels[] = "diwe";
  uint32_t mark = effect_begin(EFFECT_LOG);
  text_byte(&call.answer, 0);
  text_string(&call.answer, level);
  /* By the first letter of its name. */
  uint8_t *number = call.answer.bytes + mark + HEAD;
  *number = strchr(levels, number[1]) - levels;
  call.answer.length = mark + HEAD + 1;
  text_string(&call.answer, text);
  tagged_end(&call.answer, mark);
}

static void log_close(void) {
  if (call.cut == 0) return;
  uint32_t mark = effect_begin(EFFECT_LOG);
  text_literal(&call.answer, "\2(");
  json_natural(&call.answer, call.cut);
  text_literal(&call.answer, " more bytes of log were cut)");
  tagged_end(&call.answer, mark);
}

/* Whether the call has other effects than its log. */
static bool has_effects(void) {
  for (uint32_t at = call.first; at < call.answer.length; at = effect_end_of(at)) if (!is_log(at)) return true;
  return false;
}

static void effects_keep_log(void) {
  Text *text = &call.answer;
  uint32_t kept = call.first, length = text->length;
  for (uint32_t at = call.first, end; at < length; at = end) {
    end = effect_end_of(at);
    if (!is_log(at)) continue;
    memmove(text->bytes + kept, text->bytes + at, end - at);
    kept += end - at;
  }
  text->length = kept;
  call.requested = 0;
  call.spent = 0;
}

/* Begins an outcome, and returns its place. */
static uint32_t outcome_begin(uint8_t tag) {
  uint32_t mark = tagged_begin(&call.answer, tag);
  /* What the entry has used: see `outcome_end`. */
  text_u64(&call.answer, 0);
  return mark;
}

static void outcome_end(uint32_t mark) {
  uint64_t used = meter_spent();
  memcpy(call.answer.bytes + mark + HEAD, &used, sizeof used);
  tagged_end(&call.answer, mark);
}

/* The random generator: sfc32, as in guests/sdk/bits.js. */

static uint32_t chance_word(int word) {
  const uint8_t *at = call.chance + word * 4;
  return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
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
