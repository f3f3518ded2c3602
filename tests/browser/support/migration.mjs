// shadowtable as an operator runs it: a configuration file, `run`, and the verbs.
import { writeFileSync } from "node:fs";
import http from "node:http";
import { CREDENTIALS, REGION, SETTINGS, SHADOW, SOURCE, layout } from "./endpoint.mjs";
import { ended, start, surroundings } from "./processes.mjs";
import { until } from "./time.mjs";

export const MIGRATION = "task-approvals-2026-11";

// More than half a minute of copying, since a page of 40 items is some three units; its first 20 s tell no remaining time. Then
// everything as fast as it may be.
const configuration = (url, unitsPerSecond) => `
[migration]
id = "${MIGRATION}"
[source]
table = "${SOURCE}"
region = "${REGION}"
endpoint_url = "${url}"
[shadow]
table = "${SHADOW}"
region = "${REGION}"
endpoint_url = "${url}"
[state]
region = "${REGION}"
endpoint_url = "${url}"
[target]
layout = "layout.yaml"
[copy]
segments = 8
page_items = 40
read_units_per_second = ${unitsPerSecond}
[tail]
idle_poll_seconds = 0.2
caught_up_seconds = 1
discover_seconds = 2
[apply]
abandon_seconds = 1
request_timeout_seconds = 2
[lease]
duration_seconds = 12
checkpoint_seconds = 0.5
[cutover]
fence = "manual"
switch = "pointer"
pointer_table = "${SETTINGS}"
pointer_key = '{"name": {"S": "table"}}'
pointer_attribute = "value"
# DynamoDB Local dates its records by the minute.
max_lag_seconds = 120
quiet_seconds = 4
[admin]
linger_seconds = 0
`;

export class Migration {
  constructor(binary, folder, root, endpoint, unitsPerSecond) {
    this.binary = binary;
    this.file = `${folder}/shadowtable.toml`;
    this.environment = {
      ...surroundings, HOME: folder, SHADOWTABLE_CONFIG: this.file,
      AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId, AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
      AWS_EC2_METADATA_DISABLED: "true",
    };
    writeFileSync(`${folder}/layout.yaml`, layout(root));
    writeFileSync(this.file, configuration(endpoint.url, unitsPerSecond));
  }

  /** `run`, once its admin port is open; `url` is where. */
  async run(name) {
    const run = start(name, this.binary, ["--admin-listen", "127.0.0.1:0", "run"], { env: this.environment });
    const [, address] = await until(`${name} opens its admin port`, () => {
      if (run.code !== undefined) throw new Error(`it ended with ${run.code}: ${run.err}`);
      return run.err.match(/admin listening.*address=(127\.0\.0\.1:\d+)/);
    });
    run.url = `http://${address}`;
    return run;
  }

  /** A verb, which must end with this code. */
  async verb(args, code = 0) {
    const done = await ended(start(args[0], this.binary, args, { env: this.environment }), 60);
    if (done.code !== code) throw new Error(`shadowtable ${args.join(" ")} ended with ${done.code}: ${done.out}${done.err}`);
    return done;
  }
}

/** A plain request, with headers that a browser would not send. */
export function get(url, headers = {}) {
  return new Promise((answered, failed) => {
    const request = http.get(url, { headers, agent: false }, reply => {
      let body = "";
      reply.on("data", text => (body += text));
      reply.on("end", () => answered({ code: reply.statusCode, headers: reply.headers, body }));
    });
    request.on("error", failed);
    request.setTimeout(5000, () => request.destroy(new Error("no answer")));
  });
}
