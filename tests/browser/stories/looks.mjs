// How the page looks and reads: colours, small screens, keyboard, assistive technology; and its pictures.
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, statSync } from "node:fs";
import { axe } from "../support/modules.mjs";
import { Watched, lowContrast } from "../support/page.mjs";
import { until } from "../support/time.mjs";

const PHONE = { width: 390, height: 844 };
const PICTURE_BYTES = 300_000;
/** Seconds that the line of lag spans on the README's pictures. */
const PICTURE_SECONDS = 60;

const opened = async (test, options) => {
  const watched = await Watched.open(test.browser, test.run.url, { disk: test.disk, ...options });
  await watched.shows("#freshness", /live$/);
  return watched;
};

export const all = [
  {
    sentence: "every text stands out from what lies behind it, light and dark",
    async check(test) {
      const watched = await opened(test), backs = [];
      let texts;
      for (const colorScheme of ["light", "dark"]) {
        await watched.page.emulateMedia({ colorScheme });
        for (const old of [false, true]) {
          await watched.page.evaluate(now => {
            document.getElementById("figures").classList.toggle("old", now);
            document.getElementById("freshness").className = now ? "bad" : "live";
            const alarm = document.getElementById("alarm");
            alarm.hidden = !now;
            alarm.textContent = "an alarm";
          }, old);
          const seen = await lowContrast(watched.page);
          assert.deepEqual(seen.low, [], colorScheme);
          texts = seen.texts;
          if (!old) backs.push(seen.back);
        }
      }
      assert.notEqual(backs[0], backs[1]);
      assert.deepEqual(await watched.close(), []);
      return `${texts} texts`;
    },
  },
  {
    sentence: "axe finds nothing serious, light, dark and on a phone",
    async check(test) {
      // Its script is not one that the page's policy knows.
      const watched = await opened(test, { bypassCSP: true });
      const minor = new Set();
      let passed = 0;
      for (const [colorScheme, viewport] of [["light"], ["dark"], ["dark", PHONE]]) {
        await watched.page.emulateMedia({ colorScheme });
        if (viewport) await watched.page.setViewportSize(viewport);
        await watched.page.evaluate(axe);
        const { violations, passes } = await watched.page.evaluate(() => window.axe.run());
        passed = passes.length;
        const told = violations.map(one => `${one.impact} ${one.id}: ${one.nodes.map(node => node.html).join(" ")}`);
        assert.deepEqual(told.filter(line => /^(serious|critical)/.test(line)), []);
        told.forEach(line => minor.add(line));
      }
      await watched.context.close();
      return `${passed} rules passed${minor.size > 0 ? `; lesser: ${[...minor].join("; ")}` : ", nothing lesser either"}`;
    },
  },
  {
    sentence: "headings, landmarks and tables tell what is where",
    async check(test) {
      const watched = await opened(test);
      const seen = await watched.page.evaluate(() => ({
        levels: [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter(one => one.checkVisibility()).map(one => Number(one.tagName[1])),
        landmarks: ["header", "main", "footer"].map(name => document.querySelectorAll(`body > ${name}`).length),
        unnamed: [...document.querySelectorAll("section, table")]
          .filter(one => !one.getAttribute("aria-label") && !document.getElementById(one.getAttribute("aria-labelledby"))).length,
        tables: [...document.querySelectorAll("table")].map(table => ({
          columns: table.querySelectorAll("thead th[scope=col]").length, cells: table.tBodies[0].rows[0].cells.length,
          rows: table.tBodies[0].rows.length, heads: table.querySelectorAll("tbody th[scope=row]").length,
        })),
        language: document.documentElement.lang,
        inline: document.querySelectorAll("[onclick], [onload], [onerror]").length,
      }));
      assert.equal(seen.levels[0], 1);
      assert.equal(seen.levels.filter(level => level === 1).length, 1);
      seen.levels.slice(1).forEach((level, index) => assert.ok(level - seen.levels[index] <= 1, `${seen.levels}`));
      assert.deepEqual(seen.landmarks, [1, 1, 1]);
      assert.equal(seen.unnamed, 0);
      assert.equal(seen.tables.length, 2);
      for (const table of seen.tables) {
        assert.equal(table.columns, table.cells);
        assert.ok(table.rows > 0 && table.heads === table.rows, JSON.stringify(table));
      }
      assert.deepEqual([seen.language, seen.inline], ["en", 0]);
      assert.deepEqual(await watched.close(), []);
      return `${seen.levels.length} headings, ${seen.tables.length} tables`;
    },
  },
  {
    sentence: "the keyboard reaches the skip link and the other links, and shows where it is",
    async check(test) {
      const watched = await opened(test);
      const focused = () => watched.page.evaluate(() => {
        const one = document.activeElement, box = one.getBoundingClientRect(), style = getComputedStyle(one);
        return {
          what: one.id || one.getAttribute("href"), outline: `${style.outlineStyle} ${parseFloat(style.outlineWidth) >= 2}`,
          inside: box.width > 0 && box.left >= 0 && box.right <= innerWidth && box.top >= 0 && box.bottom <= innerHeight,
        };
      });
      const tab = async () => { await watched.page.keyboard.press("Tab"); return focused(); };
      const visible = what => ({ what, outline: "solid true", inside: true });
      assert.deepEqual(await tab(), visible("#figures"));
      await watched.page.keyboard.press("Enter");
      assert.equal((await focused()).what, "figures");
      assert.deepEqual(await tab(), visible("/status"));
      assert.deepEqual(await tab(), visible("/metrics"));
      assert.deepEqual(await watched.close(), []);
    },
  },
  {
    sentence: "a phone shows all of it without scrolling sideways, and turning it redraws the chart",
    async check(test) {
      const watched = await opened(test, { viewport: PHONE, deviceScaleFactor: 2 });
      await until("the chart is there", () => watched.page.locator("#chart canvas").count());
      const beyond = () => watched.page.evaluate(() => ({
        scroll: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        elements: [...document.querySelectorAll("body *:not(.skip)")].filter(one => one.checkVisibility() && !one.closest(".skip, .uplot") &&
          one.getBoundingClientRect().right > innerWidth + 0.5).map(one => one.id || one.tagName),
      }));
      const chart = () => watched.page.locator("#chart canvas").evaluate(canvas => canvas.getBoundingClientRect().width);
      const phone = await chart();
      for (const viewport of [PHONE, { width: 320, height: 640 }, { width: PHONE.height, height: PHONE.width }]) {
        await watched.page.setViewportSize(viewport);
        assert.deepEqual(await beyond(), { scroll: 0, elements: [] }, JSON.stringify(viewport));
      }
      await until("the chart grows", async () => (await chart()) > phone * 1.5);
      await watched.page.setViewportSize(PHONE);
      await until("the chart shrinks again", async () => (await chart()) === phone);
      await watched.page.emulateMedia({ colorScheme: "dark" });
      await watched.page.screenshot({ path: `${test.folder}/phone-dark.png`, fullPage: true });
      assert.deepEqual(await watched.close(), []);
    },
  },
  {
    sentence: "its pictures can be taken, light and dark",
    async check(test) {
      const { page } = test.watched;
      if (test.write) {
        await until("there is a line to see", () => page.evaluate(least =>
          document.getElementById("chart").getAttribute("aria-label").match(/in the last (\d+) min/)?.[1] * 60 >= least, PICTURE_SECONDS), 100);
        assert.match(await test.watched.text("#phase-text"), /^copying/);
      }
      const told = [];
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        const name = `status-page-${colorScheme}.png`, taken = `${test.folder}/${name}`;
        await page.screenshot({ path: taken, fullPage: true });
        const { size } = statSync(taken);
        assert.ok(size > 20_000 && size < PICTURE_BYTES, `${name}: ${size} bytes`);
        if (test.write) {
          mkdirSync(`${test.root}/docs/images`, { recursive: true });
          copyFileSync(taken, `${test.root}/docs/images/${name}`);
        }
        told.push(`${name} ${Math.round(size / 1000)} kB`);
      }
      await page.emulateMedia({ colorScheme: "light" });
      return told.join(", ");
    },
  },
];
