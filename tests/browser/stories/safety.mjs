// What the page, and the port behind it, must not let happen.
import assert from "node:assert/strict";
import http from "node:http";
import { get } from "../support/migration.mjs";
import { Watched } from "../support/page.mjs";
import { until } from "../support/time.mjs";

/** A page of somebody else. */
async function elsewhere(check) {
  const server = http.createServer((_, reply) => reply.setHeader("content-type", "text/html").end("<!doctype html><title>elsewhere</title>"));
  await new Promise(done => server.listen(0, "127.0.0.1", done));
  try {
    return await check(`http://127.0.0.1:${server.address().port}/`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

export const all = [
  {
    sentence: "the policy keeps out scripts, handlers, styles, pictures and requests that are not the page's own",
    async check({ browser, run, disk }) {
      await elsewhere(async other => {
        const watched = await Watched.open(browser, run.url, { disk });
        await watched.shows("#freshness", /live$/);
        assert.deepEqual((await watched.seen()).violations, []);
        const outcome = await watched.page.evaluate(async address => {
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          const handler = document.createElement("p");
          handler.setAttribute("onclick", "window.ran = true");
          handler.setAttribute("style", "color: rgb(1, 2, 3)");
          const picture = document.createElement("img");
          picture.src = address;
          document.body.append(script, handler, picture);
          handler.click();
          const answered = await fetch(address).then(() => "answered", error => error.name);
          const painted = getComputedStyle(handler).color;
          return { ran: window.ran, answered, painted: painted === "rgb(1, 2, 3)" };
        }, other);
        assert.deepEqual(outcome, { ran: undefined, answered: "TypeError", painted: false });
        await until("all are reported", async () => {
          const { violations } = await watched.seen();
          return ["script-src-elem", "script-src-attr", "style-src-attr", "img-src", "connect-src"]
            .every(directive => violations.some(violation => violation.startsWith(`${directive} `)));
        }, 5);
        await watched.context.close();
      });
    },
  },
  {
    sentence: "markup in a reason, an entry of the audit trail, a gate or a name is shown as text",
    async check({ browser, run, disk }) {
      const markup = "<b>bold</b><img src=x onerror=\"window.ran = true\"><script>window.ran = true</script>";
      const watched = await Watched.open(browser, run.url, {
        disk,
        status: status => ({
          ...status, reason: markup, migration: markup, source_table: markup,
          lease: { ...status.lease, host: markup, owner: markup },
          cutover: { id: "1", by: "x", begun: status.at, fenced: null, trouble: markup }, phase: "fencing",
          events: [{ at: status.at, what: markup }],
          gates: [{ name: markup, holds: false, figure: markup, remedy: `do ${markup}` }],
          credentials: [{ connection: markup, expire_in_seconds: 60 }],
          totals: { ...status.totals, throttles: { [markup]: 1 } },
        }),
      });
      await watched.shows("#freshness", /live$/);
      for (const place of ["#phase-text", "#migration", "#tables", "#holder", "#alarm", "#events", "#gates", "#work"]) {
        assert.ok((await watched.text(place)).includes(markup), place);
      }
      assert.equal(await watched.page.locator("main :is(b, img, script), header :is(b, img), #alarm *").count(), 0);
      assert.equal(await watched.page.evaluate(() => window.ran), undefined);
      assert.ok((await watched.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0, "it is as wide as its texts");
      assert.deepEqual(await watched.close(), []);
    },
  },
  {
    sentence: "another name for the port is refused with 421, to a client and to a browser",
    async check({ browser, run }) {
      const { port } = new URL(run.url);
      for (const path of ["/", "/status", "/metrics"]) {
        const refused = await get(run.url + path, { host: "evil.example" });
        assert.equal(refused.code, 421);
        assert.doesNotMatch(refused.body, /lag|migration/);
        assert.equal((await get(run.url + path, { host: `localhost:${port}` })).code, 200);
      }
      const context = await browser.newContext(), page = await context.newPage();
      assert.equal((await page.goto(`http://evil.example:${port}/`)).status(), 421);
      await context.close();
    },
  },
  {
    sentence: "a page from elsewhere can neither read it nor frame it",
    async check({ browser, run }) {
      await elsewhere(async other => {
        const context = await browser.newContext(), page = await context.newPage();
        await page.goto(other);
        const tried = await page.evaluate(async url => {
          const outcome = options => fetch(`${url}/status`, options).then(reply => `answered ${reply.type}`, error => error.name);
          const frame = document.createElement("iframe");
          const loaded = new Promise(done => { frame.onload = done; setTimeout(done, 2000); });
          frame.src = `${url}/`;
          document.body.append(frame);
          await loaded;
          return [await outcome({}), await outcome({ mode: "no-cors" })];
        }, run.url);
        assert.deepEqual(tried, ["TypeError", "TypeError"]);
        // What a frame shows instead is the browser's own page.
        assert.ok(page.frames().every(frame => !frame.url().startsWith(run.url)), page.frames().map(frame => frame.url()).join(" "));
        await context.close();
      });
      for (const path of ["/", "/status", "/metrics", "/healthz"]) {
        const { headers } = await get(run.url + path, { origin: "http://elsewhere.example" });
        assert.deepEqual(Object.keys(headers).filter(name => name.startsWith("access-control-")), []);
        assert.equal(headers["x-content-type-options"], "nosniff");
        assert.equal(headers["cross-origin-resource-policy"], "same-origin");
        assert.equal(headers["x-frame-options"], "DENY");
        assert.match(headers["content-security-policy"], /default-src 'none'.*frame-ancestors 'none'/);
      }
    },
  },
];
