// The page in Chromium: watched for whatever it should not do.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { chromium } from "./modules.mjs";
import { until } from "./time.mjs";

const ARGUMENTS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
  // A name that somebody else owns, and that leads here.
  "--host-resolver-rules=MAP evil.example 127.0.0.1",
];

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM, args: ARGUMENTS });

/** The page of this clone, put together as the program does it, with its policy. */
export function assembled(root) {
  const read = name => readFileSync(`${root}/src/admin/page/${name}`, "utf8");
  const parts = {
    "{{chart-style}}": read("uplot/uPlot.min.css"), "{{style}}": read("page.css"),
    "{{chart}}": read("uplot/uPlot.iife.min.js"), "{{script}}": read("page.js"),
  };
  const hash = name => `'sha256-${createHash("sha256").update(parts[name]).digest("base64")}'`;
  let body = read("page.html");
  for (const [name, text] of Object.entries(parts)) body = body.replaceAll(name, () => text);
  const policy = `default-src 'none'; script-src ${hash("{{chart}}")} ${hash("{{script}}")}; ` +
    `style-src ${hash("{{chart-style}}")} ${hash("{{style}}")}; img-src data:; connect-src 'self'; base-uri 'none'; ` +
    "form-action 'none'; frame-ancestors 'none'";
  return { body, policy };
}

/** Runs in the page, before anything of its own. */
function watch() {
  window.seen = { phases: [], violations: [], chartLabels: [], alarms: [], events: [] };
  document.addEventListener("securitypolicyviolation", event =>
    window.seen.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  const note = (list, text) => { if (text && list.at(-1) !== text) list.push(text); };
  new MutationObserver(() => {
    note(window.seen.phases, document.querySelector("#phases [aria-current]")?.textContent);
    note(window.seen.chartLabels, document.getElementById("chart")?.getAttribute("aria-label"));
    const alarm = document.getElementById("alarm");
    if (alarm && !alarm.hidden) note(window.seen.alarms, alarm.textContent);
    for (const line of document.querySelectorAll("#events span")) {
      if (!window.seen.events.includes(line.textContent)) window.seen.events.push(line.textContent);
    }
  }).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
}

export class Watched {
  /**
   * `options.disk`: a page to serve instead of the program's own. `options.status`: changes what /status says.
   * The rest is for the browser's context.
   */
  static async open(browser, url, { disk, status, ...context } = {}) {
    const watched = new Watched();
    watched.context = await browser.newContext({ viewport: { width: 1100, height: 900 }, ...context });
    watched.page = await watched.context.newPage();
    watched.complaints = [];
    watched.page.on("console", message => {
      if (message.type() !== "log" && message.type() !== "info") watched.complaints.push(`${message.type()}: ${message.text()}`);
    });
    watched.page.on("pageerror", error => watched.complaints.push(`error: ${error.message}`));
    watched.page.on("request", request => {
      if (!request.url().startsWith(`${url}/`) && !request.url().startsWith("data:")) {
        watched.complaints.push(`request: ${request.url()}`);
      }
    });
    await watched.page.addInitScript(watch);
    if (disk) {
      await watched.page.route(`${url}/`, route => route.fulfill({
        contentType: "text/html; charset=utf-8", headers: { "content-security-policy": disk.policy }, body: disk.body,
      }));
    }
    if (status) {
      await watched.page.route(`${url}/status`, async route => {
        try {
          const reply = await route.fetch();
          await route.fulfill({ response: reply, json: status(await reply.json()) });
        } catch {
          // The page went away meanwhile, or nobody answers: then it gets no answer either.
          await route.abort().catch(() => {});
        }
      });
    }
    watched.reply = await watched.page.goto(`${url}/`);
    return watched;
  }

  text(selector) { return this.page.locator(selector).innerText(); }

  async seen() { return this.page.evaluate(() => window.seen); }

  async shows(selector, pattern, seconds = 20) {
    let last;
    return until(`${selector} shows ${pattern}`, async () => {
      last = await this.page.locator(selector).innerText({ timeout: 1000 });
      return pattern.test(last) && last;
    }, seconds).catch(error => { throw new Error(`${error.message}; it shows ${JSON.stringify(last)}`); });
  }

  /** What /status said last, and what the page made of it. */
  async answer() {
    const reply = await this.page.waitForResponse(response => response.url().endsWith("/status"), { timeout: 10_000 });
    const status = await reply.json();
    const asOf = new Date(status.at).toISOString().slice(0, 19).replace("T", " ");
    await this.shows("#at", new RegExp(asOf), 2);
    return status;
  }

  /** Ends with what it should not have done. */
  async close() {
    const { violations } = await this.seen();
    await this.context.close();
    return [...this.complaints, ...violations.map(violation => `violation: ${violation}`)];
  }
}

/** Texts with too little contrast to what lies behind them, in the page. */
export const lowContrast = page => page.evaluate(() => {
  const channels = colour => colour.match(/[\d.]+/g).map(Number);
  const luminance = colour => {
    const [red, green, blue] = channels(colour).map(value => value / 255)
      .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor, alpha = channels(colour)[3] ?? 1;
      if (alpha === 1) return colour;
      if (alpha !== 0) throw new Error(`${at.id || at.tagName} is half transparent`);
    }
    throw new Error("nothing opaque lies behind");
  };
  const texts = [...document.querySelectorAll("body *")].filter(element => element.checkVisibility() &&
    !["SCRIPT", "STYLE", "NOSCRIPT"].includes(element.tagName) &&
    [...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim()));
  const low = [];
  for (const element of texts) {
    const [one, other] = [getComputedStyle(element).color, behind(element)].map(luminance).sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < 4.5) low.push(`${element.id || element.tagName} "${element.textContent.trim().slice(0, 30)}": ${ratio.toFixed(2)}`);
  }
  return { texts: texts.length, low, back: getComputedStyle(document.body).backgroundColor };
});
