"use strict";
(() => {
  const EVERY_MS = 2000, PATIENCE_MS = 5000, KEEP_SECONDS = 3600;
  const PHASES = ["planned", "provisioned", "copying", "tailing", "fencing", "fenced", "drained", "switching", "switched", "finished"];
  const ASIDE = ["unfencing", "needs-reseed", "aborted"];
  const FENCED = ["fencing", "fenced", "drained", "switching", "unfencing"];
  const id = name => document.getElementById(name);
  const say = (name, text) => { const element = id(name); if (element.textContent !== text) element.textContent = text; };
  const element = (tag, text, name) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (name) made.className = name;
    return made;
  };
  const whole = number => Math.round(number).toLocaleString("en");

  const span = seconds => {
    if (seconds === null || seconds === undefined) return "not known";
    const all = Math.floor(seconds);
    if (all < 60) return seconds.toFixed(1) + " s";
    if (all < 3600) return Math.floor(all / 60) + " min " + all % 60 + " s";
    return Math.floor(all / 3600) + " h " + Math.floor(all % 3600 / 60) + " min";
  };
  const since = (then, now) => then ? span(Math.max(0, (Date.parse(now) - Date.parse(then)) / 1000)) : "not known";
  const figure = (name, text, mood) => {
    say(name, text);
    id(name).classList.remove("good", "warn", "bad");
    if (mood) id(name).classList.add(mood);
  };

  // --- the chart ---
  const points = [[], []];
  let chart = null, seeded = false;
  const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const draw = () => {
    const width = Math.max(240, id("chart").clientWidth - 16);
    const axis = { stroke: () => colour("--quiet"), grid: { stroke: () => colour("--line") }, ticks: { stroke: () => colour("--line") } };
    chart = new uPlot({
      width, height: 220,
      legend: { show: false },
      cursor: { show: true, points: { show: false }, drag: { x: false, y: false } },
      scales: { y: { range: (_, least, most) => [0, Math.max(1, (most || 0) * 1.1)] } },
      axes: [axis, Object.assign({ size: 64, values: (_, values) => values.map(value => value + " s") }, axis)],
      series: [{}, { stroke: () => colour("--mark"), width: 2, spanGaps: false, points: { show: false } }],
    }, points, id("chart"));
  };
  const note = status => {
    const now = Date.parse(status.at) / 1000;
    if (!seeded) {
      seeded = true;
      const history = status.lag_history || { step_seconds: 10, seconds: [] };
      history.seconds.forEach((lag, index) => {
        points[0].push(now - (history.seconds.length - index) * history.step_seconds);
        points[1].push(lag);
      });
    }
    if (points[0].length && now <= points[0][points[0].length - 1]) return;
    points[0].push(now);
    points[1].push(status.lag_seconds);
    while (points[0].length && points[0][0] < now - KEEP_SECONDS) { points[0].shift(); points[1].shift(); }
    if (!chart) draw(); else chart.setData(points);
    const known = points[1].filter(lag => lag !== null && lag !== undefined);
    const text = known.length
      ? "Lag over time: now " + span(status.lag_seconds) + ", highest " + span(Math.max(...known)) + " in the last " +
        span(now - points[0][0])
      : "Lag over time: not known yet";
    id("chart").setAttribute("aria-label", text);
  };
  addEventListener("resize", () => { if (chart) chart.setSize({ width: Math.max(240, id("chart").clientWidth - 16), height: 220 }); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (chart) chart.redraw(); });

  // --- the figures ---
  const strip = phase => {
    const shown = ASIDE.includes(phase) ? PHASES.concat(phase) : PHASES;
    const at = shown.indexOf(phase);
    id("phases").replaceChildren(...shown.map((name, index) => {
      const item = element("li", name, ASIDE.includes(name) ? "bad" : index < at && !ASIDE.includes(phase) ? "past" : "");
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
  const work = status => {
    const throttles = Object.entries(status.totals.throttles).map(([table, count]) => row("throttles of " + table, whole(count)));
    const credentials = status.credentials.filter(one => one.expire_in_seconds !== null)
      .map(one => row("credentials for the " + one.connection + " expire in",
        one.expire_in_seconds > 0 ? span(one.expire_in_seconds) : "EXPIRED"));
    id("work").replaceChildren(
      row("changes per second", whole(status.rates.changes_per_second)),
      row("writes per second", whole(status.rates.writes_per_second)),
      row("throttles per second", status.rates.throttles_per_second.toFixed(1)),
      row("writes pending, in flight", whole(status.apply.pending) + ", " + whole(status.apply.in_flight)),
      row("memory of images", (status.apply.bytes / 1048576).toFixed(1) + " MiB"),
      row("shards open, waiting, finished",
        [status.tail.shards_open, status.tail.shards_waiting, status.tail.shards_finished].map(whole).join(", ")),
      ...throttles,
      row("late changes", whole(status.totals.late_changes)),
      row("clock skew", status.clock_skew_seconds.toFixed(1) + " s"),
      ...credentials);
  };
  const gates = list => {
    id("gates").hidden = list.length === 0;
    id("gates").tBodies[0].replaceChildren(...list.map(gate => {
      const line = element("tr"), seen = element("td", gate.figure), head = element("th", gate.name);
      head.scope = "row";
      if (!gate.holds) seen.append(element("span", gate.remedy, "remedy"));
      line.append(head, element("td", gate.holds ? "✓ yes" : "✗ no", gate.holds ? "good" : "bad"), seen);
      return line;
    }));
    const closed = list.filter(gate => !gate.holds).length;
    say("gates-text", list.length === 0 ? "not known before the tail runs" : closed === 0 ? "all hold: a cutover may begin" : "");
  };
  const show = status => {
    document.title = (status.phase || "standby") + " · " + (status.migration || "shadowtable");
    say("migration", status.migration || "shadowtable");
    say("at", "as of " + (status.at || "now"));
    if (!status.phase) {
      strip("");
      const holder = status.lease && status.lease.owner;
      say("phase-text", status.standby
        ? "This process stands by: it takes over when the holder stops renewing its lease. The holder's own page has the figures."
        : "This process does not hold the lease: it is starting, or it has ended.");
      figure("holder", holder ? status.lease.host : "nobody known", holder ? "" : "warn");
      say("holder-since", holder ? "process " + status.lease.owner : "");
      return;
    }
    say("tables", status.source_table + " → " + status.shadow_table);
    strip(status.phase);
    say("phase-text", status.phase + (status.phase_since ? " since " + status.phase_since : "") +
      (status.paused === "none" ? "" : "; paused: " + status.paused) +
      (status.postponed ? "; cutovers are postponed" : "") + (status.reason ? ": " + status.reason : ""));
    const trouble = status.cutover && status.cutover.trouble;
    alarm(status.phase === "needs-reseed" ? "History was lost: nothing is mirrored. Start over with `shadowtable reseed`."
      : FENCED.includes(status.phase) ? "The source may be fenced" + (trouble ? ": " + trouble : ": a cutover is under way.")
      : status.totals.late_changes > 0 ? "The source was written after the switch: see the quarantine." : "");
    figure("lag", span(status.lag_seconds), status.lag_seconds > 300 ? "bad" : status.lag_seconds > 10 ? "warn" : "");
    figure("headroom", span(status.headroom_seconds),
      status.headroom_seconds === null ? "" : status.headroom_seconds < 21600 ? "bad" : status.headroom_seconds < 43200 ? "warn" : "");
    figure("poll", span(status.since_poll_seconds), status.since_poll_seconds > 120 ? "bad" : "");
    figure("quarantine", whole(status.quarantine), status.quarantine > 0 ? "warn" : "");
    figure("holder", status.lease.held ? status.lease.host : "nobody", status.lease.held ? "" : "bad");
    say("holder-since", "process " + status.lease.owner + ", for " + since(status.lease.since, status.at));
    note(status);
    const copy = status.copy;
    id("copy-bar").value = copy.ratio;
    say("copy-text", (copy.ratio * 100).toFixed(1) + " %: " + whole(copy.items) + " items, " + copy.segments_done + " of " +
      copy.segments + " segments" + (copy.ratio < 1 ? ", " + whole(status.rates.items_copied_per_second) + " items per second" : "") +
      (copy.eta_seconds === null ? "" : ", about " + span(copy.eta_seconds) + " left"));
    work(status);
    gates(status.gates);
    id("events").replaceChildren(...status.events.slice().reverse().map(event => {
      const line = element("li"), time = element("time", event.at);
      time.dateTime = event.at;
      line.append(time, event.what);
      return line;
    }));
  };

  // --- asking ---
  let answered = null;
  const ask = async () => {
    try {
      const reply = await fetch("/status", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
      if (!reply.ok) throw new Error("HTTP " + reply.status);
      show(await reply.json());
      answered = Date.now();
      id("freshness").classList.remove("bad");
      say("freshness", "live");
    } catch (error) {
      id("freshness").classList.add("bad");
      say("freshness", "no answer" + (answered ? " for " + span((Date.now() - answered) / 1000) + ": the figures are old" : "") +
        " (" + error.message + ")");
    }
    setTimeout(ask, EVERY_MS);
  };
  ask();
})();
