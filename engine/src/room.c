// The call for a record: its handler, its end, its refusal. The code that every message needs is here; that of other events,
// and the text of every error, are in the SDK's JavaScript.

/* The script's room, and the values that the SDK passed at the end of the build. */
static struct {
  JSValue object, view;
  /* The number of parameters of `view`: with one, the view is shared by all members. */
  int view_parameters;
  struct Handler { JSAtom name; uint8_t *bytes; uint32_t length; JSValue function; } *handlers;
  uint32_t handler_count;
  /* Functions of the SDK. */
  JSValue open, dispatch, failure_text, after_refusal, undo_rooms, a_promise, refusal_proto, no_handler, no_member;
} room;

static JSValue sdk_call(JSValueConst function, int argc, JSValueConst *argv) { return JS_Call(js, function, JS_UNDEFINED, argc, argv); }

/* Whether a value has a method `then`; -1 if it threw. */
static int is_thenable(JSValueConst value) {
  if (!JS_IsObject(value)) return 0;
  JSValue then = JS_GetProperty(js, value, JS_ATOM_then);
  if (JS_IsException(then)) return -1;
  int is = JS_IsFunction(js, then);
  JS_FreeValue(js, then);
  return is;
}

/* Throws the SDK's error for a promise that `what`, or `what.name`, has returned. */
static int throw_promise(const char *what, JSValueConst name) {
  JSValue label = JS_NewString(js, what);
  JSValueConst arguments[2] = {label, name};
  JSValue error = sdk_call(room.a_promise, 2, arguments);
  JS_FreeValue(js, label);
  if (!JS_IsException(error)) JS_Throw(js, error);
  return -1;
}

/* The end of a call */

static bool is_touched(void) { return state.is_touched || touched.count || members.roles_changed; }

/* Drops the changes of the state and of players' data that are not stored. */
static void discard(void) {
  if (state.is_touched) live_settle(&state, STATE, false);
  data_settle(false);
}

static void saved_print(Text *to) {
  text_literal(to, "{\"state\":");
  text_bytes(to, state.text.bytes, state.text.length);
  bool first = true;
  for (Member *member = members.first; member; member = member->next) {
    const Text *data = &member->data.text;
    if (data_length(data) == 0) continue;
    if (first) text_literal(to, ",\"data\":{\"");
    else text_literal(to, ",\"");
    first = false;
    char session[ID_DIGITS];
    digits_of(session, member->session, ID);
    text_bytes(to, session, ID_DIGITS);
    text_literal(to, "\":");
    text_bytes(to, data->bytes, data->length);
  }
  if (!first) text_byte(to, '}');
  text_byte(to, '}');
}

/* A state that is too large to be saved would end the room. */
static int check_size(void) {
  if (state.text.length + members.data_length + 64 <= allowed.state) return 0;
  live_scratch.length = 0;
  saved_print(&live_scratch);
  uint32_t units = utf16_units(live_scratch.bytes, live_scratch.length);
  if (units <= allowed.state) return 0;
  JS_ThrowRangeError(js, "this.state and the players' data have %u characters as JSON; a room may have %d (config.budget.stateKiB)", units, (int)allowed.state);
  return -1;
}

/* Sends the view, of `member` if there is one. */
static int show(Member *member) {
  JSValue value = state_get();
  if (JS_IsException(value)) return -1;
  JSValueConst arguments[2] = {value, member ? member->object : JS_UNDEFINED};
  JSValue view = JS_Call(js, room.view, room.object, member ? 2 : 1, arguments);
  JS_FreeValue(js, value);
  if (JS_IsException(view)) return -1;
  int thenable = is_thenable(view);
  if (thenable) {
    JS_FreeValue(js, view);
    return thenable < 0 ? -1 : throw_promise("view", JS_UNDEFINED);
  }
  uint32_t mark = effect_begin(member ? EFFECT_VIEW_OF : EFFECT_VIEW);
  if (member) text_bytes(&call.answer, member->session, ID);
  int failed = json_print(&call.answer, view, false, "the view", JS_UNDEFINED);
  JS_FreeValue(js, view);
  if (failed) return effect_drop(mark);
  return effect_end(mark, member ? "the view of each player" : "the view", false);
}

static int show_state(void) {
  uint32_t mark = effect_begin(EFFECT_VIEW);
  text_bytes(&call.answer, state.text.bytes, state.text.length);
  return effect_end(mark, "the view", false);
}

/* Stores the state, and sends the views. The host drops a view that its member has already. `admitted` has just joined. */
static int finish(Member *admitted, bool always) {
  int state_changed = state.is_touched ? state_commit() : 0;
  if (state_changed < 0) return -1;
  int data_changed = touched.count ? data_commit() : 0;
  if (data_changed < 0) return -1;
  bool changed = state_changed || data_changed || members.roles_changed || always;
  if (changed && check_size()) return -1;
  if (JS_IsUndefined(room.view)) {
    if ((state_changed || always) && show_state()) return -1;
    if (state.is_touched) live_settle(&state, STATE, true);
    data_settle(true);
    return 0;
  }
  if (room.view_parameters < 2) {
    if (changed && show(NULL)) return -1;
  } else if (changed) {
    for (Member *member = members.first; member; member = member->next) if (show(member)) return -1;
  } else if (admitted && show(admitted)) {
    return -1;
  }
  discard();
  return 0;
}

/* Undoes the call; its log stays. */
static int undo(void) {
  if (has_effects()) {
    JSValue undone = sdk_call(room.undo_rooms, 0, NULL);
    if (JS_IsException(undone)) return -1;
  }
  discard();
  timers_undo();
  roles_undo();
  call.locked = call.was_locked;
  effects_keep_log();
  return 0;
}

static int refuse(void) {
  if (undo()) return -1;
  uint32_t mark = effect_begin(EFFECT_REFUSE);
  text_string(&call.answer, call.refused);
  return effect_end(mark, "refuse: the reason", true);
}

/* Messages */

static struct Handler *handler_find(const uint8_t *name, uint32_t length) {
  for (uint32_t i = 0; i < room.handler_count; i++) {
    struct Handler *handler = &room.handlers[i];
    if (handler->length == length && same_bytes(handler->bytes, name, length)) return handler;
  }
  return NULL;
}

static JSValue given_string(Given text) { return JS_NewStringLen(js, (const char *)text.bytes, text.length); }

static JSValue given_json(Given text) {
  /* The parser reads up to a zero. The memory of the input has a byte more. */
  uint8_t after = text.bytes[text.length];
  text.bytes[text.length] = 0;
  JSValue value = json_parse(text.bytes, text.length);
  text.bytes[text.length] = after;
  return value;
}

/* Throws one of the SDK's errors about a text, which is freed. */
static int throw_about(JSValueConst thrower, JSValue text) {
  JSValueConst argument = text;
  JSValue thrown = sdk_call(thrower, 1, &argument);
  JS_FreeValue(js, text);
  JS_FreeValue(js, thrown);
  return -1;
}

/* The reply, printed before the views are, and sent after them: a client that has it has all effects of the message. */
static Text reply;

static int on_message(Given fields) {
  uint8_t *session = take(&fields, ID);
  Given type = take_text(&fields);
  struct Handler *handler = handler_find(type.bytes, type.length);
  if (!handler) return throw_about(room.no_handler, given_string(type));
  Member *member = member_find(session);
  if (!member) return throw_about(room.no_member, digits_value(session, ID));
  call.refusable = true;
  JSValue value = given_json(fields);
  if (JS_IsException(value)) return -1;
  JSValue player = js_dup(member->object);
  JSValueConst arguments[2] = {player, value};
  JSValue returned = JS_Call(js, handler->function, room.object, 2, arguments);
  JS_FreeValue(js, value);
  JS_FreeValue(js, player);
  if (JS_IsException(returned)) return -1;
  if (!JS_IsUndefined(call.refused)) {
    JS_FreeValue(js, returned);
    return 0;
  }
  int failed = is_thenable(returned);
  JSValue name = JS_UNDEFINED;
  if (failed > 0) {
    name = JS_AtomToString(js, handler->name);
    failed = throw_promise("messages", name);
  } else if (!failed) {
    reply.length = 0;
    /* The name is for an error only; to make it from its atom costs nothing. */
    name = JS_AtomToString(js, handler->name);
    failed = json_print(&reply, returned, false, "the reply to", name);
  }
  JS_FreeValue(js, name);
  JS_FreeValue(js, returned);
  if (failed) return -1;
  /* The state is final: the reply has been printed. */
  call.refusable = false;
  if (is_touched() && finish(NULL, false)) return -1;
  uint32_t mark = effect_begin(EFFECT_REPLY);
  text_bytes(&call.answer, reply.bytes, reply.length);
  return effect_end(mark, "the reply", true);
}

/* Other events */

/* What the SDK's `dispatch` takes of each event: its name, and its fields: an id, a joining member, a text, the rest. */
static const struct { const char *name, *fields; } event_kinds[] = {
  [ENTRY_CREATE] = {"create", "r"}, [ENTRY_JOIN] = {"join", "ijtr"}, [ENTRY_DROP] = {"drop", "i"}, [ENTRY_RECONNECT] = {"reconnect", "i"},
  [ENTRY_LEAVE] = {"leave", "ir"}, [ENTRY_TIMER] = {"timer", "tr"}, [ENTRY_ROOM_MESSAGE] = {"room-message", "ir"}, [ENTRY_ROOM_END] = {"room-end", "itr"},
  [ENTRY_MOVE_FAILED] = {"move-failed", "iir"}, [ENTRY_DISPOSE] = {"dispose", "r"},
  [ENTRY_ANSWER] = {"answer", "tttr"}, [ENTRY_IDENTIFY] = {"identify", "itttr"}, [ENTRY_ERASE] = {"erase", "r"},
};

static JSValue joining_value(Given *fields) {
  JSValue member = JS_NewObject(js);
  JSValue spectator = js_bool(take_u8(fields)), player = given_string(take_text(fields)), name = given_string(take_text(fields));
  JS_DefinePropertyValueStr(js, member, "player", player, JS_PROP_C_W_E);
  JS_DefinePropertyValueStr(js, member, "name", name, JS_PROP_C_W_E);
  JS_DefinePropertyValueStr(js, member, "spectator", spectator, JS_PROP_C_W_E);
  /* The room that it comes from, which the SDK does not need. */
  take(fields, ID * take_u32(fields));
  return member;
}

static JSValue field_value(char kind, Given *fields) {
  switch (kind) {
    case 'i': return digits_value(take(fields, ID), ID);
    case 'j': return joining_value(fields);
    case 't': return given_string(take_text(fields));
    default: return given_string(*fields);
  }
}

static int on_other(uint8_t tag, Given fields) {
  if (tag >= countof(event_kinds) || !event_kinds[tag].name) {
    JS_ThrowPlainError(js, "an event, 0x%02x, that this SDK does not have", tag);
    return -1;
  }
  const char *kinds = event_kinds[tag].fields;
  JSValue arguments[6] = {JS_NewString(js, event_kinds[tag].name), JS_UNDEFINED, JS_UNDEFINED, JS_UNDEFINED, JS_UNDEFINED, JS_UNDEFINED};
  int count = 1;
  for (; kinds[count - 1]; count++) arguments[count] = field_value(kinds[count - 1], &fields);
  JSValue done = sdk_call(room.dispatch, count, (JSValueConst *)arguments);
  for (int i = 0; i < count; i++) JS_FreeValue(js, arguments[i]);
  if (JS_IsException(done)) return -1;
  JS_FreeValue(js, done);
  return 0;
}

/* Handles an error after a refusal: the refusal stands, and the error is logged unless it is the refusal's own exception. */
static int after_refusal(void) {
  JSValue error = JS_GetException(js);
  JSValueConst argument = error;
  JSValue logged = sdk_call(room.after_refusal, 1, &argument);
  JS_FreeValue(js, error);
  if (JS_IsException(logged)) return -1;
  JS_FreeValue(js, logged);
  return 0;
}

/* At the end of a call: a promise that is left would never settle. */
static int settle_promises(void) {
  if (JS_IsUndefined(call.promised)) return 0;
  JS_Throw(js, js_dup(call.promised));
  return -1;
}

/* Puts another outcome in the place of the one that was begun at `mark`, with the log of the entry and, for `threw`, the text of an
 * error. */
static void give_up(uint32_t mark, uint8_t tag, JSValueConst error) {
  static Text log;
  log_close();
  effects_keep_log();
  log.length = 0;
  text_bytes(&log, call.answer.bytes + call.first, call.answer.length - call.first);
  call.answer.length = mark;
  outcome_begin(tag);
  if (tag == OUTCOME_THREW) {
    if (JS_IsUndefined(error)) text_u32(&call.answer, 0);
    else put_text(&call.answer, error);
  }
  text_bytes(&call.answer, log.bytes, log.length);
  outcome_end(mark);
  text_free(&log);
  discard();
  timers_begin();
  roles_begin();
}

/* The text of the error that was thrown, by the SDK; undefined if it fails to make one. */
static JSValue take_failure(void) {
  JSValue error = JS_GetException(js);
  JSValueConst argument = error;
  JSValue text = sdk_call(room.failure_text, 1, &argument);
  JS_FreeValue(js, error);
  if (!JS_IsException(text)) return text;
  JS_FreeValue(js, JS_GetException(js));
  return JS_UNDEFINED;
}

/* Ends the outcome `done` that was begun at `mark`, or puts another one in its place. Returns whether the entry is done. */
static bool settle_outcome(uint32_t mark, int failed) {
  JSValue error = JS_UNDEFINED;
  /* The text of an error is made within the limit. */
  if (failed && !meter_is_exhausted()) error = take_failure();
  if (meter_is_exhausted()) {
    /* An error that the script has thrown since does not count. */
    JS_FreeValue(js, JS_GetException(js));
    give_up(mark, OUTCOME_EXHAUSTED, JS_UNDEFINED);
  } else if (failed) {
    give_up(mark, OUTCOME_THREW, error);
  } else {
    log_close();
    outcome_end(mark);
    return true;
  }
  JS_FreeValue(js, error);
  return false;
}

static void take_header(Given *event) {
  engine_now = take_u64(event);
  memcpy(call.chance, take(event, CHANCE), CHANCE);
  meter_begin(take_u64(event));
}

/* Handles the event of a record, and writes its outcome. Returns whether it is done. */
static bool handle(uint8_t tag, Given event) {
  uint32_t mark = outcome_begin(OUTCOME_DONE);
  call_begin();
  timers_begin();
  roles_begin();
  take_header(&event);
  call.begun = true;
  int failed = tag == ENTRY_MESSAGE ? on_message(event) : on_other(tag, event);
  if (!JS_IsUndefined(call.refused)) {
    if (failed) failed = after_refusal();
    if (!failed) failed = refuse();
  }
  if (!failed) failed = settle_promises();
  if (!failed && JS_IsUndefined(call.refused) && !meter_is_exhausted()) report_changes();
  return settle_outcome(mark, failed);
}
