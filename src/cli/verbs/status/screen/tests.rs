//! Screens and lines as they come out.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::seen::{Holding, Seen};
use super::super::text::{lines, one_line};
use super::*;
use crate::engine::state::entities::{CutoverRecord, LeaseRecord, Meta};
use crate::model::{Side, Timestamp};
use crate::operator::Overview;
use crate::protocol::command::Paused;
use crate::protocol::phase::Phase;
use crate::runtime::{
    ApplyStatus, CopyStatus, CredentialStatus, LagHistory, LeaseStatus, LegStatus, Rates, STATUS_SCHEMA, TailStatus,
    phases,
};

const NOW: i64 = 1_795_000_000;

fn at(ago: i64) -> Timestamp {
    Timestamp::from_seconds(NOW - ago)
}

fn meta(phase: Phase) -> Meta {
    let mut meta = Meta { phase, phase_since: Some(at(754)), created: at(5_000), ..Meta::example() };
    "Orders".clone_into(&mut meta.tables.source.place.table);
    "Orders-v2".clone_into(&mut meta.tables.shadow.place.table);
    meta
}

fn status(meta: &Meta) -> Status {
    let gate = |name: &str, holds, figure: &str, remedy: &str| Gate {
        name: name.into(),
        holds,
        figure: figure.into(),
        remedy: remedy.into(),
    };
    let lease =
        LeaseStatus { held: true, owner: "01A".into(), host: "worker-1".into(), epoch: 3, since: Some(at(900)) };
    let leg = LegStatus {
        lag_seconds: Some(9.5),
        headroom_seconds: Some(86_123.0),
        since_poll_seconds: Some(0.2),
        replay_seconds: Some(1.5),
        tail: TailStatus { shards_open: 4, shards_waiting: 1, shards_finished: 9, caught_up: false },
        apply: ApplyStatus { pending: 210, in_flight: 100, bytes: 345_678 },
        quarantine: 2,
        ..LegStatus::unknown(meta.leg(), meta.standing())
    };
    let seconds = (0..30).map(|step| (step != 7).then(|| f64::from(step % 10) + 0.5)).collect();
    Status {
        schema: STATUS_SCHEMA,
        at: at(1),
        migration: meta.migration.clone(),
        phase: Some(meta.phase),
        phase_since: meta.phase_since,
        reason: None,
        source_table: meta.name(Side::Source).to_owned(),
        shadow_table: meta.name(Side::Shadow).to_owned(),
        lease,
        phases: phases(meta.standing()),
        legs: vec![leg],
        clock_skew_seconds: -0.3,
        lag_history: LagHistory { step_seconds: 10, seconds },
        rates: Rates {
            items_copied_per_second: 1_250.0,
            changes_per_second: 41.5,
            writes_per_second: 1_280.0,
            throttles_per_second: 0.5,
        },
        totals: crate::telemetry::Totals {
            throttles: [("Orders-v2".to_owned(), 17)].into(),
            ..crate::telemetry::Totals::default()
        },
        paused: Paused::None,
        postponed: false,
        cutover: None,
        gates: vec![
            gate("copy complete", false, "9 segments left", "wait until the copy is complete"),
            gate("lag", true, "9.5 s of 10.0 s at most", ""),
        ],
        copy: CopyStatus {
            segments: 16,
            segments_done: 7,
            items: 1_400_000,
            items_expected: 3_000_000,
            ratio: 0.466,
            eta_seconds: Some(1_280.0),
            eta_at_most_seconds: Some(1_900.0),
        },
        credentials: vec![CredentialStatus { connection: "shadow".into(), expire_in_seconds: Some(1_900.0) }],
        events: vec![
            EventLine { at: at(2_000), what: "the migration was planned".into() },
            EventLine { at: at(754), what: "the phase is copying".into() },
        ],
    }
}

fn seen(phase: Phase, holding: Holding) -> Seen {
    let meta = meta(phase);
    let status = status(&meta);
    let lease = LeaseRecord {
        owner: "01A".into(),
        host: "worker-1".into(),
        duration_millis: 15_000,
        abandon_millis: 10_000,
        released: false,
        quiet: false,
        since: at(900),
    };
    let live = Some((status.at, status));
    Seen { found: Overview { meta, lease: Some(lease), lease_counter: 4, live }, holding, now: at(0) }
}

fn held() -> Holding {
    Holding::Held { owner: "01A".into(), host: "worker-1".into(), seconds: 900.0 }
}

fn screen(seen: &Seen, trouble: Option<&str>) -> String {
    let mut terminal = Terminal::new(TestBackend::new(118, 36)).unwrap();
    terminal.draw(|frame| draw(frame, seen, trouble, false)).unwrap();
    terminal.backend().to_string()
}

#[test]
fn a_copy_under_way() {
    insta::assert_snapshot!(screen(&seen(Phase::Copying, held()), None));
}

#[test]
fn a_cutover_that_waits_for_a_decision_and_a_state_table_that_does_not_answer() {
    let mut seen = seen(Phase::Switching, held());
    seen.found.meta.cutover = Some(CutoverRecord {
        id: "01B".into(),
        by: "laptop".into(),
        begun: at(60),
        fenced: Some(at(50)),
        trouble: Some("the switch failed: exit status: 1".into()),
    });
    insta::assert_snapshot!(screen(&seen, Some("Query on shadowtable-state failed")));
    insta::assert_snapshot!(one_line(&seen));
}

#[test]
fn nobody_works() {
    let silent = Holding::Silent { owner: "01A".into(), host: "worker-1".into(), seconds: 90.0 };
    let mut seen = seen(Phase::Tailing, silent);
    if let Some((when, _)) = &mut seen.found.live {
        *when = at(90);
    }
    insta::assert_snapshot!(screen(&seen, None));
    insta::assert_snapshot!(lines(&seen));
    insta::assert_snapshot!(one_line(&seen));
}

/// How far behind it is by now nobody knows; how much is left at least is certain whoever works.
#[test]
fn what_a_holder_does_not_refresh_is_told_only_where_it_is_certain() {
    let mut seen = seen(Phase::Tailing, held());
    if let Some((when, _)) = &mut seen.found.live {
        *when = at(90);
    }
    let shown = lines(&seen);
    for line in ["lag        not known", "headroom   at least 23 h 53 min", "last poll  not known"] {
        assert!(shown.contains(line), "{line} is missing in\n{shown}");
    }
    let document = seen.document();
    assert!(document["legs"][0]["lag_seconds"].is_null() && document["fresh"] == false, "{document}");
    assert_eq!(document["legs"][0]["tail"]["caught_up"], false);
}

/// What matters most is there before anything else.
#[test]
fn a_small_terminal_shows_the_first_things() {
    let mut seen = seen(Phase::Copying, held());
    let small = |seen: &Seen, width, height| {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, seen, None, false)).unwrap();
        terminal.backend().to_string()
    };
    let shown = small(&seen, 80, 24);
    for word in ["copying", "lag        9.5 s", "headroom   23 h 55 min", "2 items", "✗ copy complete: 9 segments left"]
    {
        assert!(shown.contains(word), "{word} is missing in\n{shown}");
    }
    assert!(small(&seen, 60, 15).contains("orders-2026"));
    seen.holding = Holding::Nobody;
    let shown = small(&seen, 60, 15);
    for word in ["orders-2026", "copying", "at least", "figures are"] {
        assert!(shown.contains(word), "{word} is missing in\n{shown}");
    }
}

#[test]
fn a_small_terminal_does_not_break_it() {
    for (width, height) in [(1, 1), (20, 5), (80, 24), (300, 100)] {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, &seen(Phase::Copying, held()), None, true)).unwrap();
    }
}
