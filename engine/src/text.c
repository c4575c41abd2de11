// Growing buffers of UTF-8.

typedef struct Text {
  uint8_t *bytes;
  uint32_t length, capacity;
} Text;

static no_inline void text_grow(Text *to, uint32_t more) {
  uint64_t wanted = (uint64_t)to->length + more;
  uint64_t capacity = to->capacity ? to->capacity : 256;
  while (capacity < wanted) capacity *= 2;
  uint8_t *bytes = capacity > MEMORY_LARGEST ? NULL : memory_resize(NULL, to->bytes, capacity);
  if (!bytes) __builtin_trap();
  to->bytes = bytes;
  to->capacity = capacity;
}

static inline void text_reach(Text *to, uint32_t more) {
  if (unlikely(to->length + (uint64_t)more > to->capacity)) text_grow(to, more);
}

static inline void text_byte(Text *to, uint8_t byte) {
  text_reach(to, 1);
  to->bytes[to->length++] = byte;
}

static inline void text_bytes(Text *to, const void *from, uint32_t count) {
  text_reach(to, count);
  uint8_t *at = to->bytes + to->length;
  const uint8_t *source = from;
  if (count > 64) memcpy(at, source, count);
  else for (uint32_t i = 0; i < count; i++) at[i] = source[i];
  to->length += count;
}

#define text_literal(to, literal) text_bytes(to, literal, sizeof(literal) - 1)

static void text_c(Text *to, const char *text) { text_bytes(to, text, strlen(text)); }

static void text_free(Text *text) {
  memory_free(NULL, text->bytes);
  *text = (Text){0};
}

/* Whether both have the same bytes. */
static inline bool same_bytes(const uint8_t *a, const uint8_t *b, uint32_t count) {
  uint32_t i = 0;
  for (; i + 8 <= count; i += 8) {
    uint64_t x, y;
    memcpy(&x, a + i, 8);
    memcpy(&y, b + i, 8);
    if (x != y) return false;
  }
  for (; i < count; i++) if (a[i] != b[i]) return false;
  return true;
}

/* The length in units of UTF-16: a continuation byte counts as none, the first byte of four as two. */
static uint32_t utf16_units(const uint8_t *bytes, uint32_t count) {
  uint32_t units = 0;
  for (uint32_t i = 0; i < count; i++) units += ((bytes[i] & 0xc0) != 0x80) + (bytes[i] >= 0xf0);
  return units;
}

static void text_char(Text *to, uint32_t c) {
  uint8_t bytes[4];
  int count;
  if (c < 0x80) { text_byte(to, c); return; }
  if (c < 0x800) { bytes[0] = 0xc0 | c >> 6; bytes[1] = 0x80 | (c & 63); count = 2; }
  else if (c < 0x10000) { bytes[0] = 0xe0 | c >> 12; bytes[1] = 0x80 | (c >> 6 & 63); bytes[2] = 0x80 | (c & 63); count = 3; }
  else { bytes[0] = 0xf0 | c >> 18; bytes[1] = 0x80 | (c >> 12 & 63); bytes[2] = 0x80 | (c >> 6 & 63); bytes[3] = 0x80 | (c & 63); count = 4; }
  text_bytes(to, bytes, count);
}

/* The next character of a wide string; an unpaired surrogate is returned as it is. */
static inline uint32_t next_char(const uint16_t *units, uint32_t length, uint32_t *at) {
  uint32_t c = units[(*at)++];
  if (c >= 0xd800 && c < 0xdc00 && *at < length && units[*at] >= 0xdc00 && units[*at] < 0xe000)
    c = 0x10000 + ((c - 0xd800) << 10) + (units[(*at)++] - 0xdc00);
  return c;
}

/* A string as it is, but with U+FFFD for each unpaired surrogate. */
static void text_string(Text *to, JSValueConst value) {
  JSValue flat = JS_VALUE_GET_TAG(value) == JS_TAG_STRING_ROPE ? js_linearize_string_rope(js, js_dup(value)) : js_dup(value);
  JSString *string = JS_VALUE_GET_STRING(flat);
  uint32_t length = string->len;
  if (string->is_wide_char) {
    const uint16_t *units = str16(string);
    for (uint32_t i = 0; i < length;) {
      uint32_t c = next_char(units, length, &i);
      text_char(to, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
    }
  } else {
    const uint8_t *bytes = str8(string);
    uint32_t i = 0;
    while (i < length && bytes[i] < 0x80) i++;
    text_bytes(to, bytes, i);
    for (; i < length; i++) text_char(to, bytes[i]);
  }
  JS_FreeValue(js, flat);
}

static JSValue text_value(const Text *text) { return JS_NewStringLen(js, (const char *)text->bytes, text->length); }
