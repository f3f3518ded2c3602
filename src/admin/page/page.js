"use strict";
(() => {
  const EVERY_MS = 2000, PATIENCE_MS = 5000, KEEP_SECONDS = 3600, SCHEMA = 1;
  // What comes later than this leaves a gap in the line.
  const GAP_SECONDS = 12;
  const CHART_HEIGHT = 200, CHART_LEAST_SECONDS = 60;

  // Nothing is touched that stays the same: a selection lives on, and nothing is read out twice.
  const id = name => document.getElementById(name);
  const say = (name, text) => { const element = id(name); if (element.textContent !== text) element.textContent = text; };
  const fill = (parent, parts) => {
    const fresh = document.createElement(parent.tagName);
    fresh.append(...parts);
    const same = fresh.childNodes.length === parent.childNodes.length &&
      [...fresh.childNodes].every((node, index) => node.isEqualNode(parent.childNodes[index]));
    if (!same) parent.replaceChildren(...fresh.childNodes);
  };
  const element = (tag, content, name) => {
    const made = document.createElement(tag);
    if (content !== undefined) made.append(...[content].flat());
    if (name) made.className = name;
    return made;
  };
  /** Text in which `commands` stand between backticks. */
  const prose = text => text.split("`").map((part, index) => index % 2 ? element("code", part) : part);

  // --- figures as text; times are milliseconds since the epoch ---
  const whole = number => Math.round(number).toLocaleString("en");
  const span = seconds => {
    if (seconds === null || seconds === undefined) return "not known";
    const all = Math.floor(seconds);
    if (all < 60) return (Math.floor(seconds * 10) / 10).toFixed(1) + " s";
    if (all < 3600) return Math.floor(all / 60) + " min " + all % 60 + " s";
    if (all < 172800) return Math.floor(all / 3600) + " h " + Math.floor(all % 3600 / 60) + " min";
    return Math.floor(all / 86400) + " d " + Math.floor(all % 86400 / 3600) + " h";
  };
  const since = (then, now) => span(Math.max(0, (now - then) / 1000));
  const date = at => new Date(at).toISOString().slice(0, 19).replace("T", " ");
  const hour = at => date(at).slice(11);
  const figure = (name, text, mood) => {
    say(name, text);
    id(name).classList.remove("good", "warn", "bad");
    if (mood) id(name).classList.add(mood);
  };

  // --- the chart ---
  const points = [[], []];
  let chart = null, seeded = false, summary = "";
  const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const width = () => Math.max(200, id("chart").clientWidth - 16);
  const draw = () => {
    const line = { stroke: () => colour("--line"), width: 1 };
    const axis = { stroke: () => colour("--quiet"), grid: line, ticks: line, font: "12px system-ui, sans-serif" };
    const short = seconds => seconds < 120 ? seconds + " s" : seconds < 7200 ? +(seconds / 60).toFixed(1) + " min"
      : +(seconds / 3600).toFixed(1) + " h";
    const clock = (_, values, __, ___, step) => values.map(value => hour(value * 1000).slice(0, step < 60 ? 8 : 5));
    chart = new uPlot({
      width: width(), height: CHART_HEIGHT,
      // Like every other time here.
      tzDate: at => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: {
        x: { range: (_, first, last) => [Math.min(first, last - CHART_LEAST_SECONDS), last] },
        y: { range: (_, least, most) => [0, Math.max(1, (most || 0) * 1.1)] },
      },
      axes: [Object.assign({ size: 32, space: 80, values: clock }, axis), Object.assign({ size: 64, values: (_, all) => all.map(short) }, axis)],
      series: [{}, { stroke: () => colour("--mark"), width: 2, spanGaps: false, points: { show: false } }],
      hooks: { setCursor: [read] },
    }, points, id("chart"));
  };
  /** What is under the pointer, or else the summary. */
  const read = plot => {
    const index = plot ? plot.cursor.idx : null;
    say("chart-text", index === null || index === undefined || !(plot.cursor.left >= 0) ? summary
      : hour(points[0][index] * 1000) + " UTC: " + span(points[1][index]));
  };
  const forget = () => { points[0].length = points[1].length = 0; seeded = false; };
  const note = status => {
    const now = status.at / 1000;
    const put = (at, lag) => { points[0].push(at); points[1].push(lag); };
    if (!seeded) {
      seeded = true;
      const { step_seconds, seconds } = status.lag_history;
      seconds.forEach((lag, index) => put(now - (seconds.length - index) * step_seconds, lag));
    }
    const last = points[0][points[0].length - 1];
    if (now <= last) return;
    if (now - last > GAP_SECONDS) put(last + 1, null);
    const lag = status.legs[0].lag_seconds;
    put(now, lag);
    while (points[0][0] < now - KEEP_SECONDS) { points[0].shift(); points[1].shift(); }
    if (!chart) draw(); else chart.setData(points);
    const first = points[1].findIndex(lag => lag !== null);
    summary = first >= 0
      ? "now " + span(lag) + ", highest " + span(Math.max(...points[1])) + " in the last " +
        span(now - points[0][first])
      : "not known yet";
    id("chart").setAttribute("aria-label", "Lag over time: " + summary);
    read(chart);
  };
  addEventListener("resize", () => { if (chart) chart.setSize({ width: width(), height: CHART_HEIGHT }); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (chart) chart.redraw(false); });

  // --- the parts of the page ---
  const strip = (phases, phase) => {
    const at = phases.findIndex(one => one.phase === phase);
    fill(id("phases"), phases.map((one, index) => {
      const item = element("li", one.phase, one.aside ? "bad" : index < at && !phases[at].aside ? "past" : "");
      if (index === at) item.setAttribute("aria-current", "step");
      return item;
    }));
  };
  const alarm = text => { say("alarm", text); id("alarm").hidden = text === ""; };
  const row = (name, value) => {
    const line = element("tr"), head = element("th", name);
    head.scope = "row";
    line.append(head, element("td", value));
    return line;
  };
  const work = (status, leg) => {
    const throttles = Object.entries(status.totals.throttles).filter(([, count]) => count > 0)
      .map(([table, count]) => row("throttles of " + table, whole(count)));
    const credentials = status.credentials.filter(one => one.expire_in_seconds !== null)
      .map(one => row("credentials for the " + one.connection + " expire in",
        one.expire_in_seconds > 0 ? span(one.expire_in_seconds) : "EXPIRED"));
    fill(id("work").tBodies[0], [
      row("changes per second", whole(status.rates.changes_per_second)),
      row("writes per second", whole(status.rates.writes_per_second)),
      row("throttles per second", status.rates.throttles_per_second.toFixed(1)),
      ...throttles,
      row("writes pending, in flight", whole(leg.apply.pending) + ", " + whole(leg.apply.in_flight)),
      row("memory of images", (leg.apply.bytes / 1048576).toFixed(1) + " MiB"),
      row("shards open, waiting, finished",
        [leg.tail.shards_open, leg.tail.shards_waiting, leg.tail.shards_finished].map(whole).join(", ")),
      row("late changes", whole(status.totals.late_changes)),
      row("clock skew", status.clock_skew_seconds.toFixed(1) + " s"),
      ...credentials,
      row("process", element("code", status.lease.owner)),
    ]);
  };
  const gates = (status, over) => {
    const list = status.gates;
    id("gates").hidden = list.length === 0;
    fill(id("gates").tBodies[0], list.map(gate => {
      const line = element("tr"), seen = element("td", gate.figure), head = element("th", gate.name);
      head.scope = "row";
      if (!gate.holds) seen.append(element("span", prose(gate.remedy), "remedy"));
      line.append(head, element("td", gate.holds ? "✓ yes" : "✗ no", gate.holds ? "good" : "bad"), seen);
      return line;
    }));
    const givenUp = status.phase === "tailing" && status.cutover && status.cutover.trouble;
    say("gates-text", over ? "there is no cutover to come"
      : list.length === 0 ? "not known before the tail runs"
      : (list.every(gate => gate.holds) ? "all hold: a cutover may begin" : "a cutover begins only when all hold") +
        (givenUp ? "; the last one was given up: " + givenUp : ""));
  };
  const events = list => fill(id("events"), list.slice().reverse().map(event => {
    const line = element("li"), time = element("time", date(event.at));
    time.dateTime = new Date(event.at).toISOString();
    line.append(time, element("span", event.what));
    return line;
  }));

  /** A process that does not hold the lease knows nothing of the migration. */
  const waits = status => {
    forget();
    alarm("");
    strip([], null);
    say("tables", "");
    fill(id("phase-text"), [status.standby ? "standby" : "starting, or ended"]);
    say("phase-since", status.standby
      ? "The lease is held by process " + status.lease.owner + " on " + status.lease.host +
        ", whose own page has the figures. This process takes over when that one stops renewing it."
      : "This process does not hold the lease.");
  };
  /** How long the copy may take: a range where its rate varies. */
  const left = ({ eta_seconds: least, eta_at_most_seconds: most }) => {
    const text = seconds => span(seconds).replace(".0 s", " s");
    return least === null ? "" : most === null ? ", at least " + text(least) + " left"
      : most <= least * 1.1 ? ", about " + text(most) + " left" : ", " + text(least) + " to " + text(most) + " left";
  };
  const mirrors = status => {
    const { phase, lease, copy, cutover } = status;
    const now = status.phases.find(one => one.phase === phase) || { meaning: "" }, leg = status.legs[0];
    say("tables", status.source_table + " → " + status.shadow_table);
    strip(status.phases, phase);
    fill(id("phase-text"), [element("strong", phase), ": ", ...prose(now.meaning),
      (status.reason ? " (" + status.reason + ")" : "") +
      (status.paused === "none" ? "" : "; paused: " + status.paused) + (status.postponed ? "; cutovers are postponed" : "")]);
    say("phase-since", (status.phase_since ? "for " + since(status.phase_since, status.at) + ", since " + date(status.phase_since) +
      " UTC" : "") + (now.cutover && cutover && cutover.fenced
      ? "; writes to the source stopped for " + since(cutover.fenced, status.at) : ""));
    const unmirrored = ["switching", "switched"].includes(phase) && leg.lag_seconds === null && status.reason;
    alarm(unmirrored ? phase + ": " + status.reason
      : phase === "needs-reseed" ? "History was lost: nothing is mirrored. Start over with shadowtable reseed."
      : now.cutover ? "The source may be fenced: " + (cutover && cutover.trouble || "a cutover is under way") + "."
      : status.totals.late_changes > 0 ? "The source was written after the switch: see the quarantine." : "");

    const late = status.gates.some(gate => gate.name === "lag" && !gate.holds);
    figure("lag", span(leg.lag_seconds), leg.lag_seconds > 300 ? "bad" : late ? "warn" : "");
    figure("headroom", span(leg.headroom_seconds),
      leg.headroom_seconds === null ? "" : leg.headroom_seconds < 21600 ? "bad" : leg.headroom_seconds < 43200 ? "warn" : "");
    figure("poll", span(leg.since_poll_seconds), leg.since_poll_seconds > 120 ? "bad" : "");
    figure("quarantine", whole(leg.quarantine), leg.quarantine > 0 ? "warn" : "");
    figure("holder", lease.held ? lease.host : "nobody", lease.held ? "" : "bad");
    say("holder-since", (lease.since ? "for " + since(lease.since, status.at) + ", " : "") + "epoch " + lease.epoch);

    id("copy-bar").value = copy.ratio;
    say("copy-text", (Math.floor(copy.ratio * 1000) / 10).toFixed(1) + " %: " + whole(copy.items) + " items, " +
      copy.segments_done + " of " + copy.segments + " segments" +
      (copy.ratio < 1 ? ", " + whole(status.rates.items_copied_per_second) + " items per second" : "") +
      left(copy));
    gates(status, now.past_cutovers);
    work(status, leg);
    events(status.events);
    // The chart is as wide as its place, which has no width while it is hidden.
    id("mirror").hidden = false;
    note(status);
  };
  const show = status => {
    if (status.schema !== SCHEMA) throw new Error("the process is of another version");
    document.title = (status.phase || (status.standby ? "standby" : "no lease")) + " · " + (status.migration || "shadowtable");
    say("migration", status.migration || "shadowtable");
    id("mirror").hidden = !status.phase;
    if (status.phase) mirrors(status); else waits(status);
  };

  // --- asking ---
  let answered = null;
  const fresh = (live, text) => {
    id("freshness").className = live ? "live" : "bad";
    id("figures").classList.toggle("old", !live);
    say("freshness", text);
    if (!live && !document.title.startsWith("? ")) document.title = "? " + document.title;
  };
  const ask = async () => {
    let status = null;
    try {
      const reply = await fetch("/status", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
      if (!reply.ok) throw new Error("HTTP " + reply.status);
      status = await reply.json();
    } catch (error) {
      const why = error.name === "TimeoutError" ? "nothing within " + PATIENCE_MS / 1000 + " s" : error.message;
      fresh(false, "No answer" + (answered ? " since " + hour(answered) + " UTC: the figures are old" : "") + " (" + why + ")");
    }
    if (status) {
      try {
        show(status);
        answered = status.at || Date.now();
        say("at", "as of " + date(answered) + " UTC");
        fresh(true, "live");
      } catch (error) {
        fresh(false, "This answer cannot be shown: reload the page (" + error.message + ")");
      }
    }
    setTimeout(ask, EVERY_MS);
  };
  ask();
})();
