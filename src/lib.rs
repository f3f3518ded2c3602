//! Rebuild a live DynamoDB table under a new layout without downtime.

pub mod aws;
pub mod cli;
pub mod config;
pub mod engine;
pub mod model;
pub mod plan;
pub mod ports;
pub mod protocol;
pub mod runtime;
pub mod telemetry;
