// `this.state`, and each player's data: live objects between calls, and the stored text.
//
// A script must see exactly what a restored room would see, and that is a parse of the text. So a live value is kept only while
// it equals a parse of the text and no other reference to a part of it exists: plain objects and arrays, each with one
// reference, with extensible and writable properties, without `undefined`, NaN and −0, and none of it sealed. After each call
// that has read or set the value, it is printed, compared with the text, and checked for these conditions in one pass. If one
// of them does not hold, the value is dropped, and the next call that reads it parses the text anew.

typedef struct Live {
  Text text;
  JSValue value;
  /* Whether `value` is present; whether this call has read or set it; whether it is dropped after the call. */
  bool is_live, is_touched, is_spoilt;
} Live;

/* Printed values, before they are compared. */
static Text live_scratch;

static void live_init(Live *live, const char *text, uint32_t length) {
  *live = (Live){.value = JS_UNDEFINED};
  text_bytes(&live->text, text, length);
}

static void live_drop(Live *live) {
  JS_FreeValue(js, live->value);
  live->value = JS_UNDEFINED;
  live->is_live = live->is_spoilt = false;
}

static int live_parse(Live *live) {
  text_reach(&live->text, 1);
  live->text.bytes[live->text.length] = 0;
  JSValue value = json_parse(live->text.bytes, live->text.length);
  if (JS_IsException(value)) return -1;
  JS_FreeValue(js, live->value);
  live->value = value;
  live->is_live = true;
  live->is_spoilt = false;
  return 0;
}

static bool live_equals(const Live *live, const Text *text) {
  return live->text.length == text->length && same_bytes(live->text.bytes, text->bytes, text->length);
}

static int live_print(Live *live, const char *what) {
  live_scratch.length = 0;
  json_differs = false;
  return json_print(&live_scratch, live->value, true, what, JS_UNDEFINED);
}

/* Stores a touched value: 1 if its text has changed, 0 if not, -1 if it threw. */
static int live_commit(Live *live, const char *what) {
  if (live_print(live, what)) return -1;
  live->is_spoilt |= json_differs;
  if (live_equals(live, &live_scratch)) return 0;
  live->text.length = 0;
  text_bytes(&live->text, live_scratch.bytes, live_scratch.length);
  return 1;
}

/* After a call: the value is kept if it still equals its text. `is_final`: nothing has run since `live_commit`. */
static void live_settle(Live *live, const char *what, bool is_final) {
  live->is_touched = false;
  if (!live->is_live) return;
  if (!live->is_spoilt && !is_final) {
    if (live_print(live, what)) JS_FreeValue(js, JS_GetException(js));
    else if (!json_differs && live_equals(live, &live_scratch)) return;
    live->is_spoilt = true;
  }
  if (live->is_spoilt) live_drop(live);
}

/* The room's state */

#define STATE "this.state"

static Live state;

static JSValue state_get(void) {
  if (!state.is_live && live_parse(&state)) return JS_EXCEPTION;
  state.is_touched = true;
  return js_dup(state.value);
}

static void state_set(JSValueConst value) {
  JSValue old = state.value;
  state.value = js_dup(value);
  state.is_live = state.is_touched = true;
  state.is_spoilt = false;
  JS_FreeValue(js, old);
}

static int state_commit(void) {
  if (JS_IsUndefined(state.value)) {
    JS_ThrowTypeError(js, "this.state is undefined; it must be plain JSON data");
    return -1;
  }
  return live_commit(&state, STATE);
}
