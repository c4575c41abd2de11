// Figures and tables as Markdown. Pure.

/** Three digits, with separated thousands. */
export function short(value) {
  if (!Number.isFinite(value)) return "–";
  if (value >= 1000) return Math.round(value).toLocaleString("en-US");
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
}

/** A median with its spread: `50.1 (48.9–53.0)`. */
export function spreadText({ median, least, most, count }, unit = "") {
  const of = unit ? `${short(median)} ${unit}` : short(median);
  return count > 1 ? `${of} (${short(least)}–${short(most)})` : of;
}

export function markdown(head, rows) {
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** `less`: a smaller value is better. */
export function verdict(value, reach, aim, less) {
  const within = (target) => (less ? value <= target : value >= target);
  if (!Number.isFinite(value)) return "not measured";
  return within(aim) ? "aim reached" : within(reach) ? "reached" : "**not reached**";
}
