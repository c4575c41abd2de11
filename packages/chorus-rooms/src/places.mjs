// Places in an author's files, for the text of an error: `script:1006:45` becomes `counter/index.js:12:5`, by the source map of the
// component. As `host/src/guest/source_map.rs` does it in a server's log.

import { SourceMap } from "node:module";

const BUNDLE = /script:(\d+):(\d+)/;
const SDK = "sdk/";
const parsed = new Map();
/** Maps that are kept parsed: one for each component in a test. */
const KEPT = 16;

/** The text with the author's places. Frames of the SDK are left out if there are others. */
export function readable(text, map) {
  if (!BUNDLE.test(text)) return text;
  const sources = sourcesOf(map);
  const lines = text.split("\n").map((line) => {
    const isFrame = line.trimStart().startsWith("at ");
    const place = placeIn(line, sources);
    return { isFrame, isOwn: place !== undefined && !place.startsWith(SDK), line: place === undefined ? line : line.replace(BUNDLE, place) };
  });
  const hasOwn = lines.some(({ isFrame, isOwn }) => isFrame && isOwn);
  return lines.filter(({ isFrame, isOwn }) => !isFrame || isOwn || !hasOwn).map(({ line }) => line).join("\n");
}

function placeIn(line, sources) {
  const [, row, column] = BUNDLE.exec(line) ?? [];
  if (row === undefined) return undefined;
  const { originalSource, originalLine, originalColumn } = sources.findEntry(Number(row) - 1, Number(column) - 1);
  return originalSource === undefined ? undefined : `${originalSource}:${originalLine + 1}:${originalColumn + 1}`;
}

function sourcesOf(map) {
  if (!parsed.has(map)) {
    if (parsed.size >= KEPT) parsed.clear();
    parsed.set(map, new SourceMap(JSON.parse(map)));
  }
  return parsed.get(map);
}
