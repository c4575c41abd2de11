// Values as JSON: the same text as `JSON.stringify`, from the shapes of the objects, eight bytes of a string at a time.
//
// A value that is not plain (a getter, a `toJSON`, a class, a hole, a proxy, NaN) is left to the SDK's `toJson`, in JavaScript,
// which prints it or throws its error, so both give the same result. The printer also notes whether the value differs from
// a parse of its text, or has other references: see live.c.

/* Arrays and objects around a value; as LIMITS.nesting in guests/sdk/limits.js. */
#define JSON_NESTING 127

/* Of a live object that is printed: whether a parse of its text would give another value. */
static bool json_differs;

/* The SDK's `toJson(value, what, name)`. */
static JSValue sdk_to_json;

typedef enum { JSON_PRINTED, JSON_NOTHING, JSON_ODD } JsonResult;

/* Not 0 if a byte is below 0x20, a quote, a backslash or above 0x7f; may be not 0 without such a byte. */
static inline uint64_t escapes8(uint64_t word) {
  const uint64_t low = 0x0101010101010101ULL, high = 0x8080808080808080ULL;
  uint64_t quote = word ^ (low * 0x22), backslash = word ^ (low * 0x5c);
  return (word | (word - low * 0x20) | (quote - low) | (backslash - low)) & high;
}

static void json_escape(Text *to, uint32_t c) {
  static const char digits[] = "0123456789abcdef";
  switch (c) {
    case '"': text_literal(to, "\\\""); return;
    case '\\': text_literal(to, "\\\\"); return;
    case '\n': text_literal(to, "\\n"); return;
    case '\r': text_literal(to, "\\r"); return;
    case '\t': text_literal(to, "\\t"); return;
    case '\b': text_literal(to, "\\b"); return;
    case '\f': text_literal(to, "\\f"); return;
  }
  if (c < 0x20 || (c >= 0xd800 && c < 0xe000)) {
    char escape[6] = {'\\', 'u', digits[c >> 12], digits[c >> 8 & 15], digits[c >> 4 & 15], digits[c & 15]};
    text_bytes(to, escape, 6);
    return;
  }
  text_char(to, c);
}

/* The rest of a string, from `at`. */
static no_inline void json_string_rest(Text *to, JSString *string, uint32_t at) {
  uint32_t length = string->len;
  if (string->is_wide_char) {
    const uint16_t *units = str16(string);
    while (at < length) json_escape(to, next_char(units, length, &at));
  } else {
    const uint8_t *bytes = str8(string);
    for (; at < length; at++) json_escape(to, bytes[at]);
  }
  text_byte(to, '"');
}

static inline void json_string(Text *to, JSString *string) {
  uint32_t length = string->len, i = 0;
  text_reach(to, length + 16);
  uint8_t *at = to->bytes + to->length;
  *at++ = '"';
  if (unlikely(string->is_wide_char)) {
    to->length++;
    json_string_rest(to, string, 0);
    return;
  }
  const uint8_t *bytes = str8(string);
  for (; i + 8 <= length; i += 8) {
    uint64_t word;
    memcpy(&word, bytes + i, 8);
    memcpy(at + i, &word, 8);
    if (unlikely(escapes8(word))) {
      to->length += 1 + i;
      json_string_rest(to, string, i);
      return;
    }
  }
  for (; i < length; i++) {
    uint8_t byte = bytes[i];
    if (unlikely(byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\')) {
      to->length += 1 + i;
      json_string_rest(to, string, i);
      return;
    }
    at[i] = byte;
  }
  at[length] = '"';
  to->length += length + 2;
}

static void json_natural(Text *to, uint64_t number) {
  char digits[20];
  int at = 20;
  do { digits[--at] = '0' + number % 10; number /= 10; } while (number);
  text_bytes(to, digits + at, 20 - at);
}

static void json_int(Text *to, int32_t number) {
  if (number >= 0 && number < 10) { text_byte(to, '0' + number); return; }
  char digits[11];
  int at = 11;
  uint32_t rest = number < 0 ? -(uint32_t)number : (uint32_t)number;
  do { digits[--at] = '0' + rest % 10; rest /= 10; } while (rest);
  if (number < 0) digits[--at] = '-';
  text_bytes(to, digits + at, 11 - at);
}

/* NaN and the infinities are left to the SDK, which throws. */
static JsonResult json_double(Text *to, double number) {
  if (!isfinite(number)) return JSON_ODD;
  if (number == 0) {
    if (signbit(number)) json_differs = true;
    text_byte(to, '0');
    return JSON_PRINTED;
  }
  if (number == trunc(number) && fabs(number) < 9007199254740992.0) {
    if (number < 0) { text_byte(to, '-'); number = -number; }
    json_natural(to, (uint64_t)number);
    return JSON_PRINTED;
  }
  JSDTOATempMem temporary;
  text_reach(to, 128);
  to->length += js_dtoa((char *)to->bytes + to->length, number, 10, 0, JS_DTOA_FORMAT_FREE, &temporary);
  return JSON_PRINTED;
}

static JsonResult json_value(Text *to, JSValueConst value, int depth, bool kept);

static JsonResult json_array(Text *to, JSObject *array, int depth, bool kept) {
  uint32_t count = array->u.array.count;
  JSValue *values = array->u.array.u.values;
  /* Other properties, or holes at the end. */
  if (array->shape->prop_count != 1 || array->shape->proto != JS_VALUE_GET_OBJ(js->class_proto[JS_CLASS_ARRAY])) return JSON_ODD;
  if (JS_VALUE_GET_TAG(array->prop[0].u.value) != JS_TAG_INT || (uint32_t)JS_VALUE_GET_INT(array->prop[0].u.value) != count) return JSON_ODD;
  if (kept && (get_shape_prop(array->shape)->flags & JS_PROP_WRITABLE) == 0) json_differs = true;
  text_byte(to, '[');
  for (uint32_t i = 0; i < count; i++) {
    js_work(1);
    if (i) text_byte(to, ',');
    JsonResult result = json_value(to, values[i], depth + 1, kept);
    if (result == JSON_ODD) return result;
    if (result == JSON_NOTHING) {
      json_differs = true;
      text_literal(to, "null");
    }
  }
  text_byte(to, ']');
  return JSON_PRINTED;
}

static JsonResult json_property(Text *to, JSAtom name, JSValueConst value, bool *first, int depth, bool kept) {
  uint32_t mark = to->length;
  if (!*first) text_byte(to, ',');
  if (__JS_AtomIsTaggedInt(name)) {
    text_byte(to, '"');
    json_natural(to, __JS_AtomToUInt32(name));
    text_byte(to, '"');
  } else {
    json_string(to, js->rt->atom_array[name]);
  }
  text_byte(to, ':');
  JsonResult result = json_value(to, value, depth + 1, kept);
  if (result == JSON_NOTHING) {
    to->length = mark;
    json_differs = true;
    return JSON_PRINTED;
  }
  *first = false;
  return result;
}

/* The integer-like keys come first, in ascending order; most objects have none. */
static no_inline JsonResult json_indices(Text *to, JSObject *object, uint32_t indices, bool *first, int depth, bool kept) {
  JSShapeProperty *properties = get_shape_prop(object->shape);
  uint32_t count = object->shape->prop_count;
  int64_t done = -1;
  while (indices--) {
    uint32_t next = 0, least = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
      JSAtom name = properties[i].atom;
      if (!__JS_AtomIsTaggedInt(name)) continue;
      uint32_t index = __JS_AtomToUInt32(name);
      if (index > done && index < least) { least = index; next = i; }
    }
    done = least;
    JsonResult result = json_property(to, properties[next].atom, object->prop[next].u.value, first, depth, kept);
    if (result != JSON_PRINTED) return result;
  }
  return JSON_PRINTED;
}

/* With more of them, the search for each next one would take time quadratic in their number. */
#define JSON_INDICES 64

static JsonResult json_object(Text *to, JSObject *object, int depth, bool kept) {
  JSShape *shape = object->shape;
  JSObject *proto = shape->proto;
  if (proto != JS_VALUE_GET_OBJ(js->class_proto[JS_CLASS_OBJECT])) {
    if (proto != NULL) return JSON_ODD;
    json_differs = true;
  }
  JSShapeProperty *properties = get_shape_prop(shape);
  uint32_t count = shape->prop_count, indices = 0;
  bool first = true;
  text_byte(to, '{');
  for (uint32_t i = 0; i < count; i++) {
    JSAtom name = properties[i].atom;
    if (name == JS_ATOM_NULL) continue;
    if (unlikely(properties[i].flags != JS_PROP_C_W_E)) {
      /* A frozen property is printed, too; a getter or a hidden property is not. */
      if ((properties[i].flags & (JS_PROP_TMASK | JS_PROP_ENUMERABLE)) != JS_PROP_ENUMERABLE) return JSON_ODD;
      json_differs = true;
    }
    if (unlikely(__JS_AtomIsTaggedInt(name))) {
      if (++indices > JSON_INDICES) return JSON_ODD;
      continue;
    }
    JSString *text = js->rt->atom_array[name];
    if (text->atom_type != JS_ATOM_TYPE_STRING || name == JS_ATOM_toJSON) return JSON_ODD;
    /* A key of ten digits may be integer-like, too. `__proto__` as an own key is printed: a parse makes it. */
    if (unlikely(text->len == 10 && !text->is_wide_char && is_digit(str8(text)[0]))) return JSON_ODD;
  }
  if (unlikely(indices)) {
    JsonResult result = json_indices(to, object, indices, &first, depth, kept);
    if (result != JSON_PRINTED) return result;
  }
  for (uint32_t i = 0; i < count; i++) {
    JSAtom name = properties[i].atom;
    if (name == JS_ATOM_NULL || __JS_AtomIsTaggedInt(name)) continue;
    js_work(1);
    JsonResult result = json_property(to, name, object->prop[i].u.value, &first, depth, kept);
    if (result != JSON_PRINTED) return result;
  }
  text_byte(to, '}');
  return JSON_PRINTED;
}

static JsonResult json_value(Text *to, JSValueConst value, int depth, bool kept) {
  switch (JS_VALUE_GET_NORM_TAG(value)) {
    case JS_TAG_INT: json_int(to, JS_VALUE_GET_INT(value)); return JSON_PRINTED;
    case JS_TAG_BOOL:
      if (JS_VALUE_GET_BOOL(value)) text_literal(to, "true");
      else text_literal(to, "false");
      return JSON_PRINTED;
    case JS_TAG_NULL: text_literal(to, "null"); return JSON_PRINTED;
    case JS_TAG_STRING: json_string(to, JS_VALUE_GET_STRING(value)); return JSON_PRINTED;
    case JS_TAG_STRING_ROPE: {
      JSValue flat = js_linearize_string_rope(js, js_dup(value));
      if (JS_IsException(flat)) return JSON_ODD;
      json_string(to, JS_VALUE_GET_STRING(flat));
      JS_FreeValue(js, flat);
      return JSON_PRINTED;
    }
    case JS_TAG_FLOAT64: return json_double(to, JS_VALUE_GET_FLOAT64(value));
    case JS_TAG_UNDEFINED: return JSON_NOTHING;
    case JS_TAG_OBJECT: break;
    default: return JSON_ODD;
  }
  JSObject *object = JS_VALUE_GET_OBJ(value);
  if (depth >= JSON_NESTING) return JSON_ODD;
  if (kept && (!object->extensible || !js_is_mine(object) || JS_REF_COUNT(object) != 1)) json_differs = true;
  if (object->class_id == JS_CLASS_ARRAY && object->fast_array) return json_array(to, object, depth, kept);
  if (object->class_id == JS_CLASS_OBJECT) return json_object(to, object, depth, kept);
  return JSON_ODD;
}

/* Whether a script has given all objects or arrays a `toJSON`. */
static bool json_is_overridden(void) {
  JSProperty *property;
  return find_own_property(&property, JS_VALUE_GET_OBJ(js->class_proto[JS_CLASS_OBJECT]), JS_ATOM_toJSON) != NULL
      || find_own_property(&property, JS_VALUE_GET_OBJ(js->class_proto[JS_CLASS_ARRAY]), JS_ATOM_toJSON) != NULL;
}

/* Prints with the SDK's function; `what` and `name` are for its error. */
static no_inline int json_by_sdk(Text *to, JSValueConst value, const char *what, JSValueConst name) {
  JSValue label = JS_NewString(js, what);
  JSValueConst arguments[3] = {value, label, name};
  JSValue text = JS_Call(js, sdk_to_json, JS_UNDEFINED, 3, arguments);
  JS_FreeValue(js, label);
  if (JS_IsException(text)) return -1;
  text_string(to, text);
  JS_FreeValue(js, text);
  json_differs = true;
  return 0;
}

/* Appends a value; -1 if it threw. `kept`: it is the value of a `Live`. */
static int json_print(Text *to, JSValueConst value, bool kept, const char *what, JSValueConst name) {
  if (JS_IsUndefined(value)) {
    json_differs = true;
    text_literal(to, "null");
    return 0;
  }
  uint32_t mark = to->length;
  if (likely(!json_is_overridden() && json_value(to, value, 0, kept) == JSON_PRINTED)) return 0;
  to->length = mark;
  return json_by_sdk(to, value, what, name);
}

/* A text that ends with a zero. */
static JSValue json_parse(const uint8_t *text, uint32_t length) { return JS_ParseJSON(js, (const char *)text, length, "<json>"); }
