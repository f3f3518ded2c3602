//! The `shadowtable` command.

use std::process::ExitCode;

/// An image is allocated by the thread that reads it and freed by the one that wrote it. The C library's allocator takes
/// locks for that, which cost as much CPU as all the rest of this program beyond the SDK's own: see
/// `docs/design/PERFORMANCE.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    shadowtable::cli::main_with(std::env::args_os())
}
