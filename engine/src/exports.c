// The functions of `wit/room.wit`, as the canonical ABI has them, and those of the build.

/* A text or a list, in the form in which it is returned. */
typedef struct Slice { const void *at; uint32_t length; } Slice;

static Slice slice_of(const Text *text) { return (Slice){text->bytes, text->length}; }

/* The input */

/* Memory for the input of one call: most are short, and use the same. */
#define SHORT_INPUT 1008
static struct { uint8_t *short_one, *long_one; } input;

EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  /* `call` has one argument, and the host allocates it at once. */
  if (old_size || input.long_one) __builtin_trap();
  if (size < SHORT_INPUT) {
    if (!input.short_one) input.short_one = memory_take(SHORT_INPUT);
    return input.short_one;
  }
  /* One byte more, for the zero that ends a text to be parsed as JSON. */
  input.long_one = memory_take(size + 1);
  if (!input.long_one) __builtin_trap();
  return input.long_one;
}

static void input_free(void) {
  memory_free(NULL, input.long_one);
  input.long_one = NULL;
}

/* The contract */

static Slice result;

/* Larger buffers are freed before the next call. */
#define KEPT_BUFFER (64 * 1024)

static void keep_small(Text *text) {
  if (text->capacity > KEPT_BUFFER) text_free(text);
}

static struct {
  uint32_t failed, state_version;
  Slice config, timers, messages;
} manifest;

static Slice text_slice(JSValueConst value) {
  Text text = {0};
  text_string(&text, value);
  return slice_of(&text);
}

static Slice list_slice(JSValueConst list) {
  uint32_t length = length_of(js, list);
  Slice *slices = memory_calloc(NULL, length + 1, sizeof *slices);
  for (uint32_t i = 0; i < length; i++) {
    JSValue value = JS_GetPropertyUint32(js, list, i);
    slices[i] = text_slice(value);
    JS_FreeValue(js, value);
  }
  return (Slice){slices, length};
}

static void describe_as(uint32_t version, JSValueConst config, JSValueConst timers, JSValueConst messages) {
  manifest.state_version = version;
  manifest.config = text_slice(config);
  manifest.timers = list_slice(timers);
  manifest.messages = list_slice(messages);
}

EXPORT("describe") void *contract_describe(void) { return &manifest; }

/* No script gets the seed. */
static void take_hash_seed(JSValueConst about) {
  JSValue seed = taken(js, about, "hashSeed");
  Text text = {0};
  if (JS_IsString(seed)) text_string(&text, seed);
  hash_by(text.bytes, text.length);
  text_free(&text);
  JS_FreeValue(js, seed);
  JSAtom name = JS_NewAtom(js, "hashSeed");
  JS_DeleteProperty(js, about, name, 0);
  JS_FreeAtom(js, name);
}

static int open_room(Given fields) {
  meter_begin(take_u64(&fields));
  uint32_t version = take_u32(&fields);
  Given saved = take_text(&fields);
  JSValue about = given_json(fields);
  if (JS_IsException(about)) return -1;
  engine_now = number_of(js, about, "now");
  call.begun = true;
  JSValue locked = taken(js, about, "locked"), chance = taken(js, about, "chance");
  call.locked = JS_ToBool(js, locked);
  digits_read(call.chance, chance, CHANCE);
  JS_FreeValue(js, chance);
  take_hash_seed(about);
  JSValue check = taken(js, about, "check");
  places_wanted = JS_ToBool(js, check);
  call_begin();
  JSValue text = given_string(saved);
  JSValue numbered = js_number(version);
  JSValueConst given[3] = {about, numbered, text};
  JSValue opened = sdk_call(room.open, 3, given);
  JS_FreeValue(js, about);
  JS_FreeValue(js, text);
  if (JS_IsException(opened)) return -1;
  JS_FreeValue(js, opened);
  return settle_promises();
}

static bool on_open(Given fields) {
  uint32_t mark = outcome_begin(OUTCOME_DONE);
  call_begin();
  if (slots.list) slot_empty();
  return settle_outcome(mark, open_room(fields));
}

static bool on_save(void) {
  uint32_t mark = outcome_begin(OUTCOME_SAVED);
  /* Nothing polls. */
  meter_begin(UINT64_MAX);
  saved_print(&call.answer);
  outcome_end(mark);
  return true;
}

/* Carries out one entry of the room, and returns whether the next one may follow. */
static bool on_entry(uint8_t tag, Given fields) {
  bool done = tag == ENTRY_OPEN ? on_open(fields) : tag == ENTRY_SAVE ? on_save() : handle(tag, fields);
  drop_jobs();
  put_back();
  return done;
}

EXPORT("call") Slice *contract_call(uint8_t *bytes, uint32_t length) {
  keep_small(&call.answer);
  keep_small(&live_scratch);
  keep_small(&reply);
  call.answer.length = 0;
  Given entries = {bytes, length};
  bool selected = false;
  for (bool done = true; done && entries.length;) {
    uint8_t tag = take_u8(&entries);
    Given fields = take_text(&entries);
    if (tag == ENTRY_SELECT || tag == ENTRY_CLOSE) {
      if (selected) __builtin_trap();
      selected = tag == ENTRY_SELECT;
      on_slot(tag, take_u32(&fields));
      continue;
    }
    if (unlikely(slots.list != NULL)) slot_check(tag, selected);
    done = on_entry(tag, fields);
    /* Each entry counts its polls anew. */
    if (entries.length) safepoint();
  }
  input_free();
  result = slice_of(&call.answer);
  return &result;
}

/* The build */

static Text build_text;

/* Memory for a script of this length. */
EXPORT("script") void *build_script(uint32_t length) {
  if (!memory_first) memory_begin();
  build_text.length = 0;
  text_reach(&build_text, length + 1);
  return build_text.bytes;
}

static Slice *build_failed(void) {
  static Text failure;
  JSValue error = JS_GetException(js), text = JS_ToString(js, error);
  failure.length = 0;
  if (JS_IsString(text)) text_string(&failure, text);
  result = slice_of(&failure);
  return &result;
}

/* Runs the script, which calls `native.serve`. Returns the text of its error if it fails. */
EXPORT("run") Slice *build_run(uint32_t length) {
  runtime = JS_NewRuntime2(&memory_functions, NULL);
  /* A stack overflow is a trap, also inside of `try` and `catch`. */
  JS_SetMaxStackSize(runtime, 0);
  js = JS_NewContext(runtime);
  call.refused = call.promised = state.value = room.view = sdk_memory = JS_UNDEFINED;
  JSValue global = JS_GetGlobalObject(js);
  JS_SetPropertyStr(js, global, "native", make_native());
  JS_FreeValue(js, global);
  build_text.bytes[length] = 0;
  JSValue done = JS_Eval(js, (char *)build_text.bytes, length, "script", JS_EVAL_TYPE_GLOBAL | JS_EVAL_FLAG_STRICT);
  if (JS_IsException(done)) return build_failed();
  JS_FreeValue(js, done);
  text_free(&build_text);
  return NULL;
}

/* Ends the build. Returns where the room's own memory begins. */
EXPORT("seal") uintptr_t build_seal(void) {
  seal();
  return js_sealed_end;
}

/* For tests: a run of the cycle collector, and the bytes that the room itself has allocated. */
EXPORT("collect") void test_collect(void) { JS_RunGC(runtime); }
EXPORT("allocated") uint32_t test_allocated(void) { return runtime->malloc_state.malloc_size; }
