// The anchors of headings in Markdown, as GitHub makes them: for the check of links and for the site.

/** The anchor of a heading with this text, before it is told apart from others of the page. */
export function anchorOf(heading) {
  return heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");
}

/** The anchors of a page, in order. */
export function anchorsIn(text) {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => anchorOf(heading));
}
