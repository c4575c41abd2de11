// TypeScript as JavaScript for Node. The tests of a project are loaded by it (`packages/chorus-rooms/src/typescript.mjs`).
//
// Types are overwritten with blanks, so that each line and column is the author's in stacks, in the place of a test and in the text of an
// assertion. That is right if the compiler makes the same of both texts, which is looked at each time. Else (an enum, a parameter property, an
// import of nothing but types without the word) the file is compiled, and an inline source map has the author's lines.

import { walk } from "oxc-walker";
import { minifySync, parseSync, transformSync } from "rolldown/utils";

/** The last line of what is compiled begins so. */
export const SOURCE_MAP = "\n//# sourceMappingURL=data:application/json;base64,";
const COLOURS = /\u001b\[[0-9;]*m/g;

export function isTypeScript(file = "") { return /\.m?ts$/.test(file); }

/** The JavaScript of a module. Throws a `SyntaxError` that names the place. */
export function javascriptOf(text, path) {
  const compiled = compile(text, path, "ts");
  if (compiled.errors.length > 0) throw new SyntaxError(compiled.errors.map(wordsOf).join("\n"));
  const blanked = blank(text, path), again = compile(blanked, path, "js");
  if (again.errors.length === 0 && isSame(again.code, compiled.code, path)) return blanked;
  const map = JSON.stringify({ ...compiled.map, sources: [path] });
  return `${compiled.code}${SOURCE_MAP}${Buffer.from(map).toString("base64")}`;
}

function compile(text, path, lang) { return transformSync(path, text, { lang, sourcemap: lang === "ts", target: "es2022" }); }

/** But for comments, which go with the types that they are of, and the mark of a module that exports types alone. */
function isSame(one, other, path) {
  const [plain, expected] = [one, other].map((code) => minifySync(path, code, { compress: false, mangle: false }).code.replace(/export ?\{\};?$/, ""));
  return plain === expected;
}

function wordsOf({ message, codeframe = "" }) { return `${message}\n${codeframe}`.replace(COLOURS, "").trimEnd(); }

const TYPES = new Set(["TSTypeAnnotation", "TSTypeParameterDeclaration", "TSTypeParameterInstantiation"]);
const STATEMENTS = new Set(["TSInterfaceDeclaration", "TSTypeAliasDeclaration", "TSDeclareFunction"]);
const MEMBERS = new Set(["TSIndexSignature", "TSAbstractMethodDefinition", "TSAbstractPropertyDefinition"]);
const MODIFIERS = /\b(public|private|protected|readonly|override|abstract)\b/g;

function blank(text, path) {
  const chars = text.split("");
  const clear = (start, end) => { for (let at = start; at < end; at++) if (!/\s/.test(chars[at])) chars[at] = " "; };
  const clearWords = (start, end) => { for (const { index, 0: word } of text.slice(start, end).matchAll(MODIFIERS)) clear(start + index, start + index + word.length); };
  /** A `?` or `!` from here on. */
  const clearMark = (at) => { const [before, mark] = /^[\s\]]*([?!])?/.exec(text.slice(at)); if (mark) clear(at + before.length - 1, at + before.length); };
  const clearItem = ({ start, end }) => { const [comma] = /^\s*,|/.exec(text.slice(end)); clear(start, end + comma.length); };
  walk(parseSync(path, text, { lang: "ts" }).program, {
    enter(node) {
      const { type, start, end } = node;
      const isStatement = STATEMENTS.has(type) || STATEMENTS.has(node.declaration?.type) || node.declare === true || node.declaration?.declare === true;
      if (isStatement || /^(Import|Export).*Declaration$/.test(type) && (node.importKind === "type" || node.exportKind === "type")) {
        return clear(start, end), this.skip();
      }
      if (TYPES.has(type)) return clear(start, end), this.skip();
      if (MEMBERS.has(type) || (type === "MethodDefinition" && node.value.type === "TSEmptyBodyFunctionExpression")) return clear(start, end), this.skip();
      if (/^TS(As|Satisfies|NonNull|Instantiation)/.test(type)) clear(node.expression.end, end);
      if (type === "TSTypeAssertion") clear(start, node.expression.start);
      if (/^(Import|Export)Specifier$/.test(type) && (node.importKind === "type" || node.exportKind === "type")) clearItem(node);
      if (type === "Identifier" && node.name === "this") return clearItem(node), this.skip();
      if (node.optional === true && type === "Identifier") clearMark(start + node.name.length);
      if (type === "PropertyDefinition" || type === "MethodDefinition") {
        clearWords(start, node.key.start);
        if (node.optional || node.definite) clearMark(node.key.end);
      }
      if (type === "VariableDeclarator" && node.definite) clearMark(start + node.id.name.length);
      if (/^Class(Declaration|Expression)$/.test(type)) {
        clearWords(start, node.id?.start ?? node.body.start);
        const [first] = node.implements ?? [];
        if (first) clear(text.lastIndexOf("implements", first.start), node.body.start);
      }
    },
  });
  return chars.join("");
}
