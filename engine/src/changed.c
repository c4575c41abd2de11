// Module state that a call leaves changed: it is put back (undo.c), so the script does not do what it seems to. For the script's
// author this is a warning in the log, once for each place; only where the host requests it, and without any other effect.
//
// Not reported, since nothing is lost that a script could rely on:
// - `lastIndex` of a regular expression: `test` and `exec` of one with the flag g or y leave it behind after each match.
// - What has its previous value again at the end of the call, as the variables that immer sets while it runs.
// - An entry of a WeakMap or WeakSet whose key the call has made: it lasts as long as its key.
// - The content of buffers and typed arrays, which is scratch memory of packages, and whose writes have no place.
// - What a call writes that then throws or is refused: it is undone like the state.

#define REPORTS 256
/* The lines of one call; further ones come with the next. */
#define REPORTS_OF_CALL 8

static struct { Place list[REPORTS]; uint32_t count; } *reported;

static bool is_reported(Place place) {
  if (!reported) reported = memory_calloc(NULL, 1, sizeof *reported);
  for (uint32_t i = 0; i < reported->count; i++) {
    Place known = reported->list[i];
    if (known.code == place.code && known.at == place.at && known.variable == place.variable && known.property == place.property) return true;
  }
  return reported->count == REPORTS;
}

static bool is_same(JSValueConst now, JSValueConst before) {
  if (now == before) return true;
  return JS_VALUE_GET_TAG(now) != JS_TAG_OBJECT && JS_VALUE_GET_TAG(before) != JS_TAG_OBJECT && js_same_value(js, now, before);
}

static bool is_same_property(int flags, const JSProperty *now, const JSProperty *before) {
  switch (flags & JS_PROP_TMASK) {
    case JS_PROP_GETSET: return now->u.getset.getter == before->u.getset.getter && now->u.getset.setter == before->u.getset.setter;
    case JS_PROP_VARREF: return now->u.var_ref == before->u.var_ref;
    case JS_PROP_NORMAL: return is_same(now->u.value, before->u.value);
    default: return true;
  }
}

static bool has_name(JSShape *shape, JSAtom name) {
  JSShapeProperty *properties = get_shape_prop(shape);
  for (int i = 0; i < shape->prop_count; i++) if (properties[i].atom == name) return true;
  return false;
}

/* Whether the object differs from what was kept; `name`: the property that does, if it is one. */
static bool object_differs(const Kept *entry, JSAtom *name) {
  JSObject *now = entry->at, *before = entry->before.object.object;
  JSShapeProperty *properties = get_shape_prop(before->shape);
  for (int i = 0; i < before->shape->prop_count; i++) {
    if (!properties[i].atom || (before->class_id == JS_CLASS_REGEXP && properties[i].atom == JS_ATOM_lastIndex)) continue;
    JSProperty *property;
    JSShapeProperty *found = find_own_property(&property, now, properties[i].atom);
    *name = before->class_id == JS_CLASS_ARRAY ? JS_ATOM_NULL : properties[i].atom;
    if (!found || found->flags != properties[i].flags || !is_same_property(found->flags, property, &entry->before.object.properties[i])) return true;
  }
  properties = get_shape_prop(now->shape);
  for (int i = 0; i < now->shape->prop_count; i++) {
    *name = properties[i].atom;
    if (*name && !has_name(before->shape, *name)) return true;
  }
  *name = JS_ATOM_NULL;
  if (now->shape->proto != before->shape->proto || now->extensible != before->extensible) return true;
  if (before->class_id == JS_CLASS_DATE && !is_same(now->u.object_data, before->u.object_data)) return true;
  if (before->class_id == JS_CLASS_REGEXP && (now->u.regexp.pattern != before->u.regexp.pattern || now->u.regexp.bytecode != before->u.regexp.bytecode)) return true;
  if (has_values(now) != has_values(before)) return true;
  if (!has_values(now)) return false;
  if (now->u.array.count != before->u.array.count) return true;
  for (uint32_t i = 0; i < now->u.array.count; i++) if (!is_same(now->u.array.u.values[i], entry->before.object.values[i])) return true;
  return false;
}

/* Whether a Map or Set has other entries than before. The blocks of its state, its table and its records follow its entry. */
static bool map_differs(uint32_t at) {
  JSMapState *map = kept.list[at].at;
  struct list_head *item;
  list_for_each(item, &map->records) {
    JSMapRecord *record = list_entry(item, JSMapRecord, link);
    if (js_is_mine(record) && !record->empty && !(map->is_weak && js_is_mine(JS_VALUE_GET_PTR(record->key)))) return true;
  }
  for (uint32_t i = at + 3; i < kept.count && kept.list[i].kind == KEPT_RECORD; i++) {
    JSMapRecord *now = kept.list[i].at, *before = kept.list[i].before.block.bytes;
    if (before->empty) continue;
    if (now->empty || !is_same(now->value, before->value)) return true;
  }
  return false;
}

#define NAME_BYTES 80

/* A name, which may be a client's: on one line, and cut. */
static void name_print(Text *to, JSAtom name) {
  uint32_t mark = to->length;
  JSValue text = JS_AtomToString(js, name);
  text_string(to, text);
  JS_FreeValue(js, text);
  for (uint32_t i = mark; i < to->length; i++) if (to->bytes[i] < 0x20) to->bytes[i] = ' ';
  if (to->length - mark <= NAME_BYTES) return;
  to->length = mark + NAME_BYTES;
  while ((to->bytes[to->length] & 0xc0) == 0x80) to->length--;
}

/* What has changed, for people: `variable`, `variable.property`, `variable.property.name`. */
static void subject_print(Text *to, Place place, JSAtom name, const char *otherwise) {
  JSAtom names[3] = {place.variable, place.property, name};
  if (!place.variable && !name) { text_c(to, otherwise); return; }
  text_byte(to, '`');
  if (!place.variable) text_literal(to, "…");
  for (int i = 0; i < 3; i++) {
    if (!names[i]) continue;
    if (i > 0) text_byte(to, '.');
    name_print(to, names[i]);
  }
  text_byte(to, '`');
}

static void place_print(Text *to, Place place) {
  if (!place.code) return;
  int column, line = find_line_num(js, place.code, place.at, &column);
  const char *name = place.function ? get_func_name(js, JS_MKPTR(JS_TAG_OBJECT, place.function)) : NULL;
  text_literal(to, "\n    at ");
  text_c(to, name && *name ? name : "<anonymous>");
  JS_FreeCString(js, name);
  text_literal(to, " (script:");
  json_natural(to, line);
  text_byte(to, ':');
  json_natural(to, column);
  text_byte(to, ')');
}

static void report(Place place, JSAtom name, const char *otherwise, uint32_t *reports) {
  if (*reports == REPORTS_OF_CALL || is_reported(place)) return;
  reported->list[reported->count++] = place;
  ++*reports;
  uint32_t mark = effect_begin(EFFECT_LOG);
  text_literal(&call.answer, "\2module state: ");
  subject_print(&call.answer, place, name, otherwise);
  text_literal(&call.answer, " is changed by this call, and put back at its end: what must last goes into this.state");
  place_print(&call.answer, place);
  tagged_end(&call.answer, mark);
}

static void report_changes(void) {
  if (!places_wanted || !js_sealed_end) return;
  uint32_t reports = 0;
  for (uint32_t i = 0; i < kept_vars.count; i++) {
    KeptVar *entry = &kept_vars.list[i];
    if (!is_same(*entry->var_ref->pvalue, entry->before)) report(entry->place, JS_ATOM_NULL, "a variable", &reports);
  }
  for (uint32_t i = 0; i < kept.count; i++) {
    Kept *entry = &kept.list[i];
    JSAtom name = JS_ATOM_NULL;
    switch (entry->kind) {
      case KEPT_OBJECT: if (object_differs(entry, &name)) report(entry->place, name, "an object", &reports); break;
      case KEPT_MAP: if (map_differs(i)) report(entry->place, name, "a Map or Set", &reports); break;
      case KEPT_INNER: if (memcmp(entry->at, entry->before.block.bytes, entry->before.block.size)) report(entry->place, name, "an iterator or a proxy", &reports); break;
      default: break;
    }
  }
}
