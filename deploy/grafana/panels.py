"""What the panels ask and say, row by row.

Thresholds, phases and links to what to do come from deploy/prometheus/rules.yml, so that dashboard and alerts agree.
"""

from grafana_foundation_sdk.models import common

import sources
from look import (
    ACT,
    FINE,
    LOOK,
    SECOND,
    THIRD,
    UNKNOWN,
    YEAR_SECONDS,
    About,
    Nothing,
    Query,
    bar,
    by_threshold,
    color_property,
    dashed,
    density,
    figure,
    lines,
    states,
    steps,
    text_from,
    value_texts,
    with_limits,
)

RULES = sources.rules()
HOUR = 3600

OURS = '{migration="$migration"}'
# A standby's gauges are NaN: only the process with the lease is looked at, as the recording rules do.
HOLDS = f"and on (instance, job, migration) shadowtable_lease_held{OURS} == 1"
# An alert about a process has no migration.
FIRING = 'ALERTS{alertname=~"Shadowtable.*", alertstate="firing", migration=~"$migration|"}'
FIRING_CRITICAL = FIRING.replace("}", ', severity="critical"}')

PHASE = f"max by (phase) (shadowtable_phase{OURS})"


def limit(alert: str) -> float:
    return RULES[alert].limit()


def runbook(*alerts: str) -> list[str]:
    """Where it says what to do about these alerts."""
    return [RULES[alert].runbook for alert in alerts]


def recorded(name: str) -> str:
    """A recording rule's result for this migration."""
    return f"{RULES[name].name}{OURS}"


def of_holder(gauge: str, by: str = "migration") -> str:
    """A gauge of the process that holds the lease."""
    return f"max by ({by}) ({gauge}{OURS} {HOLDS})"


def rate(counter: str, by: str = "migration") -> str:
    """A counter's rate, over all processes."""
    return f"sum by ({by}) (rate({counter}{OURS}[$__rate_interval]))"


def or_named(expr: str, label: str, name: str) -> str:
    """Where an expression has no series: one with that name, of value 0. A panel that shows names needs one."""
    return f'{expr} or on () label_replace(vector(0), "{label}", "{name}", "", "")'


LAG = Query(recorded("migration:shadowtable_lag_seconds:max"), "{{direction}}")
HEADROOM = Query(recorded("migration:shadowtable_headroom_seconds:min"), "{{direction}}")
# While nobody reads the stream, the moment at which headroom ends stays where it was.
HEADROOM_ENDS = f"max_over_time(({HEADROOM.expr} + timestamp({HEADROOM.expr}))[1d:1m])"
HEADROOM_LEFT = Query(f"{HEADROOM.expr} or {HEADROOM_ENDS} - time()", "{{direction}}")
LAG_STEPS = steps(FINE, (limit("ShadowtableLagHigh"), LOOK))
HEADROOM_STEPS = steps(ACT, (limit("ShadowtableHeadroomLow"), LOOK), (12 * HOUR, FINE))
LAG_BAD = (
    "Above five minutes for ten: see throttles, pending writes and the poll's age, in this order. During the copy of a large "
    "table it is expected. If it does not fall for half an hour, `shadowtable pause copy` leaves all write capacity to the tail."
)
HEADROOM_BAD = (
    "Below 12 h: find out why the tail does not get on. Below 6 h: paused? `shadowtable resume`. Nobody runs it? Start `run`. "
    "Throttled? Raise the shadow's capacity now. At 1 h the migration stops as `needs-reseed` and must copy from the beginning."
)
PHASE_BAD = (
    "`needs-reseed`: nothing is mirrored; `shadowtable status` says what was lost. `fencing`, `fenced`, `drained`, `switching`, "
    "`unfencing` for minutes: the application may not be able to write; see `shadowtable status` and `shadowtable audit`. "
    "`planned` or `provisioned` for an hour: the log tells what is waited for."
)


def phase_colors(panel):
    """Colours for the phases that alerts are about; all others are fine."""
    panel.override_by_regexp(f"/^({RULES['ShadowtablePhaseStuck'].phases()})$/", [color_property(SECOND)])
    panel.override_by_regexp(f"/^({RULES['ShadowtableFencedTooLong'].phases()})$/", [color_property(LOOK)])
    panel.override_by_name(RULES["ShadowtableNeedsReseed"].phases(), [color_property(ACT)])
    return panel.override_by_name("aborted", [color_property(UNKNOWN)])


def now() -> list:
    """Is it behind, how long do I have, what phase, does anybody mirror, what fires."""
    lag = About(
        "Lag",
        "Age of the oldest change that may not be in the shadow.",
        LAG_BAD,
        runbook("ShadowtableLagHigh", "ShadowtableLagNotFalling"),
    )
    headroom = About(
        "Headroom",
        "How long until the stream may drop records that were not read. While nobody mirrors: what is left of the last figure of "
        "the day.",
        HEADROOM_BAD,
        runbook("ShadowtableHeadroomLow"),
    )
    phase = About(
        "Phase",
        "The phase that the migration is in; unknown while nobody mirrors.",
        PHASE_BAD,
        runbook("ShadowtableNeedsReseed", "ShadowtableFencedTooLong", "ShadowtablePhaseStuck"),
    )
    mirrors = About(
        "Who mirrors",
        "How many processes hold the lease: one, or nothing is copied or tailed.",
        "Nobody: after a crash the lease runs out by itself within `lease.duration_seconds`; if it lasts, see the log. Two for "
        "longer than a takeover takes to be scraped: stop one, and report it with both logs. No process answers: start `run`; "
        "it carries on from the last checkpoints. Nothing is lost as long as headroom lasts.",
        runbook(
            "ShadowtableNobodyMirrors", "ShadowtableTwoHolders", "ShadowtableProcessGone", "ShadowtableNoTargets"
        ),
    )
    firing = About(
        "Firing alerts",
        "Alerts of this migration, and of processes that do not answer.",
        "Each has a section that says what to do.",
        ["alerts.md"],
    )
    alerts = f"max by (alertname) ({FIRING_CRITICAL} * 2 or {FIRING})"
    held = {"0": ("nobody", ACT), "1": ("one process", FINE)}
    holders = Query(recorded("migration:shadowtable_lease_held:sum"), "holders")
    return [
        figure(lag, LAG, (5, 5)).unit("s").decimals(1).thresholds(LAG_STEPS),
        figure(headroom, HEADROOM_LEFT, (5, 5)).unit("s").decimals(1).thresholds(HEADROOM_STEPS),
        phase_colors(figure(phase, Query(or_named(f"{PHASE} == 1", "phase", "unknown"), "{{phase}}"), (4, 5)))
        .override_by_name("unknown", [color_property(UNKNOWN)])
        .unit("short")
        .text_mode(common.BigValueTextMode.NAME)
        .thresholds(steps(FINE)),
        figure(
            mirrors, holders, (4, 5), [value_texts(held), text_from(2, "two holders", ACT)], Nothing("no process answers", ACT)
        )
        .unit("short")
        .text_mode(common.BigValueTextMode.VALUE)
        .thresholds(steps(ACT, (1, FINE), (2, ACT))),
        figure(firing, Query(or_named(alerts, "alertname", "none"), "{{alertname}}"), (6, 5))
        .unit("short")
        .text_mode(common.BigValueTextMode.NAME)
        .thresholds(steps(FINE, (1, LOOK), (2, ACT))),
    ]


def behind() -> list:
    """The same over time."""
    lag = About("Lag over time", "Age of the oldest change that may not be in the shadow.", LAG_BAD, ["metrics.md#first"])
    headroom = About(
        "Headroom over time", "How long until the stream may drop unread records.", HEADROOM_BAD, ["metrics.md#first"]
    )
    poll = About(
        "Last poll's age, and replay",
        "Since the last successful poll, of the shard that waits longest; and how far back a restart would begin to read.",
        "Above a minute: the endpoint, the network or the credentials; the log says which. `pause all` does it too.",
        runbook("ShadowtableNoSuccessfulPoll"),
    )
    age = Query(recorded("migration:shadowtable_last_poll_age_seconds:max"), "{{direction}}")
    replay = Query(of_holder("shadowtable_replay_seconds"), "replay")
    age_steps = steps(FINE, (60, LOOK), (limit("ShadowtableNoSuccessfulPoll"), ACT))
    return [
        with_limits(lines(lag, [LAG], (8, 8), "s", {}), LAG_STEPS),
        with_limits(lines(headroom, [HEADROOM], (8, 8), "s", {}), HEADROOM_STEPS),
        with_limits(lines(poll, [age, replay], (8, 8), "s", {}), age_steps),
    ]


def phases() -> list:
    timeline = About(
        "Phases", "When the migration was in which phase; only phases that occurred have a row.", PHASE_BAD, ["cutover.md"]
    )
    leases = About(
        "Lease holders",
        "Which process held the lease, and when; a grey one stood by.",
        "No process blue: nobody mirrors. Two blue at a time, for longer than a scrape: two holders, which must not be.",
        runbook("ShadowtableNobodyMirrors", "ShadowtableTwoHolders"),
    )
    audit = About(
        "Audit entries",
        "Entries in the audit trail, by the process that wrote them, since it began. Commands write theirs from elsewhere.",
        "A step that nobody expected: `shadowtable audit` tells what was done, when, by which process.",
        ["cutover.md"],
    )
    holders = Query(f"max by (instance) (shadowtable_lease_held{OURS})", "{{instance}}")
    entries = Query(f"max by (instance) (shadowtable_audit_entries_total{OURS})", "{{instance}}")
    held = {"0": ("stands by", UNKNOWN), "1": ("holds the lease", FINE)}
    return [
        phase_colors(states(timeline, Query(f"{PHASE} == 1", "{{phase}}"), (10, 7))),
        states(leases, holders, (8, 7))
        .mappings([value_texts(held)])
        .color_scheme(by_threshold())
        .thresholds(steps(UNKNOWN, (1, FINE))),
        lines(audit, [entries], (6, 7), "short", {}).line_interpolation(common.LineInterpolation.STEP_AFTER),
    ]


def copy() -> list:
    ratio = of_holder("shadowtable_copy_progress_ratio")
    # Of the holder before the subquery, so that a takeover does not hide what was copied before it.
    pace = f"deriv({ratio}[15m:10s])"
    progress = About(
        "Copied",
        "Copied items to the table's item count, which the service refreshes about every six hours; all when it is complete.",
        "Standing still: is the copy paused, or the source throttled?",
        ["metrics.md#copy"],
    )
    left = About(
        "Copy complete in",
        "At the pace of the last fifteen minutes. As rough as the item count.",
        "Standing still: is the copy paused (`shadowtable status`), or the source throttled?",
        ["metrics.md#copy"],
    )
    items = About(
        "Items copied", "Items on pages whose every item is durable, superseded or quarantined.", places=["metrics.md#copy"]
    )
    again = About(
        "Superseded and read again",
        "Copied images dropped because a change overtook them, which keeps deleted items deleted; and pages read again because "
        "too many changes overtook them.",
        "Pages read again all the time: raise `apply.overtaken_limit`, or lower `copy.page_items`.",
        ["metrics.md#copy"],
    )
    never = 1e8
    standing = [value_texts({"0": ("complete", FINE)}), text_from(never, "standing still", LOOK)]
    return [
        bar(progress, Query(ratio, "copied"), (5, 7)).unit("percentunit").min(0).max(1).decimals(1),
        figure(left, Query(f"(1 - {ratio}) / clamp_min({pace}, 1e-9)", "left"), (5, 7), standing)
        .unit("s")
        .decimals(1)
        .thresholds(steps(FINE, (never, LOOK))),
        lines(items, [Query(rate("shadowtable_items_copied_total"), "items")], (7, 7), "cps", {}),
        lines(
            again,
            [
                Query(rate("shadowtable_copies_superseded_total"), "images superseded"),
                Query(rate("shadowtable_pages_discarded_total"), "pages read again"),
            ],
            (7, 7),
            "cps",
            {"images superseded": FINE, "pages read again": SECOND},
        ),
    ]


def tail() -> list:
    changes = About(
        "Changes",
        "Stream records offered, by kind. The dashed line is their sum over a minute.",
        "Flat while the application writes: look at the last poll's age.",
        ["metrics.md#tail-and-writes"],
    )
    writes = About(
        "Writes",
        "Writes that the shadow took, by kind; the copy's among them. The dashed line is their sum over a minute.",
        "Below the changes while pending writes grow: the shadow takes less than the source makes.",
        ["metrics.md#tail-and-writes"],
    )
    coalesced = About(
        "Changes coalesced",
        "Changes merged into a later image of the same shadow key before they were sent. It saves writes.",
        places=["metrics.md#tail-and-writes"],
    )
    kinds = {"insert": FINE, "modify": SECOND, "remove": ACT, "expire": THIRD, "all": UNKNOWN}
    all_changes = Query(recorded("migration:shadowtable_changes:rate1m"), "all")
    all_writes = Query(recorded("migration:shadowtable_writes:rate1m"), "all")
    return [
        lines(
            changes, [Query(rate("shadowtable_changes_total", "kind"), "{{kind}}"), all_changes], (8, 8), "ops", kinds
        ).override_by_query("B", [dashed()]),
        lines(
            writes,
            [Query(rate("shadowtable_writes_total", "kind"), "{{kind}}"), all_writes],
            (8, 8),
            "wps",
            {"put": FINE, "delete": ACT, "all": UNKNOWN},
        ).override_by_query("B", [dashed()]),
        lines(coalesced, [Query(rate("shadowtable_changes_coalesced_total"), "changes")], (8, 8), "ops", {}),
    ]


def latency() -> list:
    bucket = f"shadowtable_apply_latency_seconds_bucket{OURS}"
    quantiles = About(
        "Apply latency",
        "From a change being offered to the applier until it is durable in the shadow, over five minutes. Nothing is drawn while "
        "nothing changes.",
        "p99 above a second: the shadow throttles, or the write budget is too small.",
        ["metrics.md#tail-and-writes"],
    )
    spread = About(
        "Apply latency, all of it",
        "How many changes became durable within which time.",
        "Two bands: some changes wait for throttled or unanswered requests; see throttles and retries.",
        ["metrics.md#tail-and-writes"],
    )
    median = Query(f"histogram_quantile(0.5, sum by (direction, le) (rate({bucket}[5m])))", "p50 {{direction}}")
    slow = Query(recorded("migration:shadowtable_apply_latency_seconds:p99_5m"), "p99 {{direction}}")
    return [
        with_limits(lines(quantiles, [slow, median], (12, 8), "s", {}), steps(FINE, (1, LOOK))).override_by_query(
            "B", [dashed()]
        ),
        density(spread, Query(f"sum by (le) (increase({bucket}[$__rate_interval]))", "{{le}}"), (12, 8), "s"),
    ]


def capacity() -> list:
    throttles = About(
        "Throttles",
        "Requests refused for lack of capacity, by table, over five minutes.",
        "More than one a second for long. The source: lower `copy.read_units_per_second` before the application suffers. The "
        "shadow: raise its capacity, or lower `apply.write_units_per_second` and accept the lag.",
        runbook("ShadowtableThrottled"),
    )
    unprocessed = About(
        "Unprocessed writes",
        "Writes that came back unprocessed and were sent again.",
        "Rising: the shadow is short of capacity.",
        ["metrics.md#tail-and-writes"],
    )
    units = About(
        "Capacity units",
        "Read units consumed at the source by the copy; write units consumed at the shadow, estimated where the endpoint does "
        "not say.",
        "More read units than the source can spare: `copy.read_units_per_second`.",
        ["metrics.md#copy"],
    )
    consumed = [
        Query(rate("shadowtable_consumed_read_units_total"), "read at the source"),
        Query(rate("shadowtable_consumed_write_units_total"), "written at the shadow"),
    ]
    refused = Query(recorded("migration:shadowtable_throttles:rate5m"), "{{resource}}")
    return [
        with_limits(lines(throttles, [refused], (8, 7), "reqps", {}), steps(FINE, (limit("ShadowtableThrottled"), LOOK))),
        lines(unprocessed, [Query(rate("shadowtable_writes_unprocessed_total"), "writes")], (8, 7), "wps", {}),
        lines(units, consumed, (8, 7), "cps", {"read at the source": FINE, "written at the shadow": SECOND}),
    ]


def waiting() -> list:
    pending = About(
        "Pending writes",
        "Writes offered and not yet durable.",
        "Growing: the shadow takes less than the source makes.",
        ["metrics.md#tail-and-writes"],
    )
    held = About(
        "Held bytes",
        "Memory held by images that wait for the shadow and by pages being read, estimated.",
        "At `apply.memory_mib`: readers wait.",
        ["metrics.md#tail-and-writes"],
    )
    shards = About(
        "Shards",
        "Stream shards: open, waiting for their parent or for a reader, finished.",
        "Waiting for long: a parent does not end; see the log.",
        ["metrics.md#tail-and-writes"],
    )
    by_state = Query(of_holder("shadowtable_shards", "state"), "{{state}}")
    return [
        lines(pending, [Query(of_holder("shadowtable_pending_writes"), "writes")], (8, 7), "short", {}),
        lines(held, [Query(of_holder("shadowtable_held_bytes"), "bytes")], (8, 7), "bytes", {}),
        lines(shards, [by_state], (8, 7), "short", {"open": FINE, "waiting": SECOND, "finished": UNKNOWN}),
    ]


def refused() -> list:
    quarantine = About(
        "Quarantine",
        "Items that the shadow refuses for good. A cutover is refused while there are any.",
        "Above 0: `shadowtable quarantine list`. Mend the items in the source, or the layout or transform.",
        runbook("ShadowtableQuarantineNotEmpty"),
    )
    late = About(
        "Late changes",
        "Changes that arrived at the source after the switch's intent; they are in quarantine and not in the shadow.",
        "Above 0: find out who still writes to the source and stop them; `shadowtable quarantine list` shows the keys with "
        "reason `late`.",
        runbook("ShadowtableLateChanges", "ShadowtableNotMirrored"),
    )
    retries = About(
        "Retries",
        "Requests that failed and are tried again, by what the failure means.",
        "`abandoned`: time-outs or resets, each waited out for `apply.abandon_seconds`. `credentials`: they expired.",
        ["metrics.md#tail-and-writes"],
    )
    recent = Query(f"sum by (migration) (increase(shadowtable_late_changes_total{OURS}[10m]))", "in ten minutes")
    since = Query(f"sum by (migration) (shadowtable_late_changes_total{OURS})", "since the processes began")
    faults = {"throttled": LOOK, "abandoned": ACT, "credentials": THIRD}
    items = Query(recorded("migration:shadowtable_quarantine_items:max"), "items")
    return [
        with_limits(lines(quarantine, [items], (8, 7), "short", {}), steps(FINE, (1, LOOK))),
        with_limits(lines(late, [recent, since], (8, 7), "short", {"in ten minutes": ACT}), steps(FINE, (1, ACT))),
        lines(retries, [Query(rate("shadowtable_retries_total", "fault"), "{{fault}}")], (8, 7), "reqps", faults),
    ]


def process() -> list:
    skew = About(
        "Clock skew",
        "The service's clock less this machine's, as of the last reply.",
        "Beyond a few seconds: requests may be refused as expired; mend the machine's clock. Lag is computed on the service's "
        "clock and stays right.",
        ["metrics.md#about-the-process"],
    )
    credentials = About(
        "Credentials expire in",
        "Until the credentials in use expire, by connection; never where they do not.",
        "Below 0: they were not renewed, and nothing is read or written over that connection. Those of a role renew themselves "
        "seconds before they expire; a session token from the environment cannot: give the process a role, and restart it.",
        runbook("ShadowtableCredentialsExpired"),
    )
    violations = About(
        "Invariant violations",
        "Rules of the protocol seen broken, by number, at any time in the dashboard's range.",
        "Anything but 0 is a defect: the process has stopped. Keep the log and report it. Do not cut over before it is "
        "understood.",
        runbook("ShadowtableInvariantViolated"),
    )
    versions = About(
        "Versions",
        "Which version runs, in how many processes that answer.",
        "Two versions for long: an upgrade was left half done. An older one refuses what it does not know.",
        ["metrics.md#about-the-process"],
    )
    unlogged = About(
        "Log lines lost",
        "Lines that could not be written to stderr, by process, since it began. Nothing else is held up by that.",
        "Rising: what collects the log has stopped, or its disk is full; read `shadowtable audit` meanwhile.",
        ["metrics.md#about-the-process"],
    )
    # An axis has no room for infinity.
    expiry = f"min by (connection) (clamp_max(shadowtable_credentials_expiry_seconds{OURS}, {YEAR_SECONDS}) {HOLDS})"
    broken = f"max by (id) (max_over_time(shadowtable_invariant_violations_total{OURS}[$__range]))"
    skew_steps = steps(LOOK, (-5, FINE), (5, LOOK))
    skew_lines = lines(skew, [Query(of_holder("shadowtable_clock_skew_seconds"), "service ahead")], (5, 7), "s", {})
    lost = Query(f"max by (instance) (shadowtable_log_lines_dropped_total{OURS})", "{{instance}}")
    running = Query(f"count by (version) (shadowtable_build_info{OURS})", "{{version}}")
    return [
        with_limits(skew_lines.axis_centered_zero(True), skew_steps),
        figure(credentials, Query(expiry, "{{connection}}"), (5, 7), [text_from(YEAR_SECONDS, "never", FINE)])
        .unit("s")
        .decimals(0)
        .thresholds(steps(ACT, (limit("ShadowtableCredentialsExpired"), LOOK), (60, FINE))),
        figure(violations, Query(broken, "rule {{id}}"), (5, 7)).unit("short").thresholds(steps(FINE, (1, ACT))),
        figure(unlogged, lost, (5, 7)).unit("short").thresholds(steps(FINE, (1, LOOK))),
        figure(versions, running, (4, 7), nothing=Nothing("no process answers"))
        .unit("short")
        .text_mode(common.BigValueTextMode.VALUE_AND_NAME)
        .thresholds(steps(FINE)),
    ]


# From top to bottom; each function makes one line of panels.
ROWS = [
    ("Is it behind?", [now, behind]),
    ("Phase and lease", [phases]),
    ("Copy", [copy]),
    ("Tail and writes", [tail, latency]),
    ("Capacity", [capacity, waiting]),
    ("Refused and failed", [refused]),
    ("Process", [process]),
]
