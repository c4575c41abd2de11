// TypeScript of a project's tests: types become blanks, so that each place stays the author's, and what is more than types is compiled.

import assert from "node:assert/strict";
import { test } from "node:test";

import { javascriptOf, SOURCE_MAP } from "../../../guests/build/typescript.mjs";

const words = (line) => line.trim().replace(/ +/g, " ");
const of = (text) => javascriptOf(text, "/somewhere/a.test.ts");

test("types are blanks: each line and column stays", () => {
  for (const [given, expected] of [
    ["const a: number = 1, b = a as unknown as string, c = b!.length satisfies number;", "const a         = 1, b = a                     , c = b .length                 ;"],
    ["interface X { a?: 1 }\ntype Y = X | null;\nexport type { X };\nlet a = 1\nexport type Z = Y;\nlet b = 2", "\n\n\nlet a = 1\n\nlet b = 2"],
    ["import type { A } from './a.ts';\nimport { b, type C } from './b.ts';\nb;", "\nimport { b,        } from './b.ts';\nb;"],
    ["function f<T>(this: void, a: T, b?: Set<T>): a is T { return true; }", "function f   (            a   , b         )         { return true; }"],
    ["abstract class A<T> extends Map<T, T> implements B, C { private readonly x!: T; y?: 1; abstract z(): void; static override n = 1; [key: string]: any; }", "         class A    extends Map                         {                  x    ; y    ;                      static          n = 1;                     }"],
    ["const f = async <T,>(x: T): Promise<T> => (<T>x);\nnew Map<string, number>();", "const f = async     (x   )             => (   x);\nnew Map                ();"],
    ["function f(a: string): void;\nfunction f(a: any) {}\ndeclare const g: number;\ntry {} catch (e: unknown) {}", "\nfunction f(a     ) {}\n\ntry {} catch (e         ) {}"],
  ]) {
    const made = of(given);
    assert.equal(made.length, given.length);
    assert.ok([...made].every((char, at) => /\s/.test(char) || char === given[at]), made);
    assert.deepEqual(made.split("\n").map(words), expected.split("\n").map(words));
  }
});

test("what is more than types is compiled, with a source map", () => {
  for (const given of ["enum Side { left }\nSide.left;", "class A { constructor(private x: number) {} }", "import { OnlyAType } from './a.ts';\nlet a: OnlyAType;", "const f = (a: number): {\n  b: number } => ({ b: a });"]) {
    assert.ok(of(given).includes(SOURCE_MAP), given);
  }
});

test("a blank that would join two statements is none", () => {
  const made = of("let a = 1\ntype X = 2\n(globalThis as any).b = a");
  assert.match(made, /let a = 1;\n\(?globalThis\)?\.b = a/);
});

test("a mistake is named with its place", () => {
  assert.throws(() => of("let a = 1;\nlet b: = 2;\n"), ({ name, message }) => name === "SyntaxError" && /a\.test\.ts:2:8/.test(message));
});
