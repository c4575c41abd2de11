// The hashes of a room's own tables: of its names, of its objects' properties and shapes, of its Maps and Sets.
//
// A client chooses the names in its messages, and could choose them so that they collide. So these hashes have a key, which is
// derived from the room's secret, and no name or number collides in every room. The tables that the build has made keep the
// build's key, which is a constant: they do not grow. What a script sees does not depend on the key, since all of them are
// iterated in the order of insertion.
//
// Texts: SipHash-1-3. Numbers, of 32 and 64 bits: multiplication by a secret odd number, of which the upper bits are taken; any two
// collide in a table of n entries with a probability of 2/n at most.

static const JSHashKey js_build_key = {{0, 0}, 0x61c8864680b583ebULL, 0x61c88647};
static JSHashKey js_hash_key = {{0, 0}, 0x61c8864680b583ebULL, 0x61c88647};

typedef struct Sip { uint64_t a, b, c, d; } Sip;

static inline uint64_t rotated(uint64_t word, int bits) { return word << bits | word >> (64 - bits); }

static inline void sip_round(Sip *sip) {
  sip->a += sip->b; sip->b = rotated(sip->b, 13) ^ sip->a; sip->a = rotated(sip->a, 32);
  sip->c += sip->d; sip->d = rotated(sip->d, 16) ^ sip->c;
  sip->a += sip->d; sip->d = rotated(sip->d, 21) ^ sip->a;
  sip->c += sip->b; sip->b = rotated(sip->b, 17) ^ sip->c; sip->c = rotated(sip->c, 32);
}

static inline Sip sip_begin(const JSHashKey *key, uint32_t type) {
  uint64_t first = key->text[0] ^ type, second = key->text[1];
  return (Sip){first ^ 0x736f6d6570736575ULL, second ^ 0x646f72616e646f6dULL, first ^ 0x6c7967656e657261ULL, second ^ 0x7465646279746573ULL};
}

static inline void sip_word(Sip *sip, uint64_t word) {
  sip->d ^= word;
  sip_round(sip);
  sip->a ^= word;
}

static inline uint64_t sip_end(Sip *sip) {
  sip->c ^= 0xff;
  for (int round = 0; round < 3; round++) sip_round(sip);
  return sip->a ^ sip->b ^ sip->c ^ sip->d;
}

static uint64_t hash_bytes(const JSHashKey *key, const uint8_t *bytes, uint32_t count, uint32_t type) {
  Sip sip = sip_begin(key, type);
  uint64_t last = (uint64_t)count << 56;
  uint32_t at = 0;
  for (; at + 8 <= count; at += 8) {
    uint64_t word;
    memcpy(&word, bytes + at, 8);
    sip_word(&sip, word);
  }
  for (int shift = 0; at < count; at++, shift += 8) last |= (uint64_t)bytes[at] << shift;
  sip_word(&sip, last);
  return sip_end(&sip);
}

static uint32_t js_hash_bytes(const JSHashKey *key, const uint8_t *bytes, uint32_t count, uint32_t type) {
  return hash_bytes(key, bytes, count, type);
}

/* A text of wide units has the hash of the same text in narrow ones, if there is one. */
#define WIDE 4

static no_inline uint32_t hash_wide(const JSHashKey *key, const uint16_t *units, uint32_t count, uint32_t type) {
  uint32_t all = 0;
  for (uint32_t i = 0; i < count; i++) all |= units[i];
  if (all > 0xff) return hash_bytes(key, (const uint8_t *)units, count * 2, type | WIDE);
  Sip sip = sip_begin(key, type);
  uint64_t word = 0;
  for (uint32_t i = 0; i < count; i++) {
    word |= (uint64_t)units[i] << (i % 8 * 8);
    if (i % 8 != 7) continue;
    sip_word(&sip, word);
    word = 0;
  }
  sip_word(&sip, word | (uint64_t)count << 56);
  return sip_end(&sip);
}

/* `type`: the kind of the atom, or 0. */
static uint32_t js_hash_text(const JSHashKey *key, JSString *text, uint32_t type) {
  if (unlikely(text->is_wide_char)) return hash_wide(key, str16(text), text->len, type);
  return hash_bytes(key, str8(text), text->len, type);
}

/* Takes the room's seed, 32 hexadecimal digits. Without one, the key stays that of the build. The rooms of one instance share the key
 * of the first: the tables of the others exist by then. */
static void hash_by(const uint8_t *seed, uint32_t length) {
  static bool is_keyed;
  if (is_keyed) return;
  is_keyed = true;
  if (length != 32) return;
  JSHashKey key = {0};
  for (int i = 0; i < 32; i++) key.text[i / 16] = key.text[i / 16] << 4 | from_hex(seed[i]);
  key.number = hash_bytes(&key, (const uint8_t *)"numbers", 7, 0) | 1;
  key.atom = (uint32_t)hash_bytes(&key, (const uint8_t *)"atoms", 5, 0) | 1;
  js_hash_key = key;
  js_hash_atoms(runtime);
}

/* The end of the build: its names stay in their table, and those of the room get another one. */

#define OWN_NAMES 64

static void hash_seal(void) {
  uint32_t size = runtime->atom_size, end = size;
  while (atom_is_free(runtime->atom_array[end - 1])) end--;
  js_sealed_atoms.table = runtime->atom_hash;
  js_sealed_atoms.mask = runtime->atom_hash_size - 1;
  js_sealed_atoms.end = end;
  /* Numbers that are free between those of the build stay free. */
  for (uint32_t i = end; i < size; i++) runtime->atom_array[i] = atom_set_free(i + 1 < size ? i + 1 : 0);
  runtime->atom_free_index = end < size ? end : 0;
  runtime->atom_count = 0;
  runtime->atom_hash_size = 0;
  runtime->atom_hash = NULL;
  if (JS_ResizeAtomHash(runtime, OWN_NAMES)) __builtin_trap();
}
