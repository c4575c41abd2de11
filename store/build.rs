//! Migrations are compiled in: a new file among them is a change, which cargo would not see.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
