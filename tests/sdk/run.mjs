// run.mjs - the real SDKs through the real gateway against the strict upstreams.
//
//   node tests/sdk/run.mjs [--only NAME | --grep REGEXP] [--list] [--verbose] [--direct]
//
// Two steps, because a program reads NODE_EXTRA_CA_CERTS at its start: `tollgate init` makes the CA, then a second node that
// trusts it runs the cases. --direct points the SDKs at the upstreams themselves: it shows that each understands the other.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const top = process.env.top_srcdir ?? path.join(here, '../..'), build = process.env.top_builddir ?? path.join(top, 'build');

if (Number(process.versions.node.split('.')[0]) < 18) { console.error(`The SDKs need Node.js 18 or newer; this is ${process.version}.`); process.exit(2); }

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'tollgate-sdk-'));
execFileSync(path.join(build, 'tollgate'), ['init', '--port', '1', '--models', path.join(top, 'engine/models'), dir], { stdio: ['ignore', 'ignore', 'inherit'] });
const env = { ...process.env, NODE_EXTRA_CA_CERTS: path.join(dir, 'ca.pem'), SDK_HOUSE: dir, top_srcdir: top, top_builddir: build, NODE_NO_WARNINGS: '1' };
const tests = spawn(process.execPath, [path.join(here, 'main.mjs'), ...process.argv.slice(2)], { env, stdio: 'inherit' });
for (const s of ['SIGINT', 'SIGTERM']) process.on(s, () => tests.kill(s));
tests.on('exit', (code) => { fs.rmSync(dir, { recursive: true, force: true }); process.exit(code ?? 1); });
