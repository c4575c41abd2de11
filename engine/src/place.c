// The places at which a script writes to module state, with the names of what it writes to: for the report in changed.c, which
// few rooms have.

/* Whether the host has requested the report, by `check` in `open`. */
static bool places_wanted;

typedef struct Place {
  /* The code of the build that has written, and where in it; NULL where this is unknown. */
  JSFunctionBytecode *code;
  uint32_t at;
  /* The function with this code, if it is the build's. */
  JSObject *function;
  /* A variable, and a property of the object in it; JS_ATOM_NULL where there is none. */
  JSAtom variable, property;
} Place;

static JSObject *frame_function(const JSStackFrame *frame) {
  if (!frame || JS_VALUE_GET_TAG(frame->cur_func) != JS_TAG_OBJECT) return NULL;
  JSObject *function = JS_VALUE_GET_OBJ(frame->cur_func);
  return js_class_has_bytecode(function->class_id) ? function : NULL;
}

/* A name of the call's own may be gone when the report is made. */
static bool is_lasting(JSAtom name) { return __JS_AtomIsTaggedInt(name) || name < js_sealed_atoms.end; }

static JSFunctionBytecode *lasting_code(const JSObject *function) {
  JSFunctionBytecode *code = function ? function->u.func.function_bytecode : NULL;
  return code && !js_is_mine(code) ? code : NULL;
}

static Place place_here(void) {
  for (JSStackFrame *frame = runtime->current_stack_frame; frame; frame = frame->prev_frame) {
    JSObject *function = frame_function(frame);
    JSFunctionBytecode *code = lasting_code(function);
    if (!code) continue;
    return (Place){code, frame->cur_pc - code->byte_code_buf - 1, js_is_mine(function) ? NULL : function};
  }
  return (Place){0};
}

/* `object`: a `JSObject`, or the state of a Map or Set. */
static bool holds(JSValueConst value, const void *object) {
  if (JS_VALUE_GET_TAG(value) != JS_TAG_OBJECT) return false;
  JSObject *held = JS_VALUE_GET_OBJ(value);
  bool is_map = held->class_id >= JS_CLASS_MAP && held->class_id <= JS_CLASS_WEAKSET;
  return held == object || (is_map && held->u.map_state == object);
}

/* The property of an object of the build that holds this one. */
static JSAtom property_with(JSValueConst holder, const void *object) {
  if (JS_VALUE_GET_TAG(holder) != JS_TAG_OBJECT || js_is_mine(JS_VALUE_GET_PTR(holder))) return JS_ATOM_NULL;
  JSObject *in = JS_VALUE_GET_OBJ(holder);
  JSShapeProperty *properties = get_shape_prop(in->shape);
  for (int i = 0; i < in->shape->prop_count; i++) {
    if ((properties[i].flags & JS_PROP_TMASK) == JS_PROP_NORMAL && properties[i].atom && is_lasting(properties[i].atom) && holds(in->prop[i].u.value, object)) return properties[i].atom;
  }
  return JS_ATOM_NULL;
}

static Place place_of_var(const JSVarRef *var_ref) {
  Place place = place_here();
  for (JSStackFrame *frame = runtime->current_stack_frame; frame; frame = frame->prev_frame) {
    JSObject *function = frame_function(frame);
    JSFunctionBytecode *code = lasting_code(function);
    if (!code) continue;
    for (int i = 0; i < code->closure_var_count; i++) {
      if (function->u.func.var_refs[i] != var_ref) continue;
      place.variable = code->closure_var[i].var_name;
      return place;
    }
  }
  return place;
}

/* An object has the name of a variable that holds it, and that a function on the stack uses; or of its property there. */
static Place place_of_object(const void *object) {
  Place place = place_here();
  for (int deep = 0; deep < 2; deep++) {
    for (JSStackFrame *frame = runtime->current_stack_frame; frame; frame = frame->prev_frame) {
      JSObject *function = frame_function(frame);
      JSFunctionBytecode *code = lasting_code(function);
      if (!code) continue;
      for (int i = 0; i < code->closure_var_count; i++) {
        JSValue value = *function->u.func.var_refs[i]->pvalue;
        JSAtom property = deep ? property_with(value, object) : JS_ATOM_NULL;
        if (!property && !holds(value, object)) continue;
        place.variable = code->closure_var[i].var_name;
        place.property = property;
        return place;
      }
    }
  }
  if (holds(js->global_obj, object)) place.variable = JS_ATOM_globalThis;
  return place;
}
