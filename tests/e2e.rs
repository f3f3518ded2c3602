//! The end-to-end cases on the embedded endpoint, in this process.
//!
//! Most of a case is waiting for a process, so more threads than processors pay off:
//! `cargo test --test e2e -- --test-threads=8`.

// All of it is test code, which `clippy.toml` judges by itself.
#[cfg(test)]
#[macro_use]
mod cases;
#[cfg(test)]
#[path = "support/endpoint/embedded.rs"]
mod embedded;
#[cfg(test)]
#[cfg(feature = "prometheus")]
mod prometheus;
#[cfg(test)]
mod support;
#[cfg(test)]
#[cfg(feature = "prometheus")]
#[path = "support/watched.rs"]
mod watched;

for_each_case!(crate::embedded::start);
