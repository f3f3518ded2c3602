//! Rebuild a live DynamoDB table under a new layout without downtime.

pub mod cli;
pub mod config;
pub mod engine;
pub mod model;
pub mod ports;
pub mod protocol;
