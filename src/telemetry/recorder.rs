//! The recorder that keeps all metrics.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::names;

/// Bounds of the apply latency's buckets, in seconds: from a write's own time to minutes of throttling.
const LATENCY_SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Installs the recorder for this process; every sample carries the label `migration`, where one is given. A second
/// installation keeps counting in the first.
pub fn install_recorder(migration: Option<&str>) -> Result<PrometheusHandle, BuildError> {
    let latency = Matcher::Full(names::APPLY_LATENCY.to_owned());
    let mut builder = PrometheusBuilder::new().set_buckets_for_metric(latency, &LATENCY_SECONDS)?;
    if let Some(migration) = migration {
        builder = builder.add_global_label("migration", migration);
    }
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    // Only the first recorder of a process is used: the demo and tests start several migrations in one.
    let _ = metrics::set_global_recorder(recorder);
    Ok(handle)
}
