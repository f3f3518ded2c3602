// Processes of this test, each ended by its own id when the test is over.
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { until } from "./time.mjs";

const running = new Set();

/** Nothing of the surroundings reaches a program but where programs are. */
export const surroundings = { PATH: process.env.PATH, LANG: "C.UTF-8" };

export function start(name, program, args, options = {}) {
  const child = spawn(program, args, { env: surroundings, stdio: ["ignore", "pipe", "pipe"], ...options });
  const started = { name, child, pid: child.pid, out: "", err: "", code: undefined };
  child.stdout.on("data", text => (started.out += text));
  child.stderr.on("data", text => (started.err += text));
  child.on("error", error => ((started.code = -1), (started.err += error.message)));
  child.on("close", (code, signal) => ((started.code = code ?? signal), running.delete(started)));
  running.add(started);
  return started;
}

export async function ended(process, seconds = 30) {
  await until(`${process.name} ends`, () => process.code !== undefined, seconds);
  return process;
}

export async function endAll() {
  for (const one of running) {
    // One that was stopped could not die of anything milder.
    one.child.kill("SIGKILL");
  }
  await until("all processes end", () => running.size === 0, 10);
}

export function freePort() {
  return new Promise((found, failed) => {
    const server = createServer();
    server.on("error", failed);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => found(port));
    });
  });
}
