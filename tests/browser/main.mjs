// The status page through a whole migration, in the order in which an operator would see it. Run by `cargo xtask browser`.
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { Endpoint } from "./support/endpoint.mjs";
import { Migration } from "./support/migration.mjs";
import { assembled, launch } from "./support/page.mjs";
import { endAll } from "./support/processes.mjs";
import * as safety from "./stories/safety.mjs";
import * as looks from "./stories/looks.mjs";
import * as course from "./stories/course.mjs";

const ITEMS = 3000;
// Whoever wants pictures wants a line to see on them: the copy is slower then.
const UNITS_PER_SECOND = 4, UNITS_FOR_PICTURES = 1.2;
// Longer than that, and something hangs.
const LIMIT_SECONDS = 240;

const asked = process.argv.slice(2);
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const folder = mkdtempSync(`${tmpdir()}/shadowtable-browser-`);
const begun = Date.now();
const seconds = since => `${((Date.now() - since) / 1000).toFixed(1).padStart(5)} s`;

const test = { root, folder, write: asked.includes("write"), disk: asked.includes("disk") ? assembled(root) : undefined, runs: [] };
let current;

/** What is said is checked, one after the other: each builds on what the ones before it have done. */
async function step(sentence, check) {
  current = sentence;
  const start = Date.now();
  const seen = await check(test);
  console.log(`ok ${seconds(start)}  ${sentence}${seen ? `: ${seen}` : ""}`);
}

async function everything() {
  test.endpoint = await Endpoint.start(process.env.DYNAMODB_LOCAL_DIR);
  await test.endpoint.makeTables(ITEMS);
  test.writer = test.endpoint.startWriter();
  test.migration = new Migration(process.env.SHADOWTABLE, folder, root, test.endpoint, test.write ? UNITS_FOR_PICTURES : UNITS_PER_SECOND);
  test.browser = await launch();
  test.run = await test.migration.run("run");
  test.runs.push(test.run);
  for (const { sentence, check } of [...course.copying, ...looks.all, ...safety.all, ...course.tailing, ...course.cutover]) {
    await step(sentence, check);
  }
}

const tooLong = new Promise((_, failed) => {
  setTimeout(() => failed(new Error(`it takes longer than ${LIMIT_SECONDS} s`)), LIMIT_SECONDS * 1000).unref();
});
// Whatever ends this, nothing that it started may go on.
const stopped = new Promise((_, failed) => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => failed(new Error(`stopped by ${signal}`)));
  process.on("uncaughtException", failed);
  process.on("unhandledRejection", failed);
});
let code = 0;
try {
  await Promise.race([everything(), tooLong, stopped]);
  rmSync(folder, { recursive: true });
  console.log(`the page is good after ${seconds(begun).trim()}`);
} catch (error) {
  code = 1;
  console.error(`FAILED ${seconds(begun)}  ${current ?? "start"}\n${error.stack}`);
  await test.watched?.page.screenshot({ path: `${folder}/failed.png`, fullPage: true }).catch(() => {});
  for (const run of test.runs) appendFileSync(`${folder}/${run.name}.log`, run.err);
  console.error(`the page as it was, and the logs: ${folder}`);
}
if (test.writer) test.writer.going = false;
await test.browser?.close().catch(() => {});
await endAll();
process.exit(code);
