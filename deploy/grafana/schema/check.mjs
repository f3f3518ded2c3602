// Checks the dashboard against the types that Grafana publishes: node check.mjs FILE, in a folder that has the modules.
import { readFileSync, writeFileSync } from "node:fs";
import ts from "typescript";

const RAW = "./node_modules/@grafana/schema/dist/esm/raw";
// The panels' types, and what Grafana calls them in its files.
const NAMES = { bargauge: "BarGauge", heatmap: "Heatmap", stat: "Stat", "state-timeline": "StateTimeline", timeseries: "TimeSeries" };
// What a data source asks for an annotation is its own, as it is in a panel.
const ASKED = new Set(["expr", "tagKeys", "textFormat", "titleFormat"]);

const board = JSON.parse(readFileSync(process.argv[2], "utf8"));
const panels = board.panels.filter(panel => panel.type !== "row");
const lines = [
  `import type { Dashboard } from "${RAW}/dashboard/x/dashboard_types.gen";`,
  // JSON has the words of an enumeration, not its names.
  "type Said<T> = T extends string ? `${T}` : T extends (infer E)[] ? Said<E>[] : T extends object ? { [K in keyof T]: Said<T[K]> } : T;",
];
const parts = new Map();
for (const type of new Set(panels.map(panel => panel.type))) {
  const name = NAMES[type];
  if (!name) throw new Error(`say in NAMES what Grafana calls a panel of type ${type}`);
  const place = `${RAW}/composable/${type.replace("-", "")}/panelcfg/x/${name}PanelCfg_types.gen`;
  lines.push(`import type * as ${name} from "${place}";`);
  const declared = readFileSync(`${place}.d.ts`, "utf8");
  parts.set(type, ["Options", "FieldConfig"].filter(part => declared.includes(`interface ${part} `)).map(part => `${name}.${part}`));
}

let count = 0;
const check = (type, value, what) => lines.push(`// ${what}\nexport const part${count++}: Said<${type}> = ${JSON.stringify(value)};`);
const marks = board.annotations.list.map(mark => Object.fromEntries(Object.entries(mark).filter(([key]) => !ASKED.has(key))));
check("Dashboard", { ...board, annotations: { list: marks } }, "the dashboard");
for (const panel of panels) {
  for (const part of parts.get(panel.type)) {
    const value = part.endsWith("Options") ? panel.options : panel.fieldConfig?.defaults?.custom;
    check(`Partial<${part}>`, value ?? {}, `${part} of ${panel.title}`);
  }
}

writeFileSync("dashboard.ts", `${lines.join("\n")}\n`);
const program = ts.createProgram(["dashboard.ts"], {
  noEmit: true, strict: true, skipLibCheck: true,
  target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
});
const wrong = ts.getPreEmitDiagnostics(program);
for (const { file, start, messageText } of wrong) {
  const where = file?.text.slice(0, start).split("\n").findLast(line => line.startsWith("// ")) ?? "";
  console.error(`${where.slice(3)}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`);
}
console.log(`${process.argv[2]}: ${count} parts are held against Grafana's types, ${wrong.length || "nothing"} wrong`);
process.exitCode = wrong.length ? 1 : 0;
