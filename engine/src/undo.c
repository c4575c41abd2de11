// Writes to sealed objects: the previous content is kept before the first write of a call, and put back at the call's end.
//
// immer, regular expressions and caches write to module state in every call, and no such write may last: a restored room would
// not have it. QuickJS's write paths call `js_keep_…` before they write (engine/quickjs.patch); the object is changed in place, so
// that pointers to it stay valid. Values that a script put there are freed, and the previous bytes are copied back.
//
// Buffers are compared at the end of each call instead: they are few, and are written to in many places.

/* Of a map, the blocks of its state, of its table and of its records follow. */
typedef enum { KEPT_OBJECT, KEPT_MAP, KEPT_BLOCK, KEPT_RECORD, KEPT_INNER } KeptKind;

typedef struct Kept {
  KeptKind kind;
  void *at;
  union {
    struct { JSObject *object; JSProperty *properties; JSValue *values; } object;
    struct { void *bytes; uint32_t size; } block;
  } before;
  Place place;
} Kept;

static struct { Kept *list; uint32_t count, capacity; } kept;

/* Variables are kept apart from objects: each write searches all of them, and there are few. */
typedef struct KeptVar { JSVarRef *var_ref; JSValue before; Place place; } KeptVar;

static struct { KeptVar *list; uint32_t count, capacity; } kept_vars;

/* Buffers of the build, and their content at its end. */
static struct SealedBuffer { uint8_t *bytes, *before; uint32_t length; } *sealed_buffers;
static uint32_t sealed_buffer_count;

/* The other parts of the engine that a script can change. */
static struct { bool std_array_prototype; JSValue back_trace, prepare_stack, stack_trace_limit; } sealed_engine;

static Kept *keep(KeptKind kind, void *at) {
  if (kept.count == kept.capacity) {
    kept.capacity = kept.capacity ? kept.capacity * 2 : 16;
    kept.list = memory_resize(NULL, kept.list, kept.capacity * sizeof *kept.list);
    if (!kept.list) __builtin_trap();
  }
  Kept *entry = &kept.list[kept.count++];
  *entry = (Kept){.kind = kind, .at = at};
  return entry;
}

static void *copied(const void *bytes, uint32_t size) {
  void *copy = memory_new(NULL, size);
  if (!copy) __builtin_trap();
  return memcpy(copy, bytes, size);
}

static void js_keep_var(JSVarRef *var_ref) {
  for (uint32_t i = 0; i < kept_vars.count; i++) if (kept_vars.list[i].var_ref == var_ref) return;
  if (kept_vars.count == kept_vars.capacity) {
    kept_vars.capacity = kept_vars.capacity ? kept_vars.capacity * 2 : 16;
    kept_vars.list = memory_resize(NULL, kept_vars.list, kept_vars.capacity * sizeof *kept_vars.list);
    if (!kept_vars.list) __builtin_trap();
  }
  kept_vars.list[kept_vars.count++] = (KeptVar){var_ref, *var_ref->pvalue, places_wanted ? place_of_var(var_ref) : (Place){0}};
}

static bool has_values(const JSObject *object) {
  return object->fast_array && (object->class_id == JS_CLASS_ARRAY || object->class_id == JS_CLASS_ARGUMENTS);
}

static void js_keep_object(JSObject *object) {
  if (object->is_kept) return;
  Kept *entry = keep(KEPT_OBJECT, object);
  if (unlikely(places_wanted)) entry->place = place_of_object(object);
  entry->before.object.object = copied(object, sizeof *object);
  entry->before.object.properties = copied(object->prop, object->shape->prop_size * sizeof(JSProperty));
  if (has_values(object) && object->u.array.u1.size) entry->before.object.values = copied(object->u.array.u.values, object->u.array.u1.size * sizeof(JSValue));
  object->is_kept = true;
  /* A hashed shape is shared, and never changed in place; any other one is. */
  if (object->shape->is_hashed) return;
  JSShape *shape = js_clone_shape(js, object->shape);
  if (!shape) __builtin_trap();
  object->shape = shape;
}

static void *keep_block(KeptKind kind, void *at, uint32_t size) {
  Kept *entry = keep(kind, at);
  if (unlikely(places_wanted) && kind == KEPT_INNER) entry->place = place_here();
  entry->before.block.bytes = copied(at, size);
  entry->before.block.size = size;
  return entry->before.block.bytes;
}

/* Keeps the block of an iterator or a proxy, into which a script cannot put a value. */
static void js_keep_block(void *block) {
  for (uint32_t i = 0; i < kept.count; i++) if (kept.list[i].at == block) return;
  keep_block(KEPT_INNER, block, js_malloc_usable_size_rt(runtime, block));
}

static void js_keep_map(JSMapState *map) {
  if (map->is_kept) return;
  Kept *entry = keep(KEPT_MAP, map);
  if (unlikely(places_wanted)) entry->place = place_of_object(map);
  keep_block(KEPT_BLOCK, map, sizeof *map);
  keep_block(KEPT_BLOCK, map->hash_table, map->hash_size * sizeof *map->hash_table);
  struct list_head *item;
  list_for_each(item, &map->records) keep_block(KEPT_RECORD, list_entry(item, JSMapRecord, link), sizeof(JSMapRecord));
  map->is_kept = true;
  /* A script may add keys that a client has chosen. */
  map->is_own = true;
  map_hash_records(js, map);
}

static void put_back_object(Kept *entry) {
  JSObject *object = entry->at, *before = entry->before.object.object, now = *object;
  JSShapeProperty *properties = get_shape_prop(now.shape);
  for (int i = 0; i < now.shape->prop_count; i++) free_property(runtime, &now.prop[i], properties[i].flags);
  if (has_values(&now)) {
    for (uint32_t i = 0; i < now.u.array.count; i++) JS_FreeValueRT(runtime, now.u.array.u.values[i]);
    if (!has_values(before) || now.u.array.u.values != before->u.array.u.values) js_free_rt(runtime, now.u.array.u.values);
  }
  if (now.class_id == JS_CLASS_REGEXP) {
    JS_FreeValueRT(runtime, JS_MKPTR(JS_TAG_STRING, now.u.regexp.pattern));
    JS_FreeValueRT(runtime, JS_MKPTR(JS_TAG_STRING, now.u.regexp.bytecode));
  }
  if (now.prop != before->prop) js_free_rt(runtime, now.prop);
  if (now.shape != before->shape) js_free_shape(runtime, now.shape);
  *object = *before;
  /* Marks of the engine, which are no state: that the object is a prototype, and that weak references to it exist. */
  object->is_prototype |= now.is_prototype;
  object->first_weak_ref = now.first_weak_ref;
  memcpy(before->prop, entry->before.object.properties, before->shape->prop_size * sizeof(JSProperty));
  if (entry->before.object.values) memcpy(before->u.array.u.values, entry->before.object.values, before->u.array.u1.size * sizeof(JSValue));
  memory_free(NULL, entry->before.object.values);
  memory_free(NULL, entry->before.object.properties);
  memory_free(NULL, before);
}

static void put_back_var(KeptVar *entry) {
  JSValue now = *entry->var_ref->pvalue;
  *entry->var_ref->pvalue = entry->before;
  JS_FreeValueRT(runtime, now);
}

/* Frees the records and values that the call has added, which come last. The bytes of the others are put back as blocks. */
static void empty_map(JSMapState *map) {
  struct list_head *item;
  while ((item = map->records.prev) != &map->records && js_is_mine(item)) {
    JSMapRecord *record = list_entry(item, JSMapRecord, link);
    /* An iterator that is garbage may hold it for longer than the call, and its end must not change the map. */
    record->ref_count++;
    map_delete_record(runtime, map, record);
    list_del(item);
    init_list_head(item);
    map_decref_record(runtime, record);
  }
  list_for_each(item, &map->records) JS_FreeValueRT(runtime, list_entry(item, JSMapRecord, link)->value);
  if (js_is_mine(map->hash_table)) js_free_rt(runtime, map->hash_table);
}

static void put_back_block(Kept *entry) {
  memcpy(entry->at, entry->before.block.bytes, entry->before.block.size);
  memory_free(NULL, entry->before.block.bytes);
}

static void put_back_value(JSValue *now, JSValue before) {
  if (likely(*now == before)) return;
  JS_FreeValueRT(runtime, *now);
  *now = before;
}

static void put_back_engine(void) {
  /* Only if it was changed: a write makes the context's page the room's own. */
  if (unlikely(js->std_array_prototype != sealed_engine.std_array_prototype)) js->std_array_prototype = sealed_engine.std_array_prototype;
  put_back_value(&js->error_back_trace, sealed_engine.back_trace);
  put_back_value(&js->error_prepare_stack, sealed_engine.prepare_stack);
  put_back_value(&js->error_stack_trace_limit, sealed_engine.stack_trace_limit);
}

/* Continuations of promises never run (guests/sdk/globals.js). Kept, each would hold what its call has made. */
static void drop_jobs(void) {
  while (unlikely(!list_empty(&runtime->job_list))) {
    JSJobEntry *job = list_entry(runtime->job_list.next, JSJobEntry, link);
    list_del(&job->link);
    for (int i = 0; i < job->argc; i++) JS_FreeValueRT(runtime, job->argv[i]);
    js_free_rt(runtime, job);
  }
}

/* Puts back all writes at the end of a call. Returns whether the call has written to a sealed object. */
static bool put_back(void) {
  if (!js_sealed_end) return false;
  bool changed = kept.count > 0 || kept_vars.count > 0;
  /* Iterators in variables and objects refer to records of maps: maps are put back when these are freed. */
  while (kept_vars.count > 0) put_back_var(&kept_vars.list[--kept_vars.count]);
  for (uint32_t i = kept.count; i-- > 0;) if (kept.list[i].kind == KEPT_OBJECT) put_back_object(&kept.list[i]);
  for (uint32_t i = 0; i < kept.count; i++) if (kept.list[i].kind == KEPT_MAP) empty_map(kept.list[i].at);
  for (uint32_t i = 0; i < kept.count; i++) if (kept.list[i].kind >= KEPT_BLOCK) put_back_block(&kept.list[i]);
  kept.count = 0;
  for (uint32_t i = 0; i < sealed_buffer_count; i++) {
    struct SealedBuffer *buffer = &sealed_buffers[i];
    if (likely(memcmp(buffer->bytes, buffer->before, buffer->length) == 0)) continue;
    memcpy(buffer->bytes, buffer->before, buffer->length);
    changed = true;
  }
  put_back_engine();
  return changed;
}

/* Before the seal. */

static void keep_buffers(void) {
  struct list_head *item;
  for (int pass = 0; pass < 2; pass++) {
    uint32_t count = 0;
    list_for_each(item, &runtime->gc_obj_list) {
      JSGCObjectHeader *header = list_entry(item, JSGCObjectHeader, link);
      if (JS_GC_TYPE(header) != JS_GC_OBJ_TYPE_JS_OBJECT) continue;
      JSObject *object = (JSObject *)header;
      if (object->class_id != JS_CLASS_ARRAY_BUFFER) continue;
      JSArrayBuffer *buffer = object->u.array_buffer;
      if (!buffer || !buffer->data || buffer->byte_length <= 0) continue;
      if (pass) sealed_buffers[count] = (struct SealedBuffer){buffer->data, copied(buffer->data, buffer->byte_length), buffer->byte_length};
      count++;
    }
    if (pass == 0 && count == 0) return;
    if (pass == 0) sealed_buffers = memory_calloc(NULL, count, sizeof *sealed_buffers);
    sealed_buffer_count = count;
  }
}

static void keep_engine(void) {
  sealed_engine.std_array_prototype = js->std_array_prototype;
  sealed_engine.back_trace = js->error_back_trace;
  sealed_engine.prepare_stack = js->error_prepare_stack;
  sealed_engine.stack_trace_limit = js->error_stack_trace_limit;
}
