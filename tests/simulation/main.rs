//! Random histories of a migration, and deaths at every call: see `testkit::histories`. `cargo run --release -p testkit
//! --bin simulate` plays many more, and shrinks what fails.
#![cfg(test)]

mod claims;
mod seeds;
mod shrinking;
mod sweep;
