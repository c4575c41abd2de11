// Checks an author's file before it is bundled, and finds uses of features that a room does not have.
//
// Names are resolved by scope, so a variable called `fetch` and a property `.fetch` are allowed.

import { builtinModules } from "node:module";
import { extname } from "node:path";
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
  const say = (offset, message) => new Mistake(shown, placeOf(code, offset), message);
  if (errors.length > 0) {
    return errors.map(({ message, helpMessage, labels }) => say(labels[0]?.start ?? 0, helpMessage ? `${message}; ${helpMessage}` : message));
  }
  const found = [];
  new Reader((node, message) => found.push([node.start, message])).read(program);
  return found.sort((a, b) => a[0] - b[0]).map(([offset, message]) => say(offset, message));
}

export function parse(code, path) {
  const lang = /^\.[mc]?ts$/.test(extname(path)) ? "ts" : "js";
  return parseSync(path, code, { sourceType: "module", lang });
}

/** The exports of the entry module: the names, and the place of the default export. */
export function exportsOf(code, path) {
  const names = new Set();
  let place = 0;
  for (const node of parse(code, path).program.body) {
    if (node.type === "ExportDefaultDeclaration") {
      names.add("default");
      place = node.start;
    }
    if (node.type === "ExportAllDeclaration") names.add("*");
    if (node.type !== "ExportNamedDeclaration" || node.exportKind === "type") continue;
    for (const { exported } of node.specifiers) names.add(exported.name ?? exported.value);
    const declared = node.declaration ? declaredBy(node.declaration) : [];
    declared.forEach((name) => names.add(name));
  }
  return { names, place };
}

/** The place of the class member of that name (or of a key in one), for errors that only show when the class is evaluated. */
export function placeOfName(code, path, name) {
  let offset = -1;
  const kinds = new Set(["PropertyDefinition", "MethodDefinition", "Property"]);
  const walk = (node) => {
    if (offset < 0 && kinds.has(node.type) && (node.key.name ?? node.key.value) === name) offset = node.start;
    children(node).forEach(walk);
  };
  walk(parse(code, path).program);
  return offset < 0 ? undefined : placeOf(code, offset);
}

/** The place at which a module is imported by this name. */
export function placeOfImport(code, path, name) {
  let offset = -1;
  const walk = (node) => {
    const source = node.source ?? (node.type === "CallExpression" && node.callee.name === "require" ? node.arguments[0] : undefined);
    if (offset < 0 && source?.value === name) offset = source.start;
    children(node).forEach(walk);
  };
  walk(parse(code, path).program);
  return offset < 0 ? undefined : placeOf(code, offset);
}

class Reader {
  #report;
  /** The names that each enclosing scope declares, innermost last. */
  #scopes = [];
  /** The depth in nested functions. At 0 the code runs while the component is built. */
  #depth = 0;

  /** Whether the code is in a class that extends Room, after its constructor: fields set there, except the state, are lost. */
  #inRoom = false;

  constructor(report) { this.#report = report; }

  read(program) {
    this.#inScope(hoisted(program.body), () => program.body.filter(isCode).forEach((node) => this.#visit(node)));
  }

  #visit(node) {
    switch (node.type) {
      case "Identifier": return this.#name(node);
      case "MemberExpression": return this.#member(node);
      case "NewExpression": return this.#new(node);
      case "CallExpression": return this.#call(node);
      // `typeof name` only checks whether the name exists.
      case "UnaryExpression": return node.operator === "typeof" && node.argument.type === "Identifier" || this.#inside(node);
      case "ImportDeclaration": return this.#import(node);
      case "ExportNamedDeclaration": return node.declaration ? this.#inside(node) : node.source && this.#import(node);
      case "ExportAllDeclaration": return this.#import(node);
      case "ImportExpression": return this.#report(node, NO_LOADER);
      case "AwaitExpression": return this.#await(node);
      case "ForOfStatement": if (node.await) this.#await(node); return this.#block(node);
      case "FunctionDeclaration": case "FunctionExpression": case "ArrowFunctionExpression": return this.#function(node);
      case "ClassDeclaration": case "ClassExpression":
        return this.#class(node);
      case "AssignmentExpression": this.#write(node, node.left); return this.#inside(node);
      case "UpdateExpression": this.#write(node, node.argument); return this.#inside(node);
      case "MethodDefinition": return this.#method(node);
      case "PropertyDefinition": case "Property":
        return this.#inside(node, node.computed ? undefined : "key", node.shorthand ? "key" : undefined);
      case "BlockStatement": case "StaticBlock": case "ForStatement": case "ForInStatement": case "SwitchStatement": return this.#block(node);
      case "CatchClause": return this.#inScope(new Set(node.param ? namesIn(node.param) : []), () => this.#inside(node));
      case "LabeledStatement": return this.#visit(node.body);
      case "BreakStatement": case "ContinueStatement": return undefined;
      default: return this.#inside(node);
    }
  }

  #inside(node, ...without) {
    const skipped = without.map((key) => node[key]);
    for (const child of children(node)) if (!skipped.includes(child)) this.#visit(child);
  }

  #inScope(names, work) {
    this.#scopes.push(names);
    work();
    this.#scopes.pop();
  }

  #block(node) {
    const body = Array.isArray(node.body) ? node.body : node.cases?.flatMap(({ consequent }) => consequent) ?? [];
    const names = new Set(body.flatMap((statement) => declaredBy(statement)));
    for (const head of [node.init, node.left]) if (head?.type === "VariableDeclaration") declaredBy(head).forEach((name) => names.add(name));
    this.#inScope(names, () => this.#inside(node));
  }

  #function(node) {
    const body = node.body?.type === "BlockStatement" ? node.body.body : [];
    const names = hoisted(body);
    names.add("arguments");
    if (node.id) names.add(node.id.name);
    node.params.flatMap(namesIn).forEach((name) => names.add(name));
    this.#depth += 1;
    this.#inScope(names, () => this.#inside(node, "id"));
    this.#depth -= 1;
  }

  #class(node) {
    const outer = this.#inRoom;
    this.#inRoom = node.superClass?.name === "Room";
    this.#inScope(new Set(node.id ? [node.id.name] : []), () => this.#inside(node, "id"));
    this.#inRoom = outer;
  }

  #method(node) {
    const outer = this.#inRoom;
    if (node.kind === "constructor") this.#inRoom = false;
    this.#inside(node, node.computed ? undefined : "key");
    this.#inRoom = outer;
  }

  /** Reports writes to private fields, which cannot be intercepted. Writes to other fields are refused at run time. */
  #write(node, target) {
    if (!this.#inRoom || target.type !== "MemberExpression" || target.property.type !== "PrivateIdentifier") return;
    if (target.object.type !== "ThisExpression") return;
    const what = `this.#${target.property.name} is lost when the room is restored`;
    this.#report(node, `${what}; use instead: this.state, which is all that survives`);
  }

  #name(node) {
    const instead = Object.hasOwn(ABSENT, node.name) ? ABSENT[node.name] : undefined;
    if (instead && this.#isGlobal(node.name)) this.#report(node, `a room has no \`${node.name}\`; use instead: ${instead}`);
  }

  #isGlobal(name) { return !this.#scopes.some((names) => names.has(name)); }

  #member(node) {
    // The bundler replaces it with a constant.
    if (isNodeEnv(node) && this.#isGlobal("process")) return undefined;
    if (this.#isGlobalNamed(node.object, "crypto") && node.property.name === "subtle") this.#report(node, `a room has no \`crypto.subtle\`; use instead: ${SUBTLE}`);
    const name = node.computed ? node.property.value : node.property.name;
    if (this.#isGlobalNamed(node.object, "globalThis") && typeof name === "string") return this.#name({ ...node, name });
    this.#visit(node.object);
    if (node.computed) this.#visit(node.property);
  }

  #isGlobalNamed(node, name) { return node.type === "Identifier" && node.name === name && this.#isGlobal(name); }

  #new(node) {
    const now = this.#isGlobalNamed(node.callee, "Date") && node.arguments.length === 0;
    if (now && this.#depth === 0) this.#atBuild(node, "new Date()", "this.now()");
    this.#inside(node);
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
    this.#inside(node);
  }

  #atBuild(node, what, instead) {
    this.#report(node, `${what} at the top level ${AT_BUILD}; use instead: ${instead} in onCreate or a later hook`);
  }

  #await(node) {
    if (this.#depth === 0) this.#report(node, "top-level await: a component is built without waiting; use instead: plain values, or onCreate");
    this.#inside(node);
  }

  #import({ source, importKind, exportKind }) {
    if (importKind === "type" || exportKind === "type") return;
    const name = source.value;
    if (name.startsWith("node:") || (BUILTIN.has(name) && name !== "process/")) {
      this.#report(source, `a room has no Node modules: \`${name}\`; use instead: the SDK, or a package of plain JavaScript`);
    }
  }
}

/** Whether the expression is `process.env.NODE_ENV`. */
function isNodeEnv({ object, property, computed }) {
  const isEnv = object.type === "MemberExpression" && !object.computed && object.property.name === "env" && object.object.name === "process";
  return isEnv && !computed && property.name === "NODE_ENV";
}

/** The child nodes, in order. Types are erased, so they are skipped. */
function children(node) {
  const below = [];
  for (const key in node) {
    if (key === "type") continue;
    for (const child of Array.isArray(node[key]) ? node[key] : [node[key]]) {
      if (child && typeof child.type === "string" && isCode(child)) below.push(child);
    }
  }
  return below;
}

const TYPED_CODE = new Set([
  "TSAsExpression", "TSSatisfiesExpression", "TSNonNullExpression", "TSTypeAssertion", "TSInstantiationExpression",
  "TSEnumDeclaration", "TSEnumBody", "TSEnumMember", "TSParameterProperty", "TSExportAssignment", "TSModuleDeclaration",
  "TSModuleBlock",
]);

function isCode(node) { return !node.type.startsWith("TS") || TYPED_CODE.has(node.type); }

/** Names that statements declare for the whole function: their own declarations, and every `var` inside. */
function hoisted(statements) {
  const names = new Set(statements.flatMap(declaredBy));
  const walk = (node) => {
    if (/Function|^Class/.test(node.type)) return;
    if (node.type === "VariableDeclaration" && node.kind === "var") declaredBy(node).forEach((name) => names.add(name));
    children(node).forEach(walk);
  };
  statements.forEach(walk);
  return names;
}

function declaredBy(node) {
  switch (node.type) {
    case "VariableDeclaration": return node.declarations.flatMap(({ id }) => namesIn(id));
    case "FunctionDeclaration": case "ClassDeclaration": case "TSEnumDeclaration": case "TSModuleDeclaration":
      return node.id?.name ? [node.id.name] : [];
    case "ImportDeclaration": return node.specifiers.map(({ local }) => local.name);
    case "ExportNamedDeclaration": case "ExportDefaultDeclaration": return node.declaration ? declaredBy(node.declaration) : [];
    default: return [];
  }
}

/** The names that a pattern binds. */
function namesIn(pattern) {
  switch (pattern?.type) {
    case "Identifier": return [pattern.name];
    case "ObjectPattern": return pattern.properties.flatMap((it) => namesIn(it.type === "RestElement" ? it.argument : it.value));
    case "ArrayPattern": return pattern.elements.flatMap(namesIn);
    case "AssignmentPattern": return namesIn(pattern.left);
    case "RestElement": return namesIn(pattern.argument);
    case "TSParameterProperty": return namesIn(pattern.parameter);
    default: return [];
  }
}
