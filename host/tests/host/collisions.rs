//! Names and numbers that collide in the hash tables of QuickJS as it comes, and not in those of a room.

use serde_json::{Map, Value, json};

use crate::support::{ANA, stage::Stage};

const NAMES: u32 = 10_000;

/// One message that fills one sort of table, with keys that would collide, and with ordinary ones.
struct Door {
    message: &'static str,
    colliding: Value,
    ordinary: Value,
}

#[tokio::test]
async fn colliding_keys_cost_what_ordinary_ones_do() {
    let mut dear = vec![];
    for Door { message, colliding, ordinary } in doors() {
        let (colliding_fuel, ordinary_fuel) = (fuel(message, &colliding).await, fuel(message, &ordinary).await);
        let figures =
            format!("{message} {:.40}: {colliding_fuel}, and {ordinary_fuel} for ordinary keys", colliding.to_string());
        println!("{figures}");
        if 2 * colliding_fuel > 3 * ordinary_fuel {
            dear.push(figures);
        }
    }
    assert!(dear.is_empty(), "{dear:#?}");
}

async fn fuel(message: &str, data: &Value) -> u64 {
    let mut stage = Stage::with("many-names", json!({}), &[ANA]).await;
    stage.send(ANA, message, data.clone()).await.reply();
    stage.fuel
}

fn doors() -> Vec<Door> {
    let (names, ordinary_names) = (names(263), names(262));
    let (keys, ordinary_keys) = (texts(colliding_keys(1)), texts(random_keys()));
    let (alone, ordinary_alone) = (texts(colliding_keys(2)), texts(random_keys()));
    let low = (1..=NAMES).map(|n| n << 16).collect();
    let door = |message, colliding, ordinary| Door { message, colliding, ordinary };
    vec![
        // The table of atoms.
        door("parse", object(&names), object(&ordinary_names)),
        door("keep", object(&names), object(&ordinary_names)),
        // A table of properties.
        door("parse", object(&keys), object(&ordinary_keys)),
        door("hold", json!(keys), json!(ordinary_keys)),
        // The table of shapes.
        door("parse", objects(&alone), objects(&ordinary_alone)),
        // Maps and Sets: a call's own, and one of the build.
        door("set", json!(names), json!(ordinary_names)),
        door("cache", json!(names), json!(ordinary_names)),
        door("set", json!(colliding_doubles()), json!(random_doubles())),
        // The records of a parse with a reviver.
        door("revive", json!(object(&texts(low)).to_string()), json!(object(&ordinary_keys).to_string())),
    ]
}

fn object(names: &[String]) -> Value {
    names.iter().map(|name| (name.clone(), json!(1))).collect::<Map<_, _>>().into()
}

fn objects(names: &[String]) -> Value {
    names.iter().map(|name| json!({ name: 1 })).collect()
}

fn texts(keys: Vec<u32>) -> Vec<String> {
    keys.into_iter().map(|key| key.to_string()).collect()
}

/// QuickJS hashes a text as its units in a number system to the base of 263: with a `step` of 263, the hash of a pair of units
/// does not depend on its digit.
fn names(step: u32) -> Vec<String> {
    let pair = |digit: u32| [0x4e00 + digit, 0x9000 - step * digit];
    (0..NAMES)
        .map(|n| [n / 1000, n / 100 % 10, n / 10 % 10, n % 10].map(pair))
        .map(|units| text(units.as_flattened()))
        .collect()
}

fn text(units: &[u32]) -> String {
    units.iter().map(|unit| char::from_u32(*unit).unwrap()).collect()
}

/// The factor of QuickJS's hash of an atom, and the number of an integer-like key's atom.
const FACTOR: u32 = 0x61c8_8647;
const INTEGER: u32 = 1 << 31;

/// Keys whose atoms have the same upper bits when multiplied by the factor so many times.
fn colliding_keys(times: u32) -> Vec<u32> {
    let factor = inverse(FACTOR.wrapping_pow(times));
    let atoms = (0..).map(|n: u32| (5 << 17 | n).wrapping_mul(factor));
    let keys: Vec<u32> =
        atoms.filter(|atom| atom & INTEGER != 0).map(|atom| atom & !INTEGER).take(NAMES as usize).collect();
    assert!(keys.iter().all(|key| (key | INTEGER).wrapping_mul(FACTOR.wrapping_pow(times)) >> 17 == 5));
    keys
}

/// The inverse of an odd number, modulo 2³².
fn inverse(odd: u32) -> u32 {
    (0..5).fold(odd, |inverse, _| inverse.wrapping_mul(2u32.wrapping_sub(odd.wrapping_mul(inverse))))
}

/// Ordinary keys, of as many digits.
fn random_keys() -> Vec<u32> {
    random().take(NAMES as usize).map(|word| (word >> 33) as u32).collect()
}

/// Numbers of which the exclusive or of both halves is the same.
fn colliding_doubles() -> Vec<f64> {
    let high = |word: u64| 0x3ff0_0000 | (word >> 44) as u32;
    random().take(NAMES as usize).map(|word| double(high(word), high(word) ^ 0x5555)).collect()
}

fn random_doubles() -> Vec<f64> {
    random().take(NAMES as usize).map(|word| double(0x3ff0_0000 | (word >> 44) as u32, word as u32)).collect()
}

fn double(high: u32, low: u32) -> f64 {
    f64::from_bits(u64::from(high) << 32 | u64::from(low))
}

/// SplitMix64, from a fixed seed.
fn random() -> impl Iterator<Item = u64> {
    (1u64..).map(|n| {
        let mut word = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    })
}
