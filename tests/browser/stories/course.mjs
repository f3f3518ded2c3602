// The course of a migration, as the page tells it.
import assert from "node:assert/strict";
import { get } from "../support/migration.mjs";
import { SHADOW, SOURCE } from "../support/endpoint.mjs";
import { MIGRATION } from "../support/migration.mjs";
import { Watched, assembled } from "../support/page.mjs";
import { until } from "../support/time.mjs";

/** Seconds that a text such as `1 min 5 s` says. */
function secondsOf(text) {
  const units = { d: 86400, h: 3600, min: 60, s: 1 };
  const parts = [...text.matchAll(/([\d.]+) (d|h|min|s)\b/g)];
  assert.ok(parts.length > 0, `no time: ${text}`);
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * units[unit], 0);
}

const numberOf = text => Number(text.replaceAll(",", ""));

/** The page's figures are those of the answer it shows. */
async function figuresAgree(watched) {
  const status = await watched.answer(), [leg] = status.legs;
  const near = async (selector, seconds, tolerance) => {
    const text = await watched.text(selector);
    assert.ok(Math.abs(secondsOf(text) - seconds) <= tolerance, `${selector}: ${text} is not ${seconds} s`);
  };
  await near("#lag", leg.lag_seconds, leg.lag_seconds < 60 ? 0.11 : 1);
  await near("#headroom", leg.headroom_seconds, 60);
  await near("#poll", leg.since_poll_seconds, 0.11);
  assert.equal(numberOf(await watched.text("#quarantine")), leg.quarantine);
  assert.equal(await watched.text("#holder"), status.lease.host);
  await near("#holder-since", (status.at - status.lease.since) / 1000, 1.1);
  await near("#phase-since", (status.at - status.phase_since) / 1000, 1.1);
  assert.equal(await watched.text("#tables"), `${SOURCE} → ${SHADOW}`);
  const copied = await watched.text("#copy-text");
  assert.equal(numberOf(copied.match(/([\d,]+) items,/)[1]), status.copy.items);
  assert.match(copied, new RegExp(`, ${status.copy.segments_done} of ${status.copy.segments} segments`));
  assert.equal(await watched.page.locator("#copy-bar").evaluate(bar => bar.value), status.copy.ratio);
  const work = await watched.page.locator("#work tbody tr").evaluateAll(rows =>
    Object.fromEntries(rows.map(row => [row.cells[0].textContent, row.cells[1].textContent])));
  assert.equal(numberOf(work["changes per second"]), Math.round(status.rates.changes_per_second));
  assert.equal(numberOf(work["writes per second"]), Math.round(status.rates.writes_per_second));
  assert.equal(work["shards open, waiting, finished"],
    [leg.tail.shards_open, leg.tail.shards_waiting, leg.tail.shards_finished].join(", "));
  assert.equal(work.process, status.lease.owner);
  const gates = await gatesOf(watched);
  assert.deepEqual(Object.keys(gates), status.gates.map(gate => gate.name));
  for (const gate of status.gates) {
    assert.equal(gates[gate.name].holds, gate.holds ? "✓ yes" : "✗ no");
    assert.ok(gates[gate.name].figure.startsWith(gate.figure), gate.name);
  }
  const events = await watched.page.locator("#events li").evaluateAll(lines =>
    lines.map(line => [Date.parse(line.querySelector("time").dateTime), line.querySelector("span").textContent]));
  assert.deepEqual(events.reverse(), status.events.map(event => [event.at, event.what]));
  return status;
}

const gatesOf = watched => watched.page.locator("#gates tbody tr").evaluateAll(rows => Object.fromEntries(
  rows.map(row => [row.cells[0].textContent, {
    holds: row.cells[1].textContent, figure: row.cells[2].textContent, remedy: row.querySelector(".remedy")?.textContent,
  }])));

/** How many different colours the chart's canvas has. */
const inked = page => page.locator("#chart canvas").evaluate(canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const mark = getComputedStyle(document.documentElement).getPropertyValue("--mark").trim();
  const [red, green, blue] = mark.match(/[0-9a-f]{2}/g).map(part => parseInt(part, 16));
  let line = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (data[at] === red && data[at + 1] === green && data[at + 2] === blue && data[at + 3] === 255) line += 1;
  }
  return line;
});

export const copying = [
  {
    sentence: "the program serves the page of this clone, with its policy",
    async check({ run, root, disk }) {
      const { body, policy } = assembled(root), served = await get(`${run.url}/`);
      assert.equal(served.code, 200);
      if (disk) return "not compared";
      assert.ok(served.body === body, "the binary was built from another page: build it again, or run `cargo xtask browser --disk`");
      assert.equal(served.headers["content-security-policy"], policy);
      assert.doesNotMatch(policy, /unsafe-|\*|https?:/);
    },
  },
  {
    sentence: "while it copies there is a bar, a remaining time, and gates that refuse with a remedy",
    async check(test) {
      test.watched = await Watched.open(test.browser, test.run.url, { disk: test.disk });
      const { watched } = test;
      await watched.shows("#phase-text", /^copying: /);
      const eta = await watched.shows("#copy-text", /^\d+\.\d %: [\d,]+ items, \d of 8 segments, [\d,]+ items per second, .* left$/, 30);
      const before = await watched.page.locator("#copy-bar").evaluate(bar => bar.value);
      assert.ok(before > 0 && before < 1, `${before}`);
      await until("the bar moves", async () => (await watched.page.locator("#copy-bar").evaluate(bar => bar.value)) > before);
      const gates = await gatesOf(watched);
      assert.equal(gates["copy complete"].holds, "✗ no");
      assert.match(gates["copy complete"].remedy, /wait until the copy is complete; shadowtable status shows/);
      assert.equal(await watched.page.title(), `copying · ${MIGRATION}`);
      return eta;
    },
  },
  {
    sentence: "figures are those of /status",
    async check({ watched }) {
      const status = await figuresAgree(watched);
      return `lag ${status.legs[0].lag_seconds} s, ${status.copy.items} items`;
    },
  },
  {
    sentence: "the chart has a line, and its label tells what it shows, ever anew",
    async check({ watched }) {
      const label = () => watched.page.locator("#chart").getAttribute("aria-label");
      const first = await until("there is a lag", async () => (await label()).match(/now [\d.]+ s, highest .* in the last /)?.input);
      await until("the label changes", async () => (await label()) !== first, 6);
      const line = await until("a line is drawn", async () => { const ink = await inked(watched.page); return ink > 20 && ink; });
      const box = await watched.page.locator("#chart canvas").boundingBox();
      assert.ok(box.width > 900 && box.height > 150, JSON.stringify(box));
      return `${line} points of the line's colour; ${await label()}`;
    },
  },
];

export const tailing = [
  {
    sentence: "states that this migration does not come to are told as well",
    async check({ browser, run, disk }) {
      let change = {};
      const watched = await Watched.open(browser, run.url, {
        disk, status: status => ({ ...status, ...(typeof change === "function" ? change(status) : change) }),
      });
      const told = async (changed, shown) => {
        change = changed;
        await watched.page.reload();
        for (const [selector, pattern] of Object.entries(shown)) await watched.shows(selector, pattern, 5);
      };
      const aside = (phase, meaning) => ({ phases }) => ({
        phase, gates: [], phases: [...phases, { phase, meaning, cutover: false, past_cutovers: true, aside: true }],
      });
      const leg = figures => ({ legs }) => ({ legs: [{ ...legs[0], ...figures }] });
      await told(status => ({ ...aside("needs-reseed", "history was lost")(status), reason: "2 shards were lost" }),
        { "#phase-text": /^needs-reseed: .*\(2 shards were lost\)/, "#alarm": /History was lost/, "#gates-text": /no cutover to come/ });
      await told(({ at }) => ({ phase: "switching", cutover: { id: "1", by: "x", begun: at, fenced: at - 65_000, trouble: "it failed" } }),
        { "#alarm": /^The source may be fenced: it failed\.$/, "#phase-since": /writes to the source stopped for 1 min 5 s$/ });
      await told(({ at }) => ({ phase: "tailing", cutover: { id: "1", by: "x", begun: at, fenced: null, trouble: "keys differ" } }),
        { "#gates-text": /the last one was given up: keys differ$/ });
      await told({ phase: "tailing", paused: "all" }, { "#phase-text": /; paused: all/ });
      await told(aside("aborted", "it was given up"), { "#phase-text": /^aborted: /, "#phases [aria-current]": /^aborted$/ });
      await told(status => ({ ...leg({ lag_seconds: null, headroom_seconds: null, since_poll_seconds: null })(status),
        phase: "provisioned", gates: [], lag_history: { step_seconds: 10, seconds: [] }, phase_since: null }),
      { "#lag": /^not known$/, "#headroom": /^not known$/, "#poll": /^not known$/, "#chart-text": /^not known yet$/, "#gates-text": /before the tail/ });
      await told(leg({ lag_seconds: 3725, headroom_seconds: 3600 }), { "#lag.bad": /^1 h 2 min$/, "#headroom.bad": /^1 h 0 min$/ });
      await told({ credentials: [{ connection: "source", expire_in_seconds: -1 }, { connection: "state", expire_in_seconds: 60 }] },
        { "#work": /source expire in\s+EXPIRED\s+credentials for the state expire in\s+1 min 0 s/ });
      await told(({ totals }) => ({ phase: "switched", totals: { ...totals, late_changes: 1 } }), { "#alarm": /written after the switch/ });
      await told({ phase: null, standby: false }, { "#phase-text": /^starting, or ended$/ });
      await told({ schema: 2 }, { "#freshness": /cannot be shown: reload the page \(the process is of another version\)/ });
      assert.deepEqual(await watched.close(), []);
    },
  },
  {
    sentence: "tailing is shown, and the copy is complete",
    async check({ watched }) {
      await watched.shows("#phase-text", /^tailing: /, 120);
      await watched.shows("#copy-text", /^100\.0 %: [\d,]+ items, 8 of 8 segments$/);
      await watched.shows("#gates-text", /^all hold: a cutover may begin$/);
      await figuresAgree(watched);
    },
  },
  {
    sentence: "a postponement closes a gate and says how to open it",
    async check({ watched, migration }) {
      await migration.verb(["postpone"]);
      await watched.shows("#phase-text", /cutovers are postponed/);
      await watched.shows("#gates", /allow cutovers again: shadowtable postpone --off/);
      assert.equal((await gatesOf(watched))["not postponed"].holds, "✗ no");
      assert.equal(await watched.text("#gates-text"), "a cutover begins only when all hold");
      await migration.verb(["cutover", "--dry-run"], 2);
      await migration.verb(["postpone", "--off"]);
      await watched.shows("#gates-text", /^all hold/);
    },
  },
  {
    sentence: "what the shadow refuses is counted, and closes a gate",
    async check({ watched, endpoint }) {
      await endpoint.put({ approval_id: { S: "without-a-task" }, title: { S: "no key of the shadow" } });
      await watched.shows("#quarantine", /^1$/);
      assert.ok(await watched.page.locator("#quarantine").evaluate(figure => figure.classList.contains("warn")));
      await watched.shows("#gates", /see shadowtable quarantine list/);
      await endpoint.delete("without-a-task");
      await watched.shows("#quarantine", /^0$/);
      await watched.shows("#gates-text", /^all hold/);
    },
  },
  {
    sentence: "a selection outlives the next answers",
    async check({ watched }) {
      await watched.page.locator("#events li span").last().selectText();
      const selected = () => watched.page.evaluate(() => getSelection().toString());
      const before = await selected();
      assert.ok(before.length > 5);
      await watched.answer();
      await watched.answer();
      assert.equal(await selected(), before);
      await watched.page.evaluate(() => getSelection().removeAllRanges());
    },
  },
  {
    sentence: "a process that is stopped leaves old figures, which the page calls old until it goes on",
    async check({ watched, run }) {
      process.kill(run.pid, "SIGSTOP");
      let said;
      try {
        said = await watched.shows("#freshness", /^No answer since \d\d:\d\d:\d\d UTC: the figures are old \(nothing within 5 s\)$/, 9);
        assert.match(await watched.page.title(), /^\? /);
        assert.ok(await watched.page.locator("main.old").count());
      } finally {
        process.kill(run.pid, "SIGCONT");
      }
      await watched.shows("#freshness", /live$/, 9);
      assert.equal(await watched.page.title(), `tailing · ${MIGRATION}`);
      assert.equal(await watched.page.locator("main.old").count(), 0);
      await figuresAgree(watched);
      return said;
    },
  },
  {
    sentence: "a second process is shown as standby, with who holds the lease, and no figures",
    async check(test) {
      test.standby = await test.migration.run("standby");
      test.runs.push(test.standby);
      test.waiting = await Watched.open(test.browser, test.standby.url, { disk: test.disk });
      const { lease } = JSON.parse((await get(`${test.run.url}/status`)).body);
      await test.waiting.shows("#phase-text", /^standby$/);
      const said = await test.waiting.text("#phase-since");
      assert.ok(said.includes(lease.owner) && said.includes(lease.host), said);
      assert.equal(await test.waiting.page.title(), `standby · ${MIGRATION}`);
      assert.equal(await test.waiting.page.locator("#mirror").isVisible(), false);
      await test.waiting.page.screenshot({ path: `${test.folder}/standby.png` });
      return said;
    },
  },
];

export const cutover = [
  {
    sentence: "a cutover is shown step by step, up to the switch",
    async check({ watched, migration, writer, endpoint }) {
      await writer.stop();
      assert.equal(await endpoint.pointer(), SOURCE);
      const verb = migration.verb(["cutover", "--fenced", "--yes"]);
      const fenced = watched.shows("#alarm", /The source may be fenced: a cutover is under way\./);
      const stopped = watched.shows("#phase-since", /; writes to the source stopped for \d+\.\d s$/);
      await Promise.all([verb, fenced, stopped]);
      await watched.shows("#phase-text", /^switched: the application uses the shadow/);
      assert.equal(await endpoint.pointer(), SHADOW);
      assert.equal(await watched.page.locator("#alarm").isVisible(), false);
      assert.equal(await watched.text("#gates-text"), "there is no cutover to come");
      const { phases, events } = await watched.seen();
      assert.deepEqual(phases.filter(phase => ["copying", "tailing", "fenced", "switched"].includes(phase)),
        ["copying", "tailing", "fenced", "switched"]);
      for (const line of [/the drain ended: no change arrived/, /the pointer names TaskApprovals-v2/, /the phase is switched/]) {
        assert.ok(events.some(event => line.test(event)), `${line}: ${events.join("\n")}`);
      }
      return phases.join(", ");
    },
  },
  {
    sentence: "when the holder is killed its page says so, and the standby's page becomes the migration's",
    async check(test) {
      const { watched, waiting, run } = test;
      run.child.kill("SIGKILL");
      await watched.shows("#freshness", /^No answer since .*: the figures are old \(Failed to fetch\)$/, 6);
      // The browser itself reports that nobody answers: that is what was wanted.
      test.complaints = (await watched.close()).filter(complaint => !/ERR_(CONNECTION|EMPTY|SOCKET)_/.test(complaint));
      await waiting.shows("#phase-text", /^switched: /, 40);
      await waiting.shows("#holder-since", /epoch 2$/);
      assert.equal(await waiting.page.locator("#mirror").isVisible(), true);
    },
  },
  {
    sentence: "nothing was complained of: no error, no violation of the policy, no request to anywhere else",
    async check({ complaints, waiting }) {
      assert.deepEqual([...complaints, ...(await waiting.close())], []);
    },
  },
];
