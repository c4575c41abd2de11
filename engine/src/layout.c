// The encoding of the contract's buffers (wit/room.wit): the tags of its tables, and the reading and writing of its types.
//
// The input is the host's, so one that is malformed is a bug of the host: it traps.

/* A tag and a length. */
#define HEAD 5
/* Bytes of an id, its digits as text, and bytes of a record's randomness. */
#define ID 16
#define ID_DIGITS 32
#define CHANCE 32

enum {
  ENTRY_OPEN = 0x01, ENTRY_SAVE, ENTRY_SELECT, ENTRY_CLOSE, ENTRY_CREATE = 0x10, ENTRY_JOIN, ENTRY_DROP, ENTRY_RECONNECT, ENTRY_LEAVE, ENTRY_MESSAGE,
  ENTRY_TIMER, ENTRY_ROOM_MESSAGE, ENTRY_ROOM_END, ENTRY_MOVE_FAILED, ENTRY_DISPOSE,
  ENTRY_ANSWER = 0x1d, ENTRY_IDENTIFY, ENTRY_ERASE,
};

enum { OUTCOME_DONE = 0x01, OUTCOME_THREW, OUTCOME_SAVED, OUTCOME_EXHAUSTED };

enum {
  EFFECT_ADMIT = 0x01, EFFECT_REPLY, EFFECT_REFUSE, EFFECT_SEND, EFFECT_BROADCAST, EFFECT_VIEW, EFFECT_VIEW_OF, EFFECT_MOVE_TO, EFFECT_KICK,
  EFFECT_CREATE_ROOM, EFFECT_SEND_ROOM, EFFECT_SET_TIMER, EFFECT_CANCEL_TIMER, EFFECT_LOCK, EFFECT_UNLOCK, EFFECT_METADATA, EFFECT_END,
  EFFECT_LOG, EFFECT_SIT, EFFECT_STAND, EFFECT_REQUEST,
  EFFECT_IDENTIFY = 0x18, EFFECT_REPORT,
};

/* A part of the input. */
typedef struct Given { uint8_t *bytes; uint32_t length; } Given;

static uint8_t *take(Given *from, uint32_t count) {
  if (count > from->length) __builtin_trap();
  uint8_t *taken = from->bytes;
  from->bytes += count;
  from->length -= count;
  return taken;
}

static uint8_t take_u8(Given *from) { return *take(from, 1); }

static uint32_t take_u32(Given *from) {
  uint32_t number;
  memcpy(&number, take(from, sizeof number), sizeof number);
  return number;
}

static uint64_t take_u64(Given *from) {
  uint64_t number;
  memcpy(&number, take(from, sizeof number), sizeof number);
  return number;
}

static Given take_text(Given *from) {
  uint32_t length = take_u32(from);
  return (Given){take(from, length), length};
}

static inline void text_u32(Text *to, uint32_t number) { text_bytes(to, &number, sizeof number); }
static inline void text_u64(Text *to, uint64_t number) { text_bytes(to, &number, sizeof number); }
static inline void text_f64(Text *to, double number) { text_bytes(to, &number, sizeof number); }

/* Begins an outcome or an effect. Returns its place, for `tagged_end`. */
static inline uint32_t tagged_begin(Text *to, uint8_t tag) {
  uint32_t mark = to->length;
  text_reach(to, HEAD);
  to->bytes[mark] = tag;
  to->length += HEAD;
  return mark;
}

static inline void tagged_end(Text *to, uint32_t mark) {
  uint32_t length = to->length - mark - HEAD;
  memcpy(to->bytes + mark + 1, &length, sizeof length);
}

/* A text with its length before it. */
static void put_text(Text *to, JSValueConst value) {
  uint32_t mark = to->length;
  text_u32(to, 0);
  text_string(to, value);
  uint32_t length = to->length - mark - sizeof length;
  memcpy(to->bytes + mark, &length, sizeof length);
}

static void put_short_text(Text *to, const uint8_t *bytes, uint32_t length) {
  text_u32(to, length);
  text_bytes(to, bytes, length);
}

static inline char digit_of(uint8_t nibble) { return "0123456789abcdef"[nibble]; }

/* Bytes as hexadecimal digits. */
static void digits_of(char *to, const uint8_t *bytes, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    to[2 * i] = digit_of(bytes[i] >> 4);
    to[2 * i + 1] = digit_of(bytes[i] & 15);
  }
}

static JSValue digits_value(const uint8_t *bytes, uint32_t count) {
  char digits[2 * CHANCE];
  digits_of(digits, bytes, count);
  return JS_NewStringLen(js, digits, 2 * count);
}

/* The value of a lower-case hexadecimal digit; -1 for other characters. */
static inline int nibble_of(uint8_t digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* The bytes of a string of so many hexadecimal digits. False if it is another one. */
static bool digits_read(uint8_t *to, JSValueConst digits, uint32_t count) {
  if (!JS_IsString(digits)) return false;
  Text text = {0};
  const uint8_t *bytes = NULL;
  if (JS_VALUE_GET_TAG(digits) == JS_TAG_STRING) {
    JSString *string = JS_VALUE_GET_STRING(digits);
    if (!string->is_wide_char && string->len == 2 * count) bytes = str8(string);
  } else {
    text_string(&text, digits);
    if (text.length == 2 * count) bytes = text.bytes;
  }
  bool is = bytes;
  for (uint32_t i = 0; is && i < count; i++) {
    int high = nibble_of(bytes[2 * i]), low = nibble_of(bytes[2 * i + 1]);
    is = high >= 0 && low >= 0;
    to[i] = high << 4 | low;
  }
  text_free(&text);
  return is;
}
