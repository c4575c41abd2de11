//! Which components are accepted and which are refused; the cache of compiled components.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use chorus_core::ids::Digest;
use chorus_host::guest::{
    Component, Engine, LoadError, Misfit, Options,
    parts::{self, Uncharged},
};

use crate::support::guests::{Built, all, built, engine};

#[tokio::test]
async fn an_import_that_is_not_on_the_list_is_refused_by_name() {
    let imports = [
        ("wasi:sockets/tcp@0.2.0", r#"(component (import "wasi:sockets/tcp@0.2.0" (instance)))"#),
        ("wasi:http/outgoing-handler@0.2.0", r#"(component (import "wasi:http/outgoing-handler@0.2.0" (instance)))"#),
        ("wasi:cli/stdin@0.3.0", r#"(component (import "wasi:cli/stdin@0.3.0" (instance)))"#),
        ("acme:secrets/vault@1.0.0", r#"(component (import "acme:secrets/vault@1.0.0" (instance)))"#),
        ("log", r#"(component (import "log" (func (param "text" string))))"#),
    ];
    for (name, text) in imports {
        match load_text(text).await {
            Err(LoadError::Import(refused)) => assert_eq!(refused, name),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_function_that_a_listed_interface_has_not_is_refused_by_name() {
    let text = r#"(component (import "wasi:cli/environment@0.2.0" (instance (export "set-everything" (func)))))"#;
    let why = misfit(text).await;
    assert!(why.contains("set-everything"), "{why}");
}

#[tokio::test]
async fn a_component_that_could_do_what_nothing_charges_is_refused_by_what_that_is() {
    let coded = r#"(component $coded
        (core module $m (func (export "f") (result i32) i32.const 1))
        (core instance $i (instantiate $m))
        (func (export "f") (result u32) (canon lift (core func $i "f"))))"#;
    let stub = r#"(component $stub
        (core module $m (memory 0) (func (export "f") (result i32) unreachable))
        (core instance $i (instantiate $m))
        (func (export "f") (result u32) (canon lift (core func $i "f"))))"#;
    let remembers = "(component $remembers (core module $m (memory 1)) (core instance (instantiate $m)))";
    let twice =
        format!("{coded} (component $both {coded} (instance (instantiate $coded)) (instance (instantiate $coded)))");
    let cases = [
        ("(type $r (resource (rep i32)))".into(), Uncharged::Resource),
        ("(type $r (resource (rep i32))) (core func (canon resource.new $r))".into(), Uncharged::Resource),
        (format!("(component (type $r (resource (rep i32)))) {coded}"), Uncharged::Resource),
        (format!("{coded} (instance (instantiate $coded)) (instance (instantiate $coded))"), Uncharged::Nested(2)),
        (
            format!("{coded} {remembers} (instance (instantiate $coded)) (instance (instantiate $remembers))"),
            Uncharged::Nested(2),
        ),
        (
            format!("(core module (func (drop (i32.const 1)))) {coded} (instance (instantiate $coded))"),
            Uncharged::Nested(2),
        ),
        (format!("{twice} (instance (instantiate $both)) (instance (instantiate $both))"), Uncharged::Nested(4)),
        ("(core module $m) (component (alias outer $top $m (core module $n)))".into(), Uncharged::HandsOn),
        ("(component (component $c) (export \"c\" (component $c)))".into(), Uncharged::HandsOn),
    ];
    for (parts, wanted) in cases {
        let loaded = load_text(&format!("(component $top {parts})")).await;
        assert!(matches!(&loaded, Err(LoadError::Uncharged(is)) if *is == wanted), "{parts}: {loaded:?}");
    }
    // One with code and stubs beside it is what a script is: it only lacks the contract's functions.
    let one = format!("(component {coded} {stub} (instance (instantiate $coded)) (instance (instantiate $stub)))");
    let loaded = load_text(&one).await;
    assert!(matches!(loaded, Err(LoadError::Contract(_))), "{loaded:?}");
}

#[test]
fn every_built_guest_is_made_of_what_it_may_be() {
    let guests = all();
    assert!(guests.len() > 20, "{guests:?}");
    for guest in guests {
        assert_eq!(parts::check(&built(&guest).wasm), Ok(()), "{guest}");
    }
}

#[tokio::test]
async fn what_does_not_fit_the_contract_is_refused_by_the_name_of_what_is_missing() {
    let why = misfit("(component)").await;
    assert!(why.contains("`call`"), "{why}");
    let other_type = r#"(component
        (core module $m (func (export "describe") (result i32) i32.const 1))
        (core instance $i (instantiate $m))
        (func (export "describe") (result u32) (canon lift (core func $i "describe")))
        (func (export "call") (result u32) (canon lift (core func $i "describe")))
    )"#;
    let why = misfit(other_type).await;
    assert!(why.contains("`call`"), "{why}");
}

#[tokio::test]
async fn a_component_of_another_version_of_the_contract_is_refused_by_that_version() {
    let text = r#"(component (import "chorus:room/types@1.0.0" (instance
        (type $record (record
            (field "state-version" u32) (field "config" string) (field "timers" (list string)) (field "messages" (list string))))
        (export "manifest" (type (eq $record))))))"#;
    let Err(LoadError::Contract(why)) = load_text(text).await else { panic!("it is of version 1") };
    assert_eq!(why, Misfit::Version { found: "1.0.0".into(), wanted: "3.0.0" });
    assert!(why.to_string().contains("version 1.0.0 of it, and this host has version 3.0.0"), "{why}");
}

#[tokio::test]
async fn bytes_that_are_no_component_are_refused() {
    let module = wat::parse_str("(module)").unwrap();
    for bytes in [&b""[..], b"garbage", b"\0asm", &module, &built("echo").wasm[..1000]] {
        let loaded = engine().load(Digest::of(bytes), bytes).await;
        assert!(matches!(loaded, Err(LoadError::Compile(_))), "{loaded:?}");
    }
}

#[tokio::test]
async fn bytes_under_another_digest_are_refused() {
    let Built { wasm, digest } = built("echo");
    let wrong = engine().load(Digest::of(b"another"), &wasm).await;
    assert!(matches!(wrong, Err(LoadError::Digest(is)) if is == digest), "{wrong:?}");
}

#[tokio::test]
async fn a_compiled_component_is_taken_from_the_cache_and_what_is_damaged_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let file = load_echo(dir.path()).await;
    let made = identity(&file);
    load_echo(dir.path()).await;
    assert_eq!(identity(&file), made, "the second load has compiled nothing");

    let good = fs::read(&file).unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let damaged = [
        ("empty", vec![]),
        ("cut in its header", good[..40].to_vec()),
        ("cut", good[..good.len() - 1].to_vec()),
        ("longer", [&good[..], b"x"].concat()),
        ("foreign", b"#!/bin/sh\n".repeat(100)),
        ("another engine's", flipped(20)),
        ("of another length", flipped(48)),
        ("with another hash", flipped(60)),
        ("damaged at its end", flipped(good.len() - 1)),
    ];
    for (how, bytes) in damaged {
        fs::write(&file, &bytes).unwrap();
        load_echo(dir.path()).await;
        assert!(fs::read(&file).unwrap() == good, "{how}: it was made anew, the same");
    }
}

#[tokio::test]
async fn compiled_functions_that_are_damaged_are_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let file = load_echo(dir.path()).await;
    let functions = dir.path().join("functions");
    let mut bytes = fs::read(&functions).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&functions, &bytes).unwrap();
    fs::remove_file(&file).unwrap();
    load_echo(dir.path()).await;
    assert!(fs::read(&functions).unwrap() != bytes);
    let readable_by = fs::metadata(&file).unwrap().mode() & 0o777;
    assert_eq!(readable_by, 0o600, "it is run as native code: nobody else may write it, or needs to read it");
}

/// How the component differs from the contract.
async fn misfit(text: &str) -> String {
    match load_text(text).await {
        Err(LoadError::Contract(Misfit::Function(why))) => why,
        other => panic!("it fits, or differs in its version: {other:?}"),
    }
}

async fn load_text(text: &str) -> Result<Component, LoadError> {
    let wasm = wat::parse_str(text).expect("it is a component");
    engine().load(Digest::of(&wasm), &wasm).await
}

/// Loads `echo` by a new engine with this cache. Returns the file of the compiled component.
async fn load_echo(cache: &Path) -> PathBuf {
    let engine = Engine::new(Options { max_instances: 2, ..Options::new(cache) }).unwrap();
    let Built { digest, wasm } = built("echo");
    let component = engine.load(digest, &wasm).await.unwrap();
    assert!(component.manifest().messages.contains("echo"));
    cache.join(format!("{digest}.cwasm"))
}

/// A file that replaces another one has another identity.
fn identity(file: &Path) -> u64 {
    fs::metadata(file).unwrap().ino()
}
