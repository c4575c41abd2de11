//! The embedded log: the shared suite, and the tests that need files: crashes, damage, locks, bounds, copies.

mod bounds;
mod copies;
mod crashes;
mod damage;
mod files;
mod opening;
#[path = "../suite/mod.rs"]
mod suite;

use chorus_bus::{
    Durability,
    embedded::{self, Options},
};
use chorus_testing::soon;
use files::Files;
use suite::*;

mod background {
    use super::*;

    async fn place() -> Option<Files> {
        Some(Files::new(Durability::Background))
    }
    suite!(place);
}

mod always {
    use super::*;

    async fn place() -> Option<Files> {
        Some(Files::new(Durability::Always))
    }
    suite!(place);
}

// On disk and in memory.

#[tokio::test]
async fn a_reader_passes_from_disk_to_memory_and_back_without_a_gap() {
    let files = Files::new(Durability::Background);
    // A window that holds only the newest few.
    let options = Options { tail_bytes: 500, ..files.options() };
    let bus = embedded::open(options).await.unwrap();
    append_all(&bus, 0..1000).await;
    let mut reader = bus.read(of(&bus, ROOM), 0);
    let mut read = read(&mut reader, 1000).await;
    for n in 1000..1300 {
        append_all(&bus, n..n + 1).await;
        // Every seventh time it has caught up; in between it falls behind the window.
        if n % 7 == 0 {
            while read.len() as u64 <= n {
                soon(reader.next(&mut read)).await.unwrap();
            }
        }
    }
    while read.len() < 1300 {
        soon(reader.next(&mut read)).await.unwrap();
    }
    assert!(read.iter().map(|(offset, record)| (*offset, number(record))).eq((0..1300).map(|n| (n, n))));
}
