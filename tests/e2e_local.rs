//! The end-to-end cases on DynamoDB Local, the reference:
//! `DYNAMODB_LOCAL_DIR=$(.ci/dynamodb-local) cargo test --features dynamodb-local --test e2e_local -- --test-threads=8`.

// All of it is test code, which `clippy.toml` judges by itself.
#[cfg(test)]
#[macro_use]
mod cases;
#[cfg(test)]
#[path = "support/endpoint/local.rs"]
mod local;
#[cfg(test)]
mod support;
#[cfg(test)]
#[path = "support/watched.rs"]
mod watched;

for_each_case!(crate::local::start);
