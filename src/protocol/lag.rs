//! Lag.
