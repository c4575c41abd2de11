//! `sqlx::migrate!` puts the migrations into the crate: a changed one must build it anew.
fn main() {
    println!("cargo:rerun-if-changed=../migrations/sqlite");
}
