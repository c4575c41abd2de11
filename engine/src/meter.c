// The meter of the current entry: polls of QuickJS, which counts down in the context. They follow from the script and its record
// alone, so every replay reaches the limit at the same poll. Nothing in C polls: the host bounds the time of that (docs/adr/0014).

static int32_t meter_limit;

static void meter_begin(uint64_t limit) {
  meter_limit = limit > INT32_MAX ? INT32_MAX : limit < 1 ? 1 : (int32_t)limit;
  js->interrupt_counter = meter_limit;
}

static uint32_t meter_spent(void) { return meter_limit - js->interrupt_counter; }

/* Also true if the script, or a function of QuickJS, has dropped the exception. */
static bool meter_is_exhausted(void) { return js->interrupt_counter <= 0; }
