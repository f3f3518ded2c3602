//! `demo`.
use super::DemoArgs;
use crate::config::DemoSettings;
use std::process::ExitCode;
pub(super) fn run(_: &DemoSettings, _: &DemoArgs) -> ExitCode {
    ExitCode::from(1)
}
