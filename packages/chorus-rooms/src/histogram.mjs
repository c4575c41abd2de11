// Durations in bounded memory: buckets that are a thirty-second of their power of two wide, so that a percentile is exact to 3 %.

const SUB = 32, POWERS = 32;

export class Histogram {
  #buckets = new Uint32Array(SUB * POWERS);
  count = 0;
  most = 0;

  /** `micros`: a whole number of microseconds, up to an hour. */
  add(micros) {
    this.count += 1;
    this.most = Math.max(this.most, micros);
    this.#buckets[bucketOf(micros)] += 1;
  }

  /** The duration that this share of all stays within, 0 to 1; in microseconds. 0 when there is none. */
  at(share) {
    let left = Math.ceil(this.count * share);
    for (let bucket = 0; bucket < this.#buckets.length; bucket++) {
      left -= this.#buckets[bucket];
      if (left <= 0 && this.count > 0) return Math.min(this.most, topOf(bucket));
    }
    return this.most;
  }
}

function bucketOf(micros) {
  if (micros < SUB) return Math.max(0, Math.floor(micros));
  const power = Math.floor(Math.log2(micros)) - 5;
  return Math.min(SUB * POWERS - 1, SUB * power + Math.floor(micros / 2 ** power));
}

/** The largest duration in a bucket. */
function topOf(bucket) {
  if (bucket < SUB) return bucket;
  const power = Math.floor(bucket / SUB) - 1;
  return (bucket - SUB * power + 1) * 2 ** power - 1;
}
