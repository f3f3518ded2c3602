//! The engine at the size of production, on paused time, against a model of the service's limits.
//!
//! | file | holds |
//! |---|---|
//! | `scenario` | what is tried |
//! | `capacity` | rates, and partitions that split while they are used |
//! | `world` | the tables, the stream and what was seen of them; the application that writes |
//! | `stream` | thousands of shards that roll, and how they are listed and read |
//! | `ports` | all of it behind the program's ports |
//! | `run` | plays a scenario |
//! | `report` | what it came to |
//!
//! **Scaled:** a table has fewer items than it says, so that minutes of the service's time are enough for its copy; the backlog of
//! a day has as few changes. A cold table doubles within minutes rather than half an hour. **Not scaled:** partitions and their
//! rates, shards and their limits, latencies, the size of an item: what decides how many requests are in flight, and what
//! memory they take. **Not modelled:** bursts of over a second, single slow partitions, lost replies and crashes in
//! the middle (the histories have those).

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::unchecked_time_subtraction,
    reason = "figures for people, places in a key space, and a clock that does not go back"
)]

pub mod capacity;
pub mod ports;
pub mod report;
pub mod run;
pub mod scenario;
pub mod stream;
pub mod world;
