// The functions that the SDK's modules in engine/sdk call, as properties of one object, `native`.

#define FUNCTION(name) static JSValue name(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)

/* The reference's own functions, for calls that the fast paths do not handle: see `native.quick` in engine/sdk/guest.js. */
enum { SLOW_BROADCAST, SLOW_SEND, SLOW_AFTER, SLOW_INT, SLOW_COUNT };
static JSValue slow[SLOW_COUNT];

static JSValue by_sdk(int which, JSValueConst self, int argc, JSValueConst *argv) { return JS_Call(js, slow[which], self, argc, argv); }

static JSValue done_or_thrown(int failed) { return failed ? JS_EXCEPTION : JS_UNDEFINED; }

static JSValue taken(JSContext *ctx, JSValueConst from, const char *name) { return JS_GetPropertyStr(ctx, from, name); }

static double number_of(JSContext *ctx, JSValueConst from, const char *name) {
  JSValue value = taken(ctx, from, name);
  double number = 0;
  JS_ToFloat64(ctx, &number, value);
  JS_FreeValue(ctx, value);
  return number;
}

static uint32_t length_of(JSContext *ctx, JSValueConst list) { return number_of(ctx, list, "length"); }

/* The call's properties: `call` of guests/sdk/call.js. */

enum { CALL_NOW, CALL_CHANCE, CALL_USED, CALL_REFUSABLE, CALL_REFUSED, CALL_PROMISED, CALL_LOCKED, CALL_EFFECTS, CALL_CREATED };

static JSValue call_get(JSContext *ctx, JSValueConst self, int what) {
  switch (what) {
    case CALL_NOW: return call.begun ? js_number(engine_now) : JS_NULL;
    case CALL_CHANCE: return digits_value(call.chance, CHANCE);
    case CALL_REFUSABLE: return js_bool(call.refusable);
    case CALL_REFUSED: return js_dup(call.refused);
    case CALL_PROMISED: return js_dup(call.promised);
    case CALL_LOCKED: return js_bool(call.locked);
    /* In the reference this is the list of effects, a new one in each call. */
    case CALL_EFFECTS: return js_number(call.number);
    case CALL_CREATED: return js_number(call.created);
    default: return JS_TRUE;
  }
}

static JSValue call_set(JSContext *ctx, JSValueConst self, JSValueConst value, int what) {
  switch (what) {
    case CALL_REFUSABLE: call.refusable = JS_ToBool(ctx, value); break;
    case CALL_REFUSED: JS_FreeValue(ctx, call.refused); call.refused = js_dup(value); break;
    case CALL_PROMISED: JS_FreeValue(ctx, call.promised); call.promised = js_dup(value); break;
    case CALL_LOCKED: call.locked = JS_ToBool(ctx, value); break;
    case CALL_CREATED: JS_ToUint32(ctx, &call.created, value); break;
  }
  return JS_UNDEFINED;
}

/* callTime(what) */
FUNCTION(sdk_call_time) {
  if (call.begun) return js_number(engine_now);
  const char *what = JS_ToCString(ctx, argv[0]);
  if (what) throw_too_early(what);
  JS_FreeCString(ctx, what);
  return JS_EXCEPTION;
}

FUNCTION(sdk_now) {
  if (call.begun) return js_number(engine_now);
  return done_or_thrown(throw_too_early("this.now()"));
}

/* The fields of each effect, by its tag: a flag, an id, several ids, a text, an integer, a double, the rest. */
static const struct { const char *name, *fields; } effect_kinds[] = {
  [EFFECT_ADMIT] = {"admit", "b"}, [EFFECT_REPLY] = {"reply", "r"}, [EFFECT_REFUSE] = {"refuse", "r"}, [EFFECT_SEND] = {"send", "itr"},
  [EFFECT_BROADCAST] = {"broadcast", "tlr"}, [EFFECT_VIEW] = {"view", "r"}, [EFFECT_VIEW_OF] = {"view-of", "ir"}, [EFFECT_MOVE_TO] = {"move-to", "iir"},
  [EFFECT_KICK] = {"kick", "ir"}, [EFFECT_CREATE_ROOM] = {"create-room", "tnr"}, [EFFECT_SEND_ROOM] = {"send-room", "ir"},
  [EFFECT_SET_TIMER] = {"set-timer", "tfr"}, [EFFECT_CANCEL_TIMER] = {"cancel-timer", "r"}, [EFFECT_LOCK] = {"lock", ""}, [EFFECT_UNLOCK] = {"unlock", ""},
  [EFFECT_METADATA] = {"metadata", "r"}, [EFFECT_END] = {"end", "r"},
  [EFFECT_SIT] = {"sit", "i"}, [EFFECT_STAND] = {"stand", "i"}, [EFFECT_REQUEST] = {"request", "ttftr"}, [EFFECT_IDENTIFY] = {"identify", ""},
  [EFFECT_REPORT] = {"report", "itr"},
};

static uint8_t effect_tag(const char *name) {
  for (uint8_t tag = 1; tag < countof(effect_kinds); tag++) if (effect_kinds[tag].name && !strcmp(effect_kinds[tag].name, name)) return tag;
  __builtin_trap();
}

/* The SDK has checked what it gives. */
static void put_id(Text *to, JSValueConst digits) {
  uint8_t id[ID];
  if (!digits_read(id, digits, ID)) __builtin_trap();
  text_bytes(to, id, ID);
}

static void put_ids(Text *to, JSValueConst list) {
  uint32_t count = length_of(js, list);
  text_u32(to, count);
  for (uint32_t i = 0; i < count; i++) {
    JSValue id = JS_GetPropertyUint32(js, list, i);
    put_id(to, id);
    JS_FreeValue(js, id);
  }
}

static void put_field(Text *to, char kind, JSValueConst value) {
  double number = 0;
  switch (kind) {
    case 'b': text_byte(to, JS_ToBool(js, value)); break;
    case 'i': put_id(to, value); break;
    case 'l': put_ids(to, value); break;
    case 't': put_text(to, value); break;
    case 'n': JS_ToFloat64(js, &number, value); text_u32(to, number); break;
    case 'f': JS_ToFloat64(js, &number, value); text_f64(to, number); break;
    default: text_string(to, value);
  }
}

/* emit(name, fields, what, answers) */
FUNCTION(sdk_emit) {
  const char *name = JS_ToCString(ctx, argv[0]), *what = JS_ToCString(ctx, argv[2]);
  if (!name || !what) return JS_EXCEPTION;
  uint8_t tag = effect_tag(name);
  uint32_t mark = effect_begin(tag);
  const char *kinds = effect_kinds[tag].fields;
  for (uint32_t i = 0; kinds[i]; i++) {
    JSValue field = JS_GetPropertyUint32(ctx, argv[1], i);
    put_field(&call.answer, kinds[i], field);
    JS_FreeValue(ctx, field);
  }
  int failed = effect_end(mark, what, argc > 3 && JS_ToBool(ctx, argv[3]));
  JS_FreeCString(ctx, name);
  JS_FreeCString(ctx, what);
  return done_or_thrown(failed);
}

/* addLine(level, text) */
FUNCTION(sdk_add_line) {
  log_line(argv[0], argv[1]);
  return JS_UNDEFINED;
}

/* logLeft(): the units of log that this call may still have, one for the line itself taken off. */
FUNCTION(sdk_log_left) { return js_number((double)LOG_UNITS - call.logged - 1); }

/* logCounted(kept, cut) */
FUNCTION(sdk_log_counted) {
  uint32_t kept, cut;
  if (JS_ToUint32(ctx, &kept, argv[0]) || JS_ToUint32(ctx, &cut, argv[1])) return JS_EXCEPTION;
  call.logged += kept;
  call.cut += cut;
  return JS_UNDEFINED;
}

/* The state, timers and the end of a call */

FUNCTION(sdk_get_state) { return state_get(); }

FUNCTION(sdk_set_state) {
  state_set(argc > 0 ? argv[0] : JS_UNDEFINED);
  return JS_UNDEFINED;
}

FUNCTION(sdk_commit_state) { return done_or_thrown(state_commit() < 0); }

FUNCTION(sdk_discard) {
  discard();
  return JS_UNDEFINED;
}

FUNCTION(sdk_check_size) { return done_or_thrown(check_size()); }

/* hasActed(): whether the call has effects other than its log, or has changed the state. */
FUNCTION(sdk_has_acted) {
  if (has_effects()) return JS_TRUE;
  if (!state.is_touched || JS_IsUndefined(state.value)) return js_bool(state.is_touched);
  if (live_print(&state, STATE)) return JS_EXCEPTION;
  return js_bool(!live_equals(&state, &live_scratch));
}

/* finish(admitted, always) */
FUNCTION(sdk_finish) {
  Member *admitted = argc > 0 && JS_IsObject(argv[0]) ? member_of(argv[0]) : NULL;
  return done_or_thrown(finish(admitted, argc > 1 && JS_ToBool(ctx, argv[1])));
}

FUNCTION(sdk_undo) { return done_or_thrown(undo()); }

static int timer_given(JSContext *ctx, JSValueConst name) {
  if (!JS_IsString(name)) return -1;
  JSAtom atom = JS_ValueToAtom(ctx, name);
  int timer = timer_find(atom);
  JS_FreeAtom(ctx, atom);
  return timer;
}

FUNCTION(sdk_is_pending) {
  int timer = timer_given(ctx, argv[0]);
  return js_bool(timer >= 0 && timer_is_pending(timer));
}

FUNCTION(sdk_pending_count) { return js_number(pending.count); }

FUNCTION(sdk_set_pending) {
  int timer = timer_given(ctx, argv[0]);
  if (timer >= 0) timer_set(timer, JS_ToBool(ctx, argv[1]));
  return JS_UNDEFINED;
}

FUNCTION(sdk_begin_timers) {
  timers_begin();
  return JS_UNDEFINED;
}

/* Members */

FUNCTION(sdk_add_player) {
  Member *member = this_member(argv[0]);
  if (!member) return JS_EXCEPTION;
  member_list(member, argv[0]);
  return JS_UNDEFINED;
}

FUNCTION(sdk_remove_player) {
  Member *member = this_member(argv[0]);
  if (!member) return JS_EXCEPTION;
  member_unlist(member);
  return JS_UNDEFINED;
}

FUNCTION(sdk_set_connected) {
  Member *member = this_member(argv[0]);
  if (!member) return JS_EXCEPTION;
  member->connected = JS_ToBool(ctx, argv[1]);
  return JS_UNDEFINED;
}

FUNCTION(sdk_set_spectator) {
  Member *member = this_member(argv[0]);
  if (!member) return JS_EXCEPTION;
  member->spectator = JS_ToBool(ctx, argv[1]);
  return JS_UNDEFINED;
}

/* setIdentity(player, id, name) */
FUNCTION(sdk_set_identity) {
  Member *member = this_member(argv[0]);
  if (!member) return JS_EXCEPTION;
  JSValue id = member->id, name = member->name;
  member->id = js_dup(argv[1]);
  member->name = js_dup(argv[2]);
  JS_FreeValue(ctx, id);
  JS_FreeValue(ctx, name);
  return JS_UNDEFINED;
}

/* setRole(player, spectator): of a member, for this call and the next ones. */
FUNCTION(sdk_set_role) {
  Member *member = this_member(argv[0]);
  if (!member) return JS_EXCEPTION;
  role_set(member, JS_ToBool(ctx, argv[1]));
  return JS_UNDEFINED;
}

FUNCTION(sdk_roles_changed) { return js_bool(members.roles_changed); }

FUNCTION(sdk_member_count) { return js_number(members.count); }

FUNCTION(sdk_player_count) { return js_number(members.players); }

static Member *member_given(JSValueConst session) {
  uint8_t id[ID];
  return digits_read(id, session, ID) ? member_find(id) : NULL;
}

/* get(session) */
FUNCTION(sdk_get_player) {
  Member *member = argc > 0 ? member_given(argv[0]) : NULL;
  return member ? js_dup(member->object) : JS_UNDEFINED;
}

FUNCTION(sdk_has_player) { return js_bool(argc > 0 && member_given(argv[0])); }

/* forEach(visit): the list of members changes between calls only. */
FUNCTION(sdk_for_each_player) {
  for (Member *member = members.first; member; member = member->next) {
    JSValueConst arguments[2] = {member->object, member->session_text};
    JSValue visited = JS_Call(ctx, argv[0], JS_UNDEFINED, 2, arguments);
    if (JS_IsException(visited)) return visited;
    JS_FreeValue(ctx, visited);
  }
  return JS_UNDEFINED;
}

/* Fast paths of the functions that scripts call most, for regular arguments. */

/* A message's type that needs no repair: 1 to 64 characters of ASCII. */
static JSString *plain_type(JSValueConst type) {
  if (JS_VALUE_GET_TAG(type) != JS_TAG_STRING) return NULL;
  JSString *text = JS_VALUE_GET_STRING(type);
  if (text->is_wide_char || text->len < 1 || text->len > 64) return NULL;
  const uint8_t *bytes = str8(text);
  for (uint32_t i = 0; i < text->len; i++) if (bytes[i] >= 0x80) return NULL;
  return text;
}

static JSValueConst argument(int argc, JSValueConst *argv, int at) { return at < argc ? argv[at] : JS_UNDEFINED; }

/* broadcast(type, data, options) */
FUNCTION(sdk_broadcast) {
  JSString *type = plain_type(argument(argc, argv, 0));
  JSValueConst options = argument(argc, argv, 2);
  if (!type || !(JS_IsUndefined(options) || JS_IsNull(options))) return by_sdk(SLOW_BROADCAST, self, argc, argv);
  uint32_t mark = effect_begin(EFFECT_BROADCAST);
  put_short_text(&call.answer, str8(type), type->len);
  text_u32(&call.answer, 0);
  if (json_print(&call.answer, argument(argc, argv, 1), false, "broadcast: the data of", argv[0])) return done_or_thrown(effect_drop(mark));
  return done_or_thrown(effect_end(mark, "broadcast", false));
}

/* player.send(type, data) */
FUNCTION(sdk_send) {
  JSString *type = plain_type(argument(argc, argv, 0));
  Member *member = member_of(self);
  if (!type || !member) return by_sdk(SLOW_SEND, self, argc, argv);
  uint32_t mark = effect_begin(EFFECT_SEND);
  text_bytes(&call.answer, member->session, ID);
  put_short_text(&call.answer, str8(type), type->len);
  if (json_print(&call.answer, argument(argc, argv, 1), false, "player.send: the data of", argv[0])) return done_or_thrown(effect_drop(mark));
  return done_or_thrown(effect_end(mark, "player.send", false));
}

#define DELAY_MS 316224000000.0

/* schedule.after(ms, name, payload) */
FUNCTION(sdk_after) {
  JSValueConst ms = argument(argc, argv, 0), name = argument(argc, argv, 1);
  double delay = JS_VALUE_GET_TAG(ms) == JS_TAG_INT ? JS_VALUE_GET_INT(ms) : JS_TAG_IS_FLOAT64(JS_VALUE_GET_TAG(ms)) ? JS_VALUE_GET_FLOAT64(ms) : -1;
  JSString *text = plain_type(name);
  int timer = delay >= 0 && delay <= DELAY_MS && text ? timer_given(ctx, name) : -1;
  if (timer < 0 || (!timer_is_pending(timer) && pending.count >= allowed.timers)) return by_sdk(SLOW_AFTER, self, argc, argv);
  uint32_t mark = effect_begin(EFFECT_SET_TIMER);
  put_short_text(&call.answer, str8(text), text->len);
  text_f64(&call.answer, delay);
  if (json_print(&call.answer, argument(argc, argv, 2), false, "schedule.after: the payload", JS_UNDEFINED)) return done_or_thrown(effect_drop(mark));
  if (effect_end(mark, "schedule.after", false)) return JS_EXCEPTION;
  timer_set(timer, true);
  return JS_UNDEFINED;
}

FUNCTION(sdk_bits) {
  if (!call.begun) return done_or_thrown(throw_too_early("randomness"));
  return js_number(random_bits());
}

FUNCTION(sdk_float) {
  if (!call.begun) return done_or_thrown(throw_too_early("randomness"));
  return js_number(random_float());
}

/* random.int(n) */
FUNCTION(sdk_int) {
  JSValueConst n = argument(argc, argv, 0);
  if (!call.begun || JS_VALUE_GET_TAG(n) != JS_TAG_INT || JS_VALUE_GET_INT(n) < 1) return by_sdk(SLOW_INT, self, argc, argv);
  return js_number(floor(random_float() * JS_VALUE_GET_INT(n)));
}

static JSValue constant_get(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv, int magic, JSValueConst *data) { return js_dup(data[0]); }

/* constant(value): a function that returns the value. */
FUNCTION(sdk_constant) { return JS_NewCFunctionData(ctx, constant_get, 0, 0, 1, argv); }

/* quick({ broadcast, send, after, int, toJson }): takes the reference's functions, for calls without a fast path. */
FUNCTION(sdk_quick) {
  static const char *const names[SLOW_COUNT] = {"broadcast", "send", "after", "int"};
  for (int i = 0; i < SLOW_COUNT; i++) slow[i] = JS_GetPropertyStr(ctx, argv[0], names[i]);
  sdk_to_json = JS_GetPropertyStr(ctx, argv[0], "toJson");
  return JS_UNDEFINED;
}

/* The SDK's notes of the room, which last from call to call: variables of its modules are put back after each call. */

static JSValue sdk_memory;

FUNCTION(sdk_recall) { return js_dup(sdk_memory); }

/* remember(object) */
FUNCTION(sdk_remember) {
  if (call.begun) put_back_value(&sdk_memory, js_dup(argv[0]));
  return JS_UNDEFINED;
}

/* The end of the build's JavaScript */

static void take_handlers(JSContext *ctx, JSValueConst sdk) {
  JSValue names = taken(ctx, sdk, "messages"), functions = taken(ctx, sdk, "handlers");
  room.handler_count = length_of(ctx, names);
  room.handlers = memory_calloc(NULL, room.handler_count + 1, sizeof *room.handlers);
  for (uint32_t i = 0; i < room.handler_count; i++) {
    struct Handler *handler = &room.handlers[i];
    JSValue name = JS_GetPropertyUint32(ctx, names, i);
    Text text = {0};
    text_string(&text, name);
    *handler = (struct Handler){JS_ValueToAtom(ctx, name), text.bytes, text.length, JS_GetPropertyUint32(ctx, functions, i)};
    JS_FreeValue(ctx, name);
  }
  JS_FreeValue(ctx, names);
  JS_FreeValue(ctx, functions);
}

static void take_timers(JSContext *ctx, JSValueConst sdk) {
  JSValue names = taken(ctx, sdk, "timers");
  timer_names.known = length_of(ctx, names);
  timer_names.names = memory_calloc(NULL, timer_names.known + 1, sizeof *timer_names.names);
  for (uint32_t i = 0; i < timer_names.known; i++) {
    JSValue name = JS_GetPropertyUint32(ctx, names, i);
    timer_names.names[i] = JS_ValueToAtom(ctx, name);
    JS_FreeValue(ctx, name);
  }
  JS_FreeValue(ctx, names);
}

/* allow(allowed): the budgets that the SDK checks. */
FUNCTION(sdk_allow) {
  allowed.output = number_of(ctx, argv[0], "output");
  allowed.effects = number_of(ctx, argv[0], "effects");
  allowed.timers = number_of(ctx, argv[0], "timers");
  allowed.state = number_of(ctx, argv[0], "state");
  allowed.share = number_of(ctx, argv[0], "share");
  return JS_UNDEFINED;
}

static void describe_as(uint32_t version, JSValueConst config, JSValueConst timers, JSValueConst messages);

/* serve({ … }): takes the values that engine/sdk/guest.js passes. */
FUNCTION(sdk_serve) {
  JSValueConst sdk = argv[0];
  room.object = taken(ctx, sdk, "room");
  room.view = taken(ctx, sdk, "view");
  room.view_parameters = JS_IsUndefined(room.view) ? 0 : number_of(ctx, room.view, "length");
  room.open = taken(ctx, sdk, "open");
  room.dispatch = taken(ctx, sdk, "dispatch");
  room.failure_text = taken(ctx, sdk, "failureText");
  room.after_refusal = taken(ctx, sdk, "afterRefusal");
  room.undo_rooms = taken(ctx, sdk, "undoRooms");
  room.a_promise = taken(ctx, sdk, "aPromise");
  room.no_handler = taken(ctx, sdk, "noHandler");
  room.no_member = taken(ctx, sdk, "noMember");
  take_handlers(ctx, sdk);
  take_timers(ctx, sdk);
  JSValue config = taken(ctx, sdk, "config"), timers = taken(ctx, sdk, "timers"), messages = taken(ctx, sdk, "messages");
  describe_as(number_of(ctx, sdk, "stateVersion"), config, timers, messages);
  JS_FreeValue(ctx, config);
  JS_FreeValue(ctx, timers);
  JS_FreeValue(ctx, messages);
  return JS_UNDEFINED;
}

static JSValue sdk_function(JSCFunction *function, const char *name, int length) { return JS_NewCFunction(js, function, name, length); }

static void add_function(JSValueConst to, const char *name, JSCFunction *function, int length) {
  JS_SetPropertyStr(js, to, name, sdk_function(function, name, length));
}

static void add_accessor(JSValueConst to, const char *name, JSValue get, JSValue set) {
  JSAtom atom = JS_NewAtom(js, name);
  JS_DefinePropertyGetSet(js, to, atom, get, set, JS_PROP_CONFIGURABLE);
  JS_FreeAtom(js, atom);
}

static JSValue getter(void *function, const char *name, JSCFunctionEnum kind, int magic) {
  return JS_NewCFunctionMagic(js, (JSCFunctionMagic *)function, name, 0, kind, magic);
}

static JSValue make_call_object(void) {
  static const char *const names[] = {"now", "chance", "used", "refusable", "refused", "promised", "locked", "effects", "created"};
  JSValue object = JS_NewObject(js);
  for (int i = 0; i < countof(names); i++) {
    add_accessor(object, names[i], getter(call_get, names[i], JS_CFUNC_getter_magic, i), getter(call_set, names[i], JS_CFUNC_setter_magic, i));
  }
  return object;
}

static JSValue make_player_class(void) {
  static const char *const names[] = {"id", "session", "name", "connected", "spectator"};
  JS_NewClassID(runtime, &player_class);
  JS_NewClass(runtime, player_class, &player_class_def);
  JSValue proto = JS_NewObject(js);
  for (int i = 0; i < countof(names); i++) add_accessor(proto, names[i], getter(player_get, names[i], JS_CFUNC_getter_magic, i), JS_UNDEFINED);
  add_accessor(proto, "data", getter(player_data, "data", JS_CFUNC_getter, 0), getter(player_set_data, "data", JS_CFUNC_setter, 0));
  JSValue constructor = JS_NewCFunction2(js, (JSCFunction *)player_new, "Player", 2, JS_CFUNC_constructor, 0);
  JS_SetConstructor(js, constructor, proto);
  JS_SetClassProto(js, player_class, proto);
  return constructor;
}

static JSValue make_native(void) {
  static const struct { const char *name; JSCFunction *function; int length; } functions[] = {
    {"callTime", sdk_call_time, 1}, {"now", sdk_now, 0}, {"emit", sdk_emit, 2}, {"addLine", sdk_add_line, 2}, {"logLeft", sdk_log_left, 0},
    {"logCounted", sdk_log_counted, 2}, {"getState", sdk_get_state, 0}, {"setState", sdk_set_state, 1},
    {"commitState", sdk_commit_state, 0}, {"discard", sdk_discard, 0}, {"checkSize", sdk_check_size, 0},
    {"hasActed", sdk_has_acted, 0}, {"finish", sdk_finish, 2}, {"undo", sdk_undo, 0}, {"isPending", sdk_is_pending, 1},
    {"pendingCount", sdk_pending_count, 0}, {"setPending", sdk_set_pending, 2}, {"beginTimers", sdk_begin_timers, 0},
    {"addPlayer", sdk_add_player, 1}, {"removePlayer", sdk_remove_player, 1}, {"setConnected", sdk_set_connected, 2},
    {"setSpectator", sdk_set_spectator, 2}, {"setIdentity", sdk_set_identity, 3}, {"setRole", sdk_set_role, 2}, {"rolesChanged", sdk_roles_changed, 0}, {"memberCount", sdk_member_count, 0},
    {"playerCount", sdk_player_count, 0}, {"getPlayer", sdk_get_player, 1},
    {"hasPlayer", sdk_has_player, 1}, {"forEachPlayer", sdk_for_each_player, 1}, {"broadcast", sdk_broadcast, 3},
    {"send", sdk_send, 2}, {"after", sdk_after, 3}, {"bits", sdk_bits, 0}, {"float", sdk_float, 0}, {"int", sdk_int, 1},
    {"quick", sdk_quick, 1}, {"constant", sdk_constant, 1}, {"recall", sdk_recall, 0}, {"remember", sdk_remember, 1}, {"allow", sdk_allow, 1}, {"serve", sdk_serve, 1},
  };
  JSValue native = JS_NewObject(js);
  for (int i = 0; i < countof(functions); i++) add_function(native, functions[i].name, functions[i].function, functions[i].length);
  JS_SetPropertyStr(js, native, "call", make_call_object());
  JS_SetPropertyStr(js, native, "Player", make_player_class());
  return native;
}
