// The meter of the current entry: polls of QuickJS, which counts down in the context. They follow from the script and its record
// alone, so every replay reaches the limit at the same poll. The counter gets the limit in steps, with a safepoint after each.
// Little in C polls: the host bounds the time of that (docs/adr/0014-metering.md).

/* Polls of one step: 5 us in an empty loop, 0.3 ms where there is most work between two polls. */
#define METER_STEP 4096

/* The polls of the entry, and those after the current step. */
static uint32_t meter_limit, meter_later;

static void meter_step(void) {
  uint32_t polls = meter_later < METER_STEP ? meter_later : METER_STEP;
  meter_later -= polls;
  js->interrupt_counter = polls;
}

static void meter_begin(uint64_t limit) {
  meter_limit = limit > INT32_MAX ? INT32_MAX : limit < 1 ? 1 : (uint32_t)limit;
  meter_later = meter_limit;
  meter_step();
}

static uint32_t meter_spent(void) { return meter_limit - meter_later - js->interrupt_counter; }

/* Also true if the script, or a function of QuickJS, has dropped the exception. */
static bool meter_is_exhausted(void) { return meter_later == 0 && js->interrupt_counter <= 0; }

static bool js_out_of_polls(JSContext *ctx) {
  ctx->interrupt_counter = 0;
  if (meter_later == 0) return true;
  safepoint();
  meter_step();
  return false;
}
