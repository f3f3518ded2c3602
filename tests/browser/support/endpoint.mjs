// DynamoDB Local with a table of approvals and an application that writes to it.
import { readFileSync } from "node:fs";
import { dynamodb } from "./modules.mjs";
import { freePort, start } from "./processes.mjs";
import { sleep, until } from "./time.mjs";

export const REGION = "us-east-1";
export const CREDENTIALS = { accessKeyId: "browser", secretAccessKey: "secret" };
export const SOURCE = "TaskApprovals", SHADOW = "TaskApprovals-v2", SETTINGS = "settings";

const STATUSES = ["REQUESTED", "APPROVED", "DECLINED", "EXPIRED"];
const BATCH = 25;

const item = number => ({
  approval_id: { S: `approval-${number}` },
  task_id: { S: `task-${number % 700}` },
  user_id: { S: `user-${number % 90}` },
  status: { S: STATUSES[number % STATUSES.length] },
  title: { S: `Approve the change of task ${number % 700}` },
  requested_at: { S: "2026-11-02T09:00:00Z" },
});

export class Endpoint {
  static async start(folder) {
    const port = await freePort();
    start("DynamoDB Local", "java", [
      "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx512m", "-cp", `${folder}/lib/*`,
      "software.amazon.dynamodb.services.local.main.ServerRunner", "-inMemory", "-disableTelemetry", "-port", `${port}`,
    ]);
    const endpoint = new Endpoint();
    endpoint.url = `http://127.0.0.1:${port}`;
    endpoint.client = new dynamodb.DynamoDBClient({ endpoint: endpoint.url, region: REGION, credentials: CREDENTIALS });
    await until("DynamoDB Local answers", () => endpoint.send("ListTables", {}), 30);
    return endpoint;
  }

  send(operation, input) {
    return this.client.send(new dynamodb[`${operation}Command`](input));
  }

  async makeTables(items) {
    const keyed = (TableName, key, more = {}) => this.send("CreateTable", {
      TableName, BillingMode: "PAY_PER_REQUEST", ...more,
      AttributeDefinitions: [{ AttributeName: key, AttributeType: "S" }],
      KeySchema: [{ AttributeName: key, KeyType: "HASH" }],
    });
    await keyed(SETTINGS, "name");
    await this.send("PutItem", { TableName: SETTINGS, Item: { name: { S: "table" }, value: { S: SOURCE } } });
    await keyed(SOURCE, "approval_id", { StreamSpecification: { StreamEnabled: true, StreamViewType: "NEW_AND_OLD_IMAGES" } });
    for (let first = 0; first < items; first += BATCH) {
      const numbers = Array.from({ length: Math.min(BATCH, items - first) }, (_, index) => first + index);
      await this.send("BatchWriteItem", { RequestItems: { [SOURCE]: numbers.map(number => ({ PutRequest: { Item: item(number) } })) } });
    }
    this.items = items;
  }

  put(Item) { return this.send("PutItem", { TableName: SOURCE, Item }); }

  delete(approval) { return this.send("DeleteItem", { TableName: SOURCE, Key: { approval_id: { S: approval } } }); }

  async pointer() {
    const { Item } = await this.send("GetItem", { TableName: SETTINGS, Key: { name: { S: "table" } }, ConsistentRead: true });
    return Item.value.S;
  }

  /** An application: some twenty writes a second, until it is stopped. */
  startWriter() {
    const writer = { writes: 0, error: undefined, going: true };
    const task = (async () => {
      while (writer.going) {
        const number = writer.writes % (this.items + 50);
        await this.put({ ...item(number), status: { S: STATUSES[writer.writes % 3] } });
        writer.writes += 1;
        await sleep(50);
      }
    })().catch(error => (writer.error = error));
    writer.stop = async () => {
      writer.going = false;
      await task;
      if (writer.error) throw writer.error;
    };
    return writer;
  }
}

export const layout = root => readFileSync(`${root}/config/layout.yaml`, "utf8");
