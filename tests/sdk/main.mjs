// main.mjs - the second half of run.mjs: starts the house, gathers the cases, runs them, stops the house.
import { webcrypto } from 'node:crypto';

import { House, upstreams } from './house.mjs';
import { group, runAll } from './harness.mjs';
import { matrix, strictly } from './matrix.mjs';
import { agents } from './cases/agents.mjs';
import { badInput } from './cases/bad_input.mjs';
import { basics } from './cases/basics.mjs';
import { conversations } from './cases/conversations.mjs';
import { errors } from './cases/errors.mjs';
import { features } from './cases/features.mjs';
import { frameworks } from './cases/frameworks.mjs';
import { insideUrls } from './cases/inside_urls.mjs';
import { loops } from './cases/loops.mjs';
import { streams } from './cases/streams.mjs';

const argv = process.argv.slice(2), has = (f) => argv.includes(f), value = (f) => (has(f) ? argv[argv.indexOf(f) + 1] : undefined);
const direct = has('--direct'), house = new House(process.env.SDK_HOUSE);
const only = value('--only') ?? (value('--grep') && new RegExp(value('--grep')));

globalThis.crypto ??= webcrypto;                // Node.js 18 has it under this name alone
globalThis.AI_SDK_LOG_WARNINGS = false;
console.warn = () => {};                        // Anthropic's SDK advises against the older models here
await house.start();
matrix(group, house, direct, features);
if (!direct) strictly(group, house, features);
if (!direct) for (const define of [basics, loops, agents, conversations, frameworks, errors, streams, badInput, insideUrls]) define(group, house);
const began = Date.now(), failed = await runAll({ only, list: has('--list'), verbose: has('--verbose') || (typeof only === 'string'), dead: () => house.dead });
const trouble = await house.stop();
if (trouble) console.log(`not ok - the house stops well\n${trouble}`);
const calls = Object.values(upstreams).reduce((n, u) => n + u.calls, 0), refused = Object.values(upstreams).reduce((n, u) => n + u.refused, 0);
console.log(`# ${calls} calls of the upstreams, ${refused} of them refused; ${((Date.now() - began) / 1000).toFixed(1)} s`);
process.exit(failed || trouble ? 1 : 0);
