// The end of the build: what it has made is sealed, and shared by all rooms of the kind.
//
// A sealed object is never counted, and never visited by the cycle collector (engine/quickjs.patch), so a call writes to few
// pages, and these are the room's own and dense. Values that QuickJS makes on first use are made here, once for all rooms.
// Counts are raised, so that shared shapes and strings are never changed in place. Writes of a script are put back: see undo.c.

#define SEALED_COUNT (1 << 20)

/* Makes the properties that are made on first use. */
static void seal_lazy_properties(void) {
  for (bool again = true; again;) {
    again = false;
    struct list_head *item;
    list_for_each(item, &runtime->gc_obj_list) {
      JSGCObjectHeader *header = list_entry(item, JSGCObjectHeader, link);
      if (JS_GC_TYPE(header) != JS_GC_OBJ_TYPE_JS_OBJECT) continue;
      JSObject *object = (JSObject *)header;
      for (int i = 0; i < object->shape->prop_count; i++) {
        JSShapeProperty *property = get_shape_prop(object->shape) + i;
        if (property->atom == JS_ATOM_NULL || (property->flags & JS_PROP_TMASK) != JS_PROP_AUTOINIT) continue;
        JS_AutoInitProperty(js, object, property->atom, &object->prop[i], property);
        again = true;
      }
    }
  }
}

/* QuickJS does not initialize `is_kept`, the mark of undo.c. */
static void seal_object(JSObject *object) {
  object->is_kept = false;
  if (object->class_id >= JS_CLASS_MAP && object->class_id <= JS_CLASS_WEAKSET && object->u.map_state) object->u.map_state->is_kept = false;
}

/* QuickJS unlinks an object from the collector's list when it moves the object: without neighbours, this has no effect. */
static void seal_links(void) {
  struct list_head *item, *next;
  list_for_each_safe(item, next, &runtime->gc_obj_list) {
    JSGCObjectHeader *header = list_entry(item, JSGCObjectHeader, link);
    if (JS_GC_TYPE(header) == JS_GC_OBJ_TYPE_JS_OBJECT) seal_object((JSObject *)header);
    init_list_head(item);
  }
  init_list_head(&runtime->gc_obj_list);
}

static void seal_arenas(void) {
  JSArenaState *arenas = &runtime->arena_state;
  for (int size = 0; size < JS_ARENA_BLOCK_SIZE_COUNT; size++) {
    struct list_head *item;
    list_for_each(item, &arenas->arena_list[size]) {
      JSArena *arena = list_entry(item, JSArena, link);
      for (int i = 0; i < arena->n_blocks; i++) {
        JSMallocBlockHeader *block = arena_get_block(arena, i, arena_block_sizes[size]);
        block->ref_count += SEALED_COUNT;
      }
    }
    init_list_head(&arenas->arena_list[size]);
    init_list_head(&arenas->free_arena_list[size]);
  }
  for (uint8_t *at = memory_first; at < memory_at; at += ((MemoryHead *)at)->size + sizeof(MemoryHead)) {
    JSMallocBlockHeader *block = (void *)(at + sizeof(MemoryHead));
    if (block->u.block_idx == JS_ARENA_FREE_NIL && block->block_size_idx == 0xff) block->ref_count += SEALED_COUNT;
  }
}

/* Blocks that are free now stay free; as zeros they take no bytes in the component. */
static void seal_free_memory(void) {
  for (int class = 0; class < MEMORY_CLASSES; class++) {
    for (void *block = memory_free_lists[class], *next; block; block = next) {
      next = *(void **)block;
      memset(block, 0, memory_size(block));
    }
    memory_free_lists[class] = NULL;
  }
}

static void seal(void) {
  drop_jobs();
  JS_RunGC(runtime);
  seal_lazy_properties();
  JS_RunGC(runtime);
  keep_buffers();
  keep_engine();
  text_free(&call.answer);
  text_free(&live_scratch);
  text_free(&reply);
  memory_free(NULL, touched.list);
  touched.list = NULL;
  touched.capacity = touched.count = 0;
  seal_links();
  seal_arenas();
  seal_free_memory();
  js_seal_shapes(runtime);
  /* Room memory begins on a page of its own. */
  uint32_t gap = -(uintptr_t)memory_at & (PAGE - 1);
  memory_reach(gap);
  memory_at += gap;
  js_sealed_end = (uintptr_t)memory_at;
  js_first_arena_size = 256;
  js_arena_size = 512;
  /* The state's text is in the build's memory: it is copied when it changes. */
  state.text.capacity = 0;
  runtime->malloc_state.malloc_size = runtime->malloc_state.malloc_count = 0;
  runtime->malloc_gc_threshold = 64 * 1024;
  hash_seal();
}
