// The guest engine: QuickJS-ng, and a room around it that implements `wit/room.wit`.
//
// One translation unit, because the room reads the engine's own structures: it walks the shapes of objects, counts their
// references and prints them without a call. `engine/build.mjs` compiles it; what each part is for:
//
//   safepoint.c where the host may let other rooms have their turn
//   memory.c   the allocator below QuickJS's own, and the sealed part of memory
//   text.c     growing buffers of UTF-8
//   layout.c   the encoding of the contract's buffers
//   json.c     printing values as JSON, with a check of what a parse would give back
//   meter.c    the limit on the work of an entry
//   call.c     the current call, and the only writer of effects
//   live.c     state and players' data: live objects between calls, and the stored text
//   member.c   the members of the room, and the class `Player`
//   timers.c   which timers are pending
//   sdk.c      the functions that the SDK's modules in engine/sdk call
//   room.c     a record: its handler, its end, its refusal
//   place.c    the places of writes to sealed objects, for the report
//   undo.c     puts back what a call has written to sealed objects
//   hash.c     the hashes of the room's own tables
//   changed.c  the report of what a call has left changed there
//   seal.c     the end of the build
//   slots.c    several rooms in one instance
//   exports.c  the functions of the contract, and those of the build
//
// The engine imports the safepoint alone. Its clock is the record's time, and what QuickJS prints for its own debugging is dropped.

#include <assert.h>
#include <fenv.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

/* Milliseconds since 1970: the time of the current record; 0 while the guest is built. */
static double engine_now;

static int engine_time(struct timeval *at) {
  int64_t ms = (int64_t)engine_now;
  at->tv_sec = ms / 1000;
  at->tv_usec = ms % 1000 * 1000;
  return 0;
}

#define gettimeofday(at, zone) engine_time(at)
#define clock_gettime(clock, at) ((at)->tv_sec = (int64_t)engine_now / 1000, (at)->tv_nsec = (int64_t)engine_now % 1000 * 1000000, 0)
#define localtime_r gmtime_r
#define printf(...) 0
#define putchar(c) 0
#define fprintf(...) 0
#define abort() __builtin_trap()

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

#include "safepoint.c"
#include "quickjs.c"

#undef printf
#define EXPORT(name) __attribute__((export_name(name)))

static JSRuntime *runtime;
static JSContext *js;

#include "memory.c"
#include "hash.c"
#include "place.c"
#include "undo.c"
#include "text.c"
#include "layout.c"
#include "json.c"
#include "meter.c"
#include "call.c"
#include "live.c"
#include "member.c"
#include "timers.c"
#include "changed.c"
#include "room.c"
#include "sdk.c"
#include "seal.c"
#include "slots.c"
#include "exports.c"
