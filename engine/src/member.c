// The members of the room, in the order of joining, by session; and the class `Player` of their objects.

typedef struct Member {
  uint8_t session[ID];
  JSValue session_text, id, name;
  /* `was_spectator`: before the call; a refusal restores it. */
  bool connected, spectator, was_spectator, is_listed;
  Live data;
  /* The player object, while the member is listed. */
  JSValue object;
  struct Member *next, *previous, *next_in_bucket;
} Member;

static struct {
  Member *first, *last;
  Member **buckets;
  uint32_t count, bucket_count;
  /* The members that are no spectators, and whether the call has changed a role. */
  uint32_t players;
  bool roles_changed;
  /* The bytes of the members' data in the saved state: no less than its units of UTF-16. */
  uint64_t data_length;
} members;

static JSClassID player_class;

#define DATA "player.data"

static uint32_t member_bucket(const uint8_t *session, uint32_t buckets) {
  uint64_t a, b;
  memcpy(&a, session, 8);
  memcpy(&b, session + 8, 8);
  return (uint32_t)(((a ^ b) * 0x9e3779b97f4a7c15ULL) >> 40) & (buckets - 1);
}

static Member *member_find(const uint8_t *session) {
  if (!members.count) return NULL;
  Member *member = members.buckets[member_bucket(session, members.bucket_count)];
  while (member && !same_bytes(member->session, session, ID)) member = member->next_in_bucket;
  return member;
}

static void members_rehash(uint32_t buckets) {
  memory_free(NULL, members.buckets);
  members.buckets = memory_calloc(NULL, buckets, sizeof(Member *));
  members.bucket_count = buckets;
  for (Member *member = members.first; member; member = member->next) {
    Member **bucket = &members.buckets[member_bucket(member->session, buckets)];
    member->next_in_bucket = *bucket;
    *bucket = member;
  }
}

/* The bytes of a member's saved data, with its quoted key, a colon and a comma; empty data is not saved. */
static uint64_t data_length(const Text *text) {
  return text->length == 2 && text->bytes[0] == '{' ? 0 : text->length + ID_DIGITS + 4;
}

static void member_unlist(Member *member) {
  if (!member->is_listed) return;
  Member **link = &members.buckets[member_bucket(member->session, members.bucket_count)];
  while (*link != member) link = &(*link)->next_in_bucket;
  *link = member->next_in_bucket;
  *(member->previous ? &member->previous->next : &members.first) = member->next;
  *(member->next ? &member->next->previous : &members.last) = member->previous;
  members.count--;
  if (!member->spectator) members.players--;
  members.data_length -= data_length(&member->data.text);
  member->is_listed = false;
  JSValue object = member->object;
  member->object = JS_UNDEFINED;
  JS_FreeValue(js, object);
}

static void member_list(Member *member, JSValueConst object) {
  if (member->is_listed) return;
  Member *same = member_find(member->session);
  if (same) member_unlist(same);
  if (members.count >= members.bucket_count) members_rehash(members.bucket_count ? members.bucket_count * 2 : 8);
  Member **bucket = &members.buckets[member_bucket(member->session, members.bucket_count)];
  member->next_in_bucket = *bucket;
  *bucket = member;
  member->previous = members.last;
  member->next = NULL;
  *(members.last ? &members.last->next : &members.first) = member;
  members.last = member;
  members.count++;
  member->was_spectator = member->spectator;
  if (!member->spectator) members.players++;
  members.data_length += data_length(&member->data.text);
  member->object = js_dup(object);
  member->is_listed = true;
}

/* Roles: whether a member is a player or a spectator. */

static void role_assign(Member *member, bool spectator) {
  members.players += member->spectator - spectator;
  member->spectator = spectator;
}

static void role_set(Member *member, bool spectator) {
  members.roles_changed = true;
  role_assign(member, spectator);
}

/* Ends the changes of a call: they are kept, or undone. */
static void roles_end(bool undo) {
  if (!members.roles_changed) return;
  for (Member *member = members.first; member; member = member->next) {
    if (undo) role_assign(member, member->was_spectator);
    member->was_spectator = member->spectator;
  }
  members.roles_changed = false;
}

static void roles_begin(void) { roles_end(false); }
static void roles_undo(void) { roles_end(true); }

/* Players' data that this call has read or set. */

static struct { Member **list; uint32_t count, capacity; } touched;

static void touch(Member *member) {
  if (member->data.is_touched) return;
  member->data.is_touched = true;
  if (touched.count == touched.capacity) {
    touched.capacity = touched.capacity ? touched.capacity * 2 : 8;
    touched.list = memory_resize(NULL, touched.list, touched.capacity * sizeof *touched.list);
  }
  touched.list[touched.count++] = member;
}

/* 1 if a text has changed, 0 if none has, -1 if one threw. */
static int data_commit(void) {
  int changed = 0;
  for (uint32_t i = 0; i < touched.count; i++) {
    Member *member = touched.list[i];
    uint64_t before = data_length(&member->data.text);
    int result = live_commit(&member->data, DATA);
    if (result < 0) return -1;
    changed |= result;
    /* A player that has left is not saved. */
    if (member->is_listed) members.data_length += data_length(&member->data.text) - before;
  }
  return changed;
}

static void data_settle(bool is_final) {
  /* Dropping a value may free a player, whose entry in the list becomes NULL. */
  for (uint32_t i = 0; i < touched.count; i++) if (touched.list[i]) live_settle(&touched.list[i]->data, DATA, is_final);
  touched.count = 0;
}

/* The class */

static Member *member_of(JSValueConst player) { return JS_GetOpaque(player, player_class); }

static Member *this_member(JSValueConst player) { return JS_GetOpaque2(js, player, player_class); }

static void player_finalizer(JSRuntime *rt, JSValueConst value) {
  Member *member = member_of(value);
  if (!member) return;
  for (uint32_t i = 0; i < touched.count; i++) if (touched.list[i] == member) touched.list[i] = NULL;
  JS_FreeValueRT(rt, member->session_text);
  JS_FreeValueRT(rt, member->id);
  JS_FreeValueRT(rt, member->name);
  JS_FreeValueRT(rt, member->data.value);
  text_free(&member->data.text);
  memory_free(NULL, member);
}

static void player_mark(JSRuntime *rt, JSValueConst value, JS_MarkFunc *mark) {
  Member *member = member_of(value);
  if (member) JS_MarkValue(rt, member->data.value, mark);
}

static const JSClassDef player_class_def = {"Player", .finalizer = player_finalizer, .gc_mark = player_mark};

/* `new Player({ session, player, name, connected, spectator }, text of its data)` */
static JSValue player_new(JSContext *ctx, JSValueConst target, int argc, JSValueConst *argv) {
  JSValue session = JS_GetPropertyStr(ctx, argv[0], "session");
  if (JS_IsException(session)) return session;
  uint8_t id[ID];
  if (!digits_read(id, session, ID) || !JS_IsString(argv[1])) {
    JS_FreeValue(ctx, session);
    return JS_ThrowTypeError(ctx, "a player is made by the room only");
  }
  JSValue object = js_create_from_ctor(ctx, target, player_class);
  if (JS_IsException(object)) {
    JS_FreeValue(ctx, session);
    return object;
  }
  Member *member = memory_calloc(NULL, 1, sizeof *member);
  memcpy(member->session, id, ID);
  member->session_text = session;
  member->id = JS_GetPropertyStr(ctx, argv[0], "player");
  member->name = JS_GetPropertyStr(ctx, argv[0], "name");
  JSValue connected = JS_GetPropertyStr(ctx, argv[0], "connected"), spectator = JS_GetPropertyStr(ctx, argv[0], "spectator");
  member->connected = JS_ToBool(ctx, connected);
  member->spectator = JS_ToBool(ctx, spectator);
  JS_FreeValue(ctx, connected);
  JS_FreeValue(ctx, spectator);
  member->object = JS_UNDEFINED;
  member->data = (Live){.value = JS_UNDEFINED};
  text_string(&member->data.text, argv[1]);
  JS_SetOpaque(object, member);
  /* A property that a script added would be lost; see `guard` in guests/sdk/players.js. */
  JS_PreventExtensions(ctx, object);
  return object;
}

enum { PLAYER_ID, PLAYER_SESSION, PLAYER_NAME, PLAYER_CONNECTED, PLAYER_SPECTATOR };

static JSValue player_get(JSContext *ctx, JSValueConst self, int what) {
  Member *member = this_member(self);
  if (!member) return JS_EXCEPTION;
  switch (what) {
    case PLAYER_ID: return js_dup(member->id);
    case PLAYER_SESSION: return js_dup(member->session_text);
    case PLAYER_NAME: return js_dup(member->name);
    case PLAYER_CONNECTED: return js_bool(member->connected);
    default: return js_bool(member->spectator);
  }
}

static JSValue player_data(JSContext *ctx, JSValueConst self) {
  Member *member = this_member(self);
  if (!member || (!member->data.is_live && live_parse(&member->data))) return JS_EXCEPTION;
  touch(member);
  return js_dup(member->data.value);
}

static JSValue player_set_data(JSContext *ctx, JSValueConst self, JSValueConst value) {
  Member *member = this_member(self);
  if (!member) return JS_EXCEPTION;
  touch(member);
  JSValue old = member->data.value;
  member->data.value = js_dup(value);
  member->data.is_live = true;
  member->data.is_spoilt = false;
  JS_FreeValue(ctx, old);
  return JS_UNDEFINED;
}
