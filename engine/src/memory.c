// The allocator below QuickJS's arenas: blocks of some sixty sizes, taken from the end of used memory, freed into a list for
// each size. If memory cannot grow, the host traps, so only requests of absurd sizes fail.

typedef struct MemoryHead {
  uint32_t size;
  uint32_t unused; /* blocks are aligned to 8 bytes and more */
} MemoryHead;

#define MEMORY_CLASSES 128
#define MEMORY_SMALL 512
#define MEMORY_LARGEST 0x7ff00000u
/* No less than that of the runtime and the context, with their heads. */
#define MEMORY_RUNTIME 2048
/* A room's own memory is counted in these. */
#define PAGE 4096u

static uint8_t *memory_first, *memory_at, *memory_end;
static void *memory_free_lists[MEMORY_CLASSES];
extern uint8_t __heap_base;

/* The size of the block for `size` bytes, and its class: steps of 16 bytes; above 512, four steps for each power of two. */
static uint32_t memory_round(uint32_t size, int *class) {
  if (size <= MEMORY_SMALL) {
    size = size ? (size + 15) & ~15u : 16;
    *class = size >> 4;
    return size;
  }
  int log = 31 - __builtin_clz(size - 1);
  uint32_t step = 1u << (log - 2);
  size = (size + step - 1) & ~(step - 1);
  *class = 33 + (log - 9) * 4 + ((size - 1) >> (log - 2) & 3);
  return size;
}

/* QuickJS's runtime and context, which every call writes to, are one block, the second. The first one is the script's, whose size is
 * a power of two: so both begin at the same place of a page, and the second one is on one page. */
static void memory_begin(void) {
  uintptr_t at = ((uintptr_t)&__heap_base + 15) & ~15u;
  if ((at & (PAGE - 1)) + MEMORY_RUNTIME > PAGE) at = (at + PAGE - 1) & ~(PAGE - 1);
  memory_first = memory_at = (uint8_t *)at;
  memory_end = (uint8_t *)(__builtin_wasm_memory_size(0) * 65536);
}

static bool memory_reach(uint32_t bytes) {
  if ((size_t)(memory_end - memory_at) >= bytes) return true;
  size_t pages = (bytes - (memory_end - memory_at) + 65535) >> 16;
  if (__builtin_wasm_memory_grow(0, pages) == (size_t)-1) return false;
  memory_end += pages << 16;
  return true;
}

/* Without a safepoint: the host allocates the input, and must not be called meanwhile. */
static void *memory_take(size_t size) {
  if (size > MEMORY_LARGEST) return NULL;
  int class;
  uint32_t rounded = memory_round(size, &class);
  void *block = memory_free_lists[class];
  if (block) {
    memory_free_lists[class] = *(void **)block;
    return block;
  }
  if (!memory_reach(rounded + sizeof(MemoryHead))) return NULL;
  MemoryHead *head = (MemoryHead *)memory_at;
  head->size = rounded;
  head->unused = 0;
  memory_at += rounded + sizeof(MemoryHead);
  return head + 1;
}

static void *memory_new(void *unused, size_t size) {
  js_work(size / SAFEPOINT_BYTES);
  return memory_take(size);
}

static uint32_t memory_size(const void *block) { return ((const MemoryHead *)block - 1)->size; }

static size_t memory_usable(const void *block) { return memory_size(block); }

static void memory_free(void *unused, void *block) {
  if (!block || !js_is_mine(block)) return;
  int class;
  memory_round(memory_size(block), &class);
  *(void **)block = memory_free_lists[class];
  memory_free_lists[class] = block;
}

static void *memory_calloc(void *unused, size_t count, size_t size) {
  void *block = memory_new(NULL, count * size);
  if (block) memset(block, 0, count * size);
  return block;
}

static void *memory_resize(void *unused, void *block, size_t size) {
  if (!block) return memory_new(NULL, size);
  uint32_t had = memory_size(block);
  if (size <= had && js_is_mine(block)) return block;
  void *moved = memory_new(NULL, size);
  if (!moved) return NULL;
  memcpy(moved, block, had < size ? had : size);
  memory_free(NULL, block);
  return moved;
}

static const JSMallocFunctions memory_functions = {memory_calloc, memory_new, memory_free, memory_resize, memory_usable};
