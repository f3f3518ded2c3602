// The packages of package.json, which lie outside the clone: `cargo xtask browser` installs them and says where.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const folder = process.env.BROWSER_MODULES;
if (!folder) throw new Error("BROWSER_MODULES is not set: run this by `cargo xtask browser`");
const require = createRequire(`${folder}/package.json`);

export const { chromium } = require("playwright-core");
export const dynamodb = require("@aws-sdk/client-dynamodb");
export const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
