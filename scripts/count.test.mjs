// The counting of tests in the output of both runners.

import assert from "node:assert/strict";
import { test } from "node:test";

import { countCargo, countNode, countNone, countOne, failures, reports, stepCounts } from "./count.mjs";

const CARGO = `
running 3 tests
test wire::tests::no_damage_panics ... ok
test room::tests::a_throw_has_no_effect ... FAILED
test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s

     Running tests/sessions.rs
test result: \u001b[32mok\u001b[0m. 40 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 2.31s

   Doc-tests chorus_core
test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
`;
const SPEC = "✔ one (3ms)\n✖ two (1ms)\nℹ tests 2\nℹ suites 0\nℹ pass 1\nℹ fail 1\nℹ cancelled 0\nℹ skipped 0\n\n✖ failing tests:\n✖ two (1ms)\n";
const TAP = "TAP version 13\nok 1 - one\n1..1\n# tests 1\n# suites 0\n# pass 1\n# fail 0\n# cancelled 2\n# skipped 0\n# duration_ms 3\n";

test("cargo's binaries are summed", () => {
  assert.deepEqual(countCargo(CARGO), { passed: 42, failed: 1 });
  assert.deepEqual(failures(CARGO), ["test room::tests::a_throw_has_no_effect ... FAILED"]);
});

test("what cargo's failed tests printed is found, without a backtrace", () => {
  const printed = `
failures:

---- players::a_kick stdout ----

thread 'players::a_kick' (7) panicked at monitor/tests/players.rs:172:5:
assertion \`left == right\` failed
  left: 1
 right: 2
stack backtrace:
   0: rust_begin_unwind

---- players::a_ban stdout ----
Error: "no answer"

failures:
    players::a_kick
    players::a_ban

test result: FAILED. 2 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
`;
  const assertion = ["thread 'players::a_kick' (7) panicked at monitor/tests/players.rs:172:5:", "assertion `left == right` failed", "  left: 1", " right: 2"];
  assert.deepEqual(reports(`${printed}${CARGO}`), [["players::a_kick", ...assertion], ["players::a_ban", 'Error: "no answer"']]);
  assert.deepEqual(reports(CARGO), []);
});

test("Node's summary is read in both of its forms, and a cancelled test has failed", () => {
  assert.deepEqual(countNode(SPEC), { passed: 1, failed: 1 });
  assert.deepEqual(countNode(TAP), { passed: 1, failed: 2 });
  assert.deepEqual(failures(SPEC), ["✖ two (1ms)"]);
});

test("the output of a test is not mistaken for the summary", () => {
  assert.deepEqual(countNode(`# pass 99\n${TAP}`), { passed: 1, failed: 2 });
});

test("a runner that failed counts as failed, also when it printed that all passed", () => {
  assert.deepEqual(stepCounts({ count: countCargo }, ["error: could not compile `chorus`"], 101), { passed: 0, failed: 1 });
  assert.deepEqual(stepCounts({ count: countCargo }, [CARGO], 101), { passed: 42, failed: 1 });
  assert.deepEqual(stepCounts({ count: countNone }, [""], 1), { passed: 0, failed: 1 });
});

test("the runs of a step are summed, and one that could not begin has failed", () => {
  assert.deepEqual(stepCounts({ count: countNode }, [TAP, SPEC], 1), { passed: 2, failed: 3 });
  assert.deepEqual(stepCounts({ count: countNode }, ["chromium is installed", "# pass 2\n# fail 0\n"], 0), { passed: 2, failed: 0 });
  assert.deepEqual(stepCounts({ count: countOne }, [], 1), { passed: 0, failed: 1 });
});

test("a runner that ran nothing has failed, a step that is none has not", () => {
  assert.deepEqual(stepCounts({ count: countNode }, ["# pass 0\n# fail 0\n"], 0), { passed: 0, failed: 1 });
  assert.deepEqual(stepCounts({ count: countNone }, [""], 0), { passed: 0, failed: 0 });
});

test("a program that is one test", () => {
  assert.deepEqual(stepCounts({ count: countOne }, [""], 0), { passed: 1, failed: 0 });
  assert.deepEqual(stepCounts({ count: countOne }, [""], 1), { passed: 0, failed: 1 });
});
