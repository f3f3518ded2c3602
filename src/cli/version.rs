//! What `--version` says: enough to tell which build an operator has.

use std::sync::LazyLock;

/// The long text, from what the compiler knows. The commit comes from `build.rs`.
pub(super) static LONG: LazyLock<String> = LazyLock::new(|| {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let embedded = if cfg!(feature = "embedded") { "with" } else { "without" };
    format!(
        "{}\ncommit: {}\ntarget: {}-{}\nprofile: {profile}\nembedded DynamoDB (demo): {embedded}",
        env!("CARGO_PKG_VERSION"),
        option_env!("BUILD_COMMIT").unwrap_or("not recorded"),
        std::env::consts::ARCH,
        std::env::consts::OS,
    )
});
