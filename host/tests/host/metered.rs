//! A guest's calls of its host are metered like its own instructions: by counts, which are the same on every machine.
//!
//! Each case is a component written by hand, whose `call` with a message does one thing without end.

use chorus_core::{command::Fault, ids::Digest};
use chorus_host::guest::budget;
use serde_json::json;

use crate::{
    replay::rebuilds_everywhere,
    support::{
        ANA, guests,
        stage::{ROOM, Stage},
    },
};

#[tokio::test]
async fn calls_of_host_functions_without_end_are_too_much() {
    let cases = [
        ("random-u64", "(drop (call $random-u64))"),
        ("no-random-bytes", "(call $random-bytes (i64.const 0) (i32.const 16))"),
        ("insecure-u64", "(drop (call $insecure-u64))"),
        ("wall-clock", "(call $wall-now (i32.const 16))"),
        ("monotonic-clock", "(drop (call $monotonic-now))"),
        ("environment", "(call $environment (i32.const 16))"),
        ("directories", "(call $directories (i32.const 16))"),
        ("stdout", "(call $drop-stream (call $stdout))"),
        ("check-write", "(call $check-write (local.get $stream) (i32.const 16))"),
        ("write-nothing", "(call $write (local.get $stream) (i32.const 0) (i32.const 0) (i32.const 16))"),
        ("subscribe", "(call $drop-pollable (call $subscribe (local.get $stream)))"),
        ("ready", "(drop (call $ready (local.get $pollable)))"),
        ("poll", "(call $poll (i32.const 32) (i32.const 1) (i32.const 16))"),
    ];
    for (name, body) in cases {
        assert_eq!(pays(name, body).await, "more than 10000 calls of host functions in one record", "{name}");
    }
}

#[tokio::test]
async fn bytes_of_host_functions_without_end_are_too_much() {
    let cases = [
        ("random-bytes", "(call $random-bytes (i64.const 65536) (i32.const 16))"),
        ("write", "(call $write (local.get $stream) (i32.const 65536) (i32.const 65536) (i32.const 16))"),
        // As many handles as fit in memory; all of them are the first one.
        (
            "poll-many",
            "(if (i32.eqz (local.get $turn)) (then (loop $fill
                (i32.store (i32.add (i32.const 131072) (i32.mul (local.get $turn) (i32.const 4))) (local.get $pollable))
                (local.set $turn (i32.add (local.get $turn) (i32.const 1)))
                (br_if $fill (i32.lt_u (local.get $turn) (i32.const 90000))))))
            (call $poll (i32.const 131072) (i32.const 90000) (i32.const 16))",
        ),
    ];
    for (name, body) in cases {
        assert_eq!(
            pays(name, body).await,
            "more than 1048576 bytes to and from host functions in one record",
            "{name}"
        );
    }
}

#[tokio::test]
async fn what_a_guest_may_ask_is_asked_anew_in_each_call() {
    let body = format!("{LIMITED} (drop (call $random-u64))");
    let name = load("many-calls", &body.replace("$limit", &(budget::MAX_HOST_CALLS - 2).to_string())).await;
    let mut stage = Stage::with(&name, json!({}), &[ANA]).await;
    for _ in 0..3 {
        stage.send(ANA, "go", json!(null)).await.reply();
        let (calls, bytes) = stage.runner.own_instance().unwrap().host_calls();
        // The stream and its pollable, and those of the loop.
        assert_eq!((calls, bytes), (budget::MAX_HOST_CALLS, 0));
    }
}

#[tokio::test]
async fn an_instruction_that_calls_into_the_runtime_costs_what_that_takes() {
    let cases = [
        ("memory-grow", "(drop (memory.grow (i32.const 0)))", 255),
        ("table-grow", "(drop (table.grow $table (ref.null func) (i32.const 0)))", 255),
        ("table-init", "(table.init $table $elements (i32.const 0) (i32.const 0) (i32.const 0))", 255),
        ("ref-func", "(drop (ref.func $f))", 64),
        ("memory-fill", "(memory.fill (i32.const 65536) (i32.const 0) (i32.const 4096))", 4096),
        ("memory-copy", "(memory.copy (i32.const 65536) (i32.const 131072) (i32.const 4096))", 4096),
        ("memory-init", "(memory.init $data (i32.const 65536) (i32.const 0) (i32.const 64))", 64),
        ("table-fill", "(table.fill $table (i32.const 0) (ref.null func) (i32.const 64))", 64),
        ("table-copy", "(table.copy $table $table (i32.const 0) (i32.const 0) (i32.const 64))", 64),
    ];
    for (name, body, least) in cases {
        let limited = format!("{LIMITED} {body}").replace("$limit", "1000");
        let name = load(name, &limited).await;
        let mut stage = Stage::with(&name, json!({}), &[ANA]).await;
        stage.send(ANA, "go", json!(null)).await.reply();
        let fuel = stage.fuel;
        assert!(fuel >= 1000 * least, "{name}: {fuel} units for 1000 of them");
    }
}

#[tokio::test]
async fn scripts_ask_little_of_their_host() {
    let cases = [
        ("echo", "echo", json!({ "text": "hello" })),
        ("chance-and-time", "draw", json!(null)),
        ("chance-and-time", "deal", json!(null)),
        ("console", "levels", json!(null)),
        ("big-state", "read", json!(3)),
    ];
    for (kind, message, data) in cases {
        let mut stage = Stage::with(kind, json!({ "cells": 100 }), &[ANA]).await;
        stage.send(ANA, message, data).await.reply();
        let (calls, bytes) = stage.runner.own_instance().unwrap().host_calls();
        assert!(
            calls * 100 <= budget::MAX_HOST_CALLS && bytes * 1_000 <= budget::MAX_HOST_BYTES,
            "{kind}: {calls} {bytes}"
        );
    }
}

/// Leaves the loop after so many turns.
const LIMITED: &str = "(br_if $done (i32.ge_u (local.get $turn) (i32.const $limit)))
    (local.set $turn (i32.add (local.get $turn) (i32.const 1)))";

/// The text of the fault that a message causes.
async fn pays(name: &str, body: &str) -> String {
    let name = load(name, body).await;
    let mut stage = Stage::with(&name, json!({}), &[ANA]).await;
    let out = stage.send(ANA, "go", json!(null)).await;
    let Some(Fault::TooMuch(words)) = out.fault() else { panic!("{name}: {out:?}") };
    rebuilds_everywhere(ROOM, &stage.log, &[&name]).await;
    words.into()
}

/// Loads a component whose `call` with a message runs `body` again and again.
async fn load(name: &str, body: &str) -> String {
    let name = format!("metered-{name}");
    let wasm = wat::parse_str(COMPONENT.replace("$BODY", body)).unwrap_or_else(|error| panic!("{name}: {error}"));
    guests::insert(&name, Digest::of(&wasm), &wasm).await;
    name
}

/// The contract, and the imports. It distinguishes entries by their tags.
pub const COMPONENT: &str = include_str!("support/metered.wat");
