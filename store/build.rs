//! Migrations are compiled in: cargo would not notice a new file among them.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
