// Code as HTML, highlighted when it is built: pages run no script.

import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import css from "highlight.js/lib/languages/css";
import dockerfile from "highlight.js/lib/languages/dockerfile";
import ini from "highlight.js/lib/languages/ini";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import nginx from "highlight.js/lib/languages/nginx";
import rust from "highlight.js/lib/languages/rust";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";

import { escaped } from "./markdown.mjs";

const LANGUAGES = { bash, css, dockerfile, ini, javascript, json, nginx, rust, typescript, xml, yaml };
for (const [name, language] of Object.entries(LANGUAGES)) hljs.registerLanguage(name, language);
const NAMES = { js: "javascript", mjs: "javascript", ts: "typescript", sh: "bash", html: "xml", rs: "rust", yml: "yaml", toml: "ini" };

/** `language` as behind the fence of a block, or as a file's name ends. An unknown one is shown as it is. */
export function highlighted(code, language = "") {
  const name = NAMES[language] ?? language;
  return hljs.getLanguage(name) ? hljs.highlight(code, { language: name }).value : escaped(code);
}
