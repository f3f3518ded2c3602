//! The `shadowtable` command.
fn main() {}
