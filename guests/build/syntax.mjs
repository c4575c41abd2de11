// Checks an author's file before it is bundled, and finds uses of features that a room does not have.
//
// Names are resolved by scope, so a variable called `fetch` and a property `.fetch` are allowed.

import { builtinModules } from "node:module";
import { extname } from "node:path";
import { isReferenceIdentifier, ScopeTracker, walk } from "oxc-walker";
import { parseSync } from "rolldown/utils";

import { ABSENT } from "../sdk/absent.js";
import { Mistake, placeOf } from "./error.mjs";

const BUILTIN = new Set(builtinModules);
const NO_LOADER = "a room has no module loader while it runs; use instead: `import` at the top of the file";
const SUBTLE = "a package of plain JavaScript; what must stay secret is no business of a room";
const AT_BUILD = "runs while the component is built, and is the same in every room";

/** The mistakes in one file, in the file's order; `shown` is its path in messages. */
export function mistakesIn(code, path, shown) {
  const { program, errors } = parse(code, path);
  const mistake = (offset, message) => new Mistake(shown, placeOf(code, offset), message);
  if (errors.length > 0) {
    return errors.map(({ message, helpMessage, labels }) => mistake(labels[0]?.start ?? 0, helpMessage ? `${message}; ${helpMessage}` : message));
  }
  const found = [];
  new Reader((node, message) => found.push([node.start, message])).read(program);
  return found.sort((a, b) => a[0] - b[0]).map(([offset, message]) => mistake(offset, message));
}

export function parse(code, path) {
  const lang = /^\.[mc]?ts$/.test(extname(path)) ? "ts" : "js";
  return parseSync(path, code, { sourceType: "module", lang });
}

/** The exports of the entry module: the names, and the place of the default export. `*` stands for all of another module. */
export function exportsOf(code, path) {
  const names = new Set();
  let place = 0;
  for (const { start, entries } of parse(code, path).module.staticExports) {
    for (const { exportName, isType } of entries) {
      if (isType) continue;
      const name = exportName.kind === "Default" ? "default" : (exportName.name ?? "*");
      names.add(name);
      if (name === "default") place = start;
    }
  }
  return { names, place };
}

/** The place of the class member of that name (or of a key in one), for errors that only show when the class is evaluated. */
export function placeOfName(code, path, name) {
  const kinds = new Set(["PropertyDefinition", "MethodDefinition", "Property"]);
  return placeOfFirst(code, path, (node) => (kinds.has(node.type) && (node.key.name ?? node.key.value) === name ? node : undefined));
}

/** The place at which a module is imported by this name. */
export function placeOfImport(code, path, name) {
  return placeOfFirst(code, path, (node) => {
    const source = node.source ?? (node.type === "CallExpression" && node.callee.name === "require" ? node.arguments[0] : undefined);
    return source?.value === name ? source : undefined;
  });
}

/** The place of the first node that `find` returns. */
function placeOfFirst(code, path, find) {
  let offset = -1;
  walk(parse(code, path).program, {
    enter(node) {
      if (!isCode(node)) return this.skip();
      if (offset < 0) offset = find(node)?.start ?? -1;
    },
  });
  return offset < 0 ? undefined : placeOf(code, offset);
}

/** Returned for a node whose children are not visited. */
const SKIP = Symbol("skip");
const FUNCTION = new Set(["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"]);
const CLASS = new Set(["ClassDeclaration", "ClassExpression"]);

class Reader {
  #report;
  /** Declarations are collected first: a name may be used before it is declared. */
  #scopes = new ScopeTracker({ preserveExitedScopes: true });
  /** The depth in nested functions. At 0 the code runs while the component is built. */
  #depth = 0;
  /** For each enclosing class and constructor, whether fields that are set there, except the state, are lost. */
  #inRoom = [];

  constructor(report) { this.#report = report; }

  read(program) {
    walk(program, { scopeTracker: this.#scopes });
    this.#scopes.freeze();
    const reader = this;
    walk(program, {
      scopeTracker: this.#scopes,
      enter(node, parent) {
        if (reader.#enter(node, parent) === SKIP) this.skip();
      },
      leave(node) { reader.#leave(node); },
    });
  }

  #enter(node, parent) {
    if (!isCode(node)) return SKIP;
    if (FUNCTION.has(node.type)) this.#depth += 1;
    if (CLASS.has(node.type)) this.#inRoom.push(node.superClass?.name === "Room");
    if (isConstructor(node)) this.#inRoom.push(false);
    switch (node.type) {
      case "Identifier": return this.#name(node, parent);
      case "MemberExpression": return this.#member(node);
      case "NewExpression": return this.#new(node);
      case "CallExpression": return this.#call(node);
      case "ImportDeclaration": case "ExportAllDeclaration": return this.#import(node);
      case "ExportNamedDeclaration": return node.source ? this.#import(node) : undefined;
      case "ImportExpression": return this.#report(node, NO_LOADER), SKIP;
      case "AwaitExpression": return this.#await(node);
      case "ForOfStatement": return node.await ? this.#await(node) : undefined;
      case "AssignmentExpression": return this.#write(node, node.left);
      case "UpdateExpression": return this.#write(node, node.argument);
      default: return undefined;
    }
  }

  #leave(node) {
    if (FUNCTION.has(node.type)) this.#depth -= 1;
    if (CLASS.has(node.type) || isConstructor(node)) this.#inRoom.pop();
  }

  /** Reports writes to private fields, which cannot be intercepted. Writes to other fields are refused at run time. */
  #write(node, target) {
    if (!this.#inRoom.at(-1) || target.type !== "MemberExpression" || target.property.type !== "PrivateIdentifier") return;
    if (target.object.type !== "ThisExpression") return;
    const what = `this.#${target.property.name} is lost when the room is restored`;
    this.#report(node, `${what}; use instead: this.state, which is all that survives`);
  }

  #name(node, parent) {
    // `typeof name` only checks whether the name exists.
    if (parent.operator !== "typeof" && isReferenceIdentifier(node, parent)) this.#absent(node, node.name);
  }

  #absent(node, name) {
    const instead = Object.hasOwn(ABSENT, name) ? ABSENT[name] : undefined;
    if (instead && this.#isGlobal(name)) this.#report(node, `a room has no \`${name}\`; use instead: ${instead}`);
  }

  #isGlobal(name) { return !this.#scopes.isDeclared(name); }

  #member(node) {
    // The bundler replaces it with a constant.
    if (isNodeEnv(node) && this.#isGlobal("process")) return SKIP;
    if (this.#isGlobalNamed(node.object, "crypto") && node.property.name === "subtle") this.#report(node, `a room has no \`crypto.subtle\`; use instead: ${SUBTLE}`);
    const name = node.computed ? node.property.value : node.property.name;
    if (this.#isGlobalNamed(node.object, "globalThis") && typeof name === "string") this.#absent(node, name);
    return undefined;
  }

  #isGlobalNamed(node, name) { return node.type === "Identifier" && node.name === name && this.#isGlobal(name); }

  #new(node) {
    const now = this.#isGlobalNamed(node.callee, "Date") && node.arguments.length === 0;
    if (now && this.#depth === 0) this.#atBuild(node, "new Date()", "this.now()");
  }

  #call(node) {
    const { callee } = node;
    if (this.#depth === 0 && callee.type === "MemberExpression" && !callee.computed) {
      const is = (object, method) => this.#isGlobalNamed(callee.object, object) && callee.property.name === method;
      if (is("Math", "random")) this.#atBuild(node, "Math.random()", "this.random or Math.random");
      if (is("Date", "now")) this.#atBuild(node, "Date.now()", "this.now()");
      if (is("performance", "now")) this.#atBuild(node, "performance.now()", "this.now()");
    }
    if (this.#depth === 0 && this.#isGlobalNamed(callee, "Date")) this.#atBuild(node, "Date()", "this.now()");
  }

  #atBuild(node, what, instead) {
    this.#report(node, `${what} at the top level ${AT_BUILD}; use instead: ${instead} in onCreate or a later hook`);
  }

  #await(node) {
    if (this.#depth === 0) this.#report(node, "top-level await: a component is built without waiting; use instead: plain values, or onCreate");
  }

  #import({ source, importKind, exportKind }) {
    if (importKind === "type" || exportKind === "type") return SKIP;
    const name = source.value;
    if (name.startsWith("node:") || (BUILTIN.has(name) && name !== "process/")) {
      this.#report(source, `a room has no Node modules: \`${name}\`; use instead: the SDK, or a package of plain JavaScript`);
    }
    return SKIP;
  }
}

function isConstructor({ type, kind }) { return type === "MethodDefinition" && kind === "constructor"; }

/** Whether the expression is `process.env.NODE_ENV`. */
function isNodeEnv({ object, property, computed }) {
  const isEnv = object.type === "MemberExpression" && !object.computed && object.property.name === "env" && object.object.name === "process";
  return isEnv && !computed && property.name === "NODE_ENV";
}

/** Types are erased, so their nodes are skipped; these are not. */
const TYPED_CODE = new Set([
  "TSAsExpression", "TSSatisfiesExpression", "TSNonNullExpression", "TSTypeAssertion", "TSInstantiationExpression",
  "TSEnumDeclaration", "TSEnumBody", "TSEnumMember", "TSParameterProperty", "TSExportAssignment", "TSModuleDeclaration",
  "TSModuleBlock",
]);

function isCode(node) { return !node.type.startsWith("TS") || TYPED_CODE.has(node.type); }
