// The functions of `wit/room.wit`, as the canonical ABI has them, and those of the build.

/* A text or a list, in the form in which it is returned. */
typedef struct Slice { const void *at; uint32_t length; } Slice;

static Slice slice_of(const Text *text) { return (Slice){text->bytes, text->length}; }

/* Arguments */

/* Memory for the arguments of one call: most are short. */
#define ARGUMENTS 1008
static struct { uint8_t *bytes; uint32_t used; void **long_ones; uint32_t count, capacity; } arguments;

EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  /* One byte more, for the zero that ends a text to be parsed as JSON. */
  size_t wanted = (size + 1 + 7) & ~(size_t)7;
  void *block;
  if (!arguments.bytes) arguments.bytes = memory_new(NULL, ARGUMENTS);
  if (wanted <= ARGUMENTS - arguments.used) {
    block = arguments.bytes + arguments.used;
    arguments.used += wanted;
  } else {
    block = memory_new(NULL, wanted);
    if (!block) __builtin_trap();
    if (arguments.count == arguments.capacity) {
      arguments.capacity = arguments.capacity ? arguments.capacity * 2 : 8;
      arguments.long_ones = memory_resize(NULL, arguments.long_ones, arguments.capacity * sizeof(void *));
    }
    arguments.long_ones[arguments.count++] = block;
  }
  if (old_size) memcpy(block, old, old_size < size ? old_size : size);
  return block;
}

static void arguments_free(void) {
  arguments.used = 0;
  while (arguments.count) memory_free(NULL, arguments.long_ones[--arguments.count]);
}

/* The contract */

static Slice result;

/* Larger buffers are freed before the next call. */
#define KEPT_BUFFER (64 * 1024)

static void keep_small(Text *text) {
  if (text->capacity > KEPT_BUFFER) text_free(text);
}

static Slice *returned(const Text *text) {
  put_back();
  arguments_free();
  result = slice_of(text);
  return &result;
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

static int open_room(Given info, uint32_t version, Given saved) {
  JSValue about = given_json(info);
  if (JS_IsException(about)) return -1;
  engine_now = number_of(js, about, "now");
  call.begun = true;
  JSValue locked = taken(js, about, "locked"), chance = taken(js, about, "chance");
  call.locked = JS_ToBool(js, locked);
  Text seed = {0};
  if (JS_IsString(chance)) text_string(&seed, chance);
  memcpy(call.chance, seed.bytes, seed.length < sizeof call.chance ? seed.length : sizeof call.chance);
  text_free(&seed);
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

EXPORT("open") Slice *contract_open(uint8_t *info, uint32_t info_length, uint32_t version, uint8_t *saved, uint32_t saved_length) {
  static Text failure;
  if (open_room((Given){info, info_length}, version, (Given){saved, saved_length})) {
    /* `open` returns its error without a log. */
    effects_keep_log();
    call.effects.length = 0;
    call.cut = 0;
    fail(&failure);
    return returned(&failure);
  }
  log_close();
  return returned(&call.effects);
}

EXPORT("handle") Slice *contract_handle(double now, uint8_t *chance, uint32_t chance_length, uint8_t *event, uint32_t event_length, uint8_t *who,
                                        uint32_t who_length, uint8_t *what, uint32_t what_length, uint8_t *data, uint32_t data_length) {
  keep_small(&call.effects);
  keep_small(&live_scratch);
  keep_small(&reply);
  return returned(handle(now, (Given){chance, chance_length}, (Given){event, event_length}, (Given){who, who_length},
                         (Given){what, what_length}, (Given){data, data_length}));
}

EXPORT("save") Slice *contract_save(void) {
  static Text saved;
  saved.length = 0;
  keep_small(&saved);
  saved_print(&saved);
  return returned(&saved);
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
