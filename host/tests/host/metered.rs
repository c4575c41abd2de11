//! What a guest asks of its host is metered like its own instructions: by counts, which are the same on every machine.
//!
//! Each case is a component written by hand, whose `handle` of a message does one thing without end.

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
        assert_eq!(pays(name, body).await, "more than 100000 calls of host functions in one record", "{name}");
    }
}

#[tokio::test]
async fn bytes_of_host_functions_without_end_are_too_much() {
    let cases = [
        ("random-bytes", "(call $random-bytes (i64.const 65536) (i32.const 16))"),
        ("write", "(call $write (local.get $stream) (i32.const 65536) (i32.const 65536) (i32.const 16))"),
        // As many handles as there is memory for; all of them are the first.
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
            "more than 4194304 bytes to and from host functions in one record",
            "{name}"
        );
    }
}

#[tokio::test]
async fn what_a_guest_may_ask_is_asked_anew_in_each_call() {
    let body = format!("{LIMITED} (drop (call $random-u64))");
    let name = load("many-calls", &body.replace("$limit", &(budget::HOST_CALLS - 2).to_string())).await;
    let mut stage = Stage::with(&name, json!({}), &[ANA]).await;
    for _ in 0..3 {
        stage.say(ANA, "go", json!(null)).await.reply();
        let (calls, bytes) = stage.instance.as_ref().unwrap().host_calls();
        // The stream and its pollable, and those of the loop.
        assert_eq!((calls, bytes), (budget::HOST_CALLS, 0));
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
        stage.say(ANA, "go", json!(null)).await.reply();
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
        stage.say(ANA, message, data).await.reply();
        let (calls, bytes) = stage.instance.as_ref().unwrap().host_calls();
        assert!(calls * 1_000 <= budget::HOST_CALLS && bytes * 1_000 <= budget::HOST_BYTES, "{kind}: {calls} {bytes}");
    }
}

/// Leaves the loop after so many turns.
const LIMITED: &str = "(br_if $done (i32.ge_u (local.get $turn) (i32.const $limit)))
    (local.set $turn (i32.add (local.get $turn) (i32.const 1)))";

/// The words of the fault that a message is.
async fn pays(name: &str, body: &str) -> String {
    let name = load(name, body).await;
    let mut stage = Stage::with(&name, json!({}), &[ANA]).await;
    let out = stage.say(ANA, "go", json!(null)).await;
    let Some(Fault::TooMuch(words)) = out.fault() else { panic!("{name}: {out:?}") };
    rebuilds_everywhere(ROOM, &stage.log, &[&name]).await;
    words.into()
}

/// A component whose answer to a message is `body`, again and again.
async fn load(name: &str, body: &str) -> String {
    let name = format!("metered-{name}");
    let wasm = wat::parse_str(COMPONENT.replace("$BODY", body)).unwrap_or_else(|error| panic!("{name}: {error}"));
    guests::insert(&name, Digest::of(&wasm), &wasm).await;
    name
}

/// The contract, and what can be imported. Every text that it is given is written to one place; it tells a message from a
/// join by the length of the word.
const COMPONENT: &str = r#"(component $component
    (import "chorus:room/types@1.0.0" (instance $types
        (type $record (record
            (field "state-version" u32) (field "config" string) (field "timers" (list string)) (field "messages" (list string))))
        (export "manifest" (type (eq $record)))
    ))
    (alias export $types "manifest" (type $manifest))
    (import "wasi:random/random@0.2.0" (instance $random
        (export "get-random-bytes" (func (param "len" u64) (result (list u8))))
        (export "get-random-u64" (func (result u64)))
    ))
    (import "wasi:random/insecure@0.2.0" (instance $insecure
        (export "get-insecure-random-u64" (func (result u64)))
    ))
    (import "wasi:clocks/wall-clock@0.2.0" (instance $wall
        (type $record (record (field "seconds" u64) (field "nanoseconds" u32)))
        (export "datetime" (type $datetime (eq $record)))
        (export "now" (func (result $datetime)))
    ))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $monotonic
        (export "now" (func (result u64)))
    ))
    (import "wasi:cli/environment@0.2.0" (instance $environment
        (export "get-environment" (func (result (list (tuple string string)))))
    ))
    (import "wasi:filesystem/types@0.2.0" (instance $files
        (export "descriptor" (type (sub resource)))
    ))
    (alias export $files "descriptor" (type $descriptor))
    (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
        (alias outer $component $descriptor (type $outer))
        (export "descriptor" (type $descriptor (eq $outer)))
        (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))
    ))
    (import "wasi:io/error@0.2.0" (instance $errors
        (export "error" (type (sub resource)))
    ))
    (alias export $errors "error" (type $error))
    (import "wasi:io/poll@0.2.0" (instance $polls
        (export "pollable" (type $pollable (sub resource)))
        (export "[method]pollable.ready" (func (param "self" (borrow $pollable)) (result bool)))
        (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))
    ))
    (alias export $polls "pollable" (type $pollable))
    (import "wasi:io/streams@0.2.0" (instance $streams
        (export "output-stream" (type $stream (sub resource)))
        (alias outer $component $error (type $outer-error))
        (export "error" (type $error (eq $outer-error)))
        (alias outer $component $pollable (type $outer-pollable))
        (export "pollable" (type $pollable (eq $outer-pollable)))
        (type $variant (variant (case "last-operation-failed" (own $error)) (case "closed")))
        (export "stream-error" (type $stream-error (eq $variant)))
        (export "[method]output-stream.check-write"
            (func (param "self" (borrow $stream)) (result (result u64 (error $stream-error)))))
        (export "[method]output-stream.write"
            (func (param "self" (borrow $stream)) (param "contents" (list u8)) (result (result (error $stream-error)))))
        (export "[method]output-stream.subscribe" (func (param "self" (borrow $stream)) (result (own $pollable))))
    ))
    (alias export $streams "output-stream" (type $stream))
    (import "wasi:cli/stdout@0.2.0" (instance $out
        (alias outer $component $stream (type $outer))
        (export "output-stream" (type $stream (eq $outer)))
        (export "get-stdout" (func (result (own $stream))))
    ))

    (core module $libc
        (memory (export "memory") 16)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 524288)))
    (core instance $libc (instantiate $libc))
    (alias core export $libc "memory" (core memory $memory))
    (alias core export $libc "realloc" (core func $realloc))

    (core func $random-bytes (canon lower (func $random "get-random-bytes") (memory $memory) (realloc $realloc)))
    (core func $random-u64 (canon lower (func $random "get-random-u64")))
    (core func $insecure-u64 (canon lower (func $insecure "get-insecure-random-u64")))
    (core func $wall-now (canon lower (func $wall "now") (memory $memory)))
    (core func $monotonic-now (canon lower (func $monotonic "now")))
    (core func $environment (canon lower (func $environment "get-environment") (memory $memory) (realloc $realloc)))
    (core func $directories (canon lower (func $preopens "get-directories") (memory $memory) (realloc $realloc)))
    (core func $ready (canon lower (func $polls "[method]pollable.ready")))
    (core func $poll (canon lower (func $polls "poll") (memory $memory) (realloc $realloc)))
    (core func $check-write (canon lower (func $streams "[method]output-stream.check-write") (memory $memory)))
    (core func $write (canon lower (func $streams "[method]output-stream.write") (memory $memory)))
    (core func $subscribe (canon lower (func $streams "[method]output-stream.subscribe")))
    (core func $stdout (canon lower (func $out "get-stdout")))
    (core func $drop-stream (canon resource.drop $stream))
    (core func $drop-pollable (canon resource.drop $pollable))

    (core module $main
        (import "libc" "memory" (memory 16))
        (import "host" "random-bytes" (func $random-bytes (param i64 i32)))
        (import "host" "random-u64" (func $random-u64 (result i64)))
        (import "host" "insecure-u64" (func $insecure-u64 (result i64)))
        (import "host" "wall-now" (func $wall-now (param i32)))
        (import "host" "monotonic-now" (func $monotonic-now (result i64)))
        (import "host" "environment" (func $environment (param i32)))
        (import "host" "directories" (func $directories (param i32)))
        (import "host" "ready" (func $ready (param i32) (result i32)))
        (import "host" "poll" (func $poll (param i32 i32 i32)))
        (import "host" "check-write" (func $check-write (param i32 i32)))
        (import "host" "write" (func $write (param i32 i32 i32 i32)))
        (import "host" "subscribe" (func $subscribe (param i32) (result i32)))
        (import "host" "stdout" (func $stdout (result i32)))
        (import "host" "drop-stream" (func $drop-stream (param i32)))
        (import "host" "drop-pollable" (func $drop-pollable (param i32)))
        (table $table 100 1000 funcref)
        (elem $elements func $f)
        (elem declare func $f)
        (func $f)
        (data $data "0123456789012345678901234567890123456789012345678901234567890123456789")
        (data (i32.const 1024) "{}")
        (data (i32.const 1032) "go")
        (data (i32.const 1040) "admit\1fplayer")
        (func (export "describe") (result i32)
            ;; Ok; version 1, config {}, no timers, one type of message.
            (i32.store (i32.const 2048) (i32.const 0))
            (i32.store (i32.const 2052) (i32.const 1))
            (i32.store (i32.const 2056) (i32.const 1024)) (i32.store (i32.const 2060) (i32.const 2))
            (i32.store (i32.const 2064) (i32.const 0)) (i32.store (i32.const 2068) (i32.const 0))
            (i32.store (i32.const 2072) (i32.const 2096)) (i32.store (i32.const 2076) (i32.const 1))
            (i32.store (i32.const 2096) (i32.const 1032)) (i32.store (i32.const 2100) (i32.const 2))
            (i32.const 2048))
        (func $text (param i32 i32) (result i32)
            (i32.store (i32.const 2112) (local.get 0)) (i32.store (i32.const 2116) (local.get 1))
            (i32.const 2112))
        (func (export "open") (param i32 i32 i32 i32 i32) (result i32) (call $text (i32.const 0) (i32.const 0)))
        (func (export "save") (result i32) (call $text (i32.const 1024) (i32.const 2)))
        (func (export "handle") (param f64 i32 i32 i32) (param $length i32) (param i32 i32 i32 i32 i32 i32) (result i32)
            (local $stream i32) (local $pollable i32) (local $turn i32)
            (if (i32.eq (local.get $length) (i32.const 4))
                (then (return (call $text (i32.const 1040) (i32.const 12)))))
            (if (i32.ne (local.get $length) (i32.const 7))
                (then (return (call $text (i32.const 0) (i32.const 0)))))
            (local.set $stream (call $stdout))
            (local.set $pollable (call $subscribe (local.get $stream)))
            (i32.store (i32.const 32) (local.get $pollable))
            (block $done (loop $again $BODY (br $again)))
            (call $text (i32.const 0) (i32.const 0)))
    )
    (core instance $main (instantiate $main
        (with "libc" (instance $libc))
        (with "host" (instance
            (export "random-bytes" (func $random-bytes)) (export "random-u64" (func $random-u64))
            (export "insecure-u64" (func $insecure-u64)) (export "wall-now" (func $wall-now))
            (export "monotonic-now" (func $monotonic-now)) (export "environment" (func $environment))
            (export "directories" (func $directories)) (export "ready" (func $ready)) (export "poll" (func $poll))
            (export "check-write" (func $check-write)) (export "write" (func $write))
            (export "subscribe" (func $subscribe)) (export "stdout" (func $stdout))
            (export "drop-stream" (func $drop-stream)) (export "drop-pollable" (func $drop-pollable))
        ))
    ))
    (func (export "describe") (result (result $manifest (error string)))
        (canon lift (core func $main "describe") (memory $memory)))
    (func (export "open") (param "room" string) (param "version" u32) (param "saved" string) (result string)
        (canon lift (core func $main "open") (memory $memory) (realloc $realloc)))
    (func (export "handle") (param "now" f64) (param "chance" string) (param "event" string) (param "who" string)
        (param "what" string) (param "data" string) (result string)
        (canon lift (core func $main "handle") (memory $memory) (realloc $realloc)))
    (func (export "save") (result string) (canon lift (core func $main "save") (memory $memory)))
)"#;
