// harness.mjs - a list of cases, run some at a time, and what came of them. A case is a name and an async function; it gets a
// context with its id (for prompts: "case:ID") and a record of every HTTP exchange that it made, whatever SDK made it.
import { AsyncLocalStorage } from 'node:async_hooks';
import { performance } from 'node:perf_hooks';

const LIMIT_MS = 20000;
const cases = [];
const store = new AsyncLocalStorage();

// ...within a group, which runs whole before the next one begins; `alone` runs one case at a time.
export function group(name, define, { alone = false } = {}) {
  define((title, run) => cases.push({ group: name, alone, name: `${name}/${title}`, run }));
}

// Every SDK calls fetch. This one notes what came back, byte for byte, for the case that asked.
const realFetch = globalThis.fetch;
globalThis.fetch = async (input, init) => {
  const ctx = store.getStore();
  if (!ctx) return realFetch(input, init);
  const sent = { url: String(input?.url ?? input), method: init?.method ?? 'GET', headers: new Headers(init?.headers), body: typeof init?.body === 'string' ? init.body : null };
  const exchange = { sent, status: 0, headers: new Headers(), raw: '', ended: false };
  const decoder = new TextDecoder();
  ctx.exchanges.push(exchange);
  const res = await realFetch(input, init);
  exchange.status = res.status;
  exchange.headers = res.headers;
  if (!res.body) { exchange.ended = true; return res; }
  const noting = new TransformStream({
    transform(chunk, to) { exchange.raw += decoder.decode(chunk, { stream: true }); to.enqueue(chunk); },
    flush() { exchange.raw += decoder.decode(); exchange.ended = true; },
  });
  return new Response(res.body.pipeThrough(noting), { status: res.status, statusText: res.statusText, headers: res.headers });
};

let serial = 0;
function context(c) {
  return {
    name: c.name, id: `c${++serial}`, exchanges: [],
    get last() { return this.exchanges.at(-1); },
    // A prompt that makes an upstream play `scene` and note the call under this case.
    say(scene, text = 'Hello') { return `scene:${scene} case:${this.id} ${text}`; },
  };
}

async function runOne(c) {
  const ctx = context(c), begin = performance.now();
  let timer;
  try {
    await store.run(ctx, () => Promise.race([c.run(ctx), new Promise((_, no) => { timer = setTimeout(() => no(new Error(`not done in ${LIMIT_MS} ms`)), LIMIT_MS); })]));
    return { c, ctx, ms: performance.now() - begin };
  } catch (error) {
    return { c, ctx, error, ms: performance.now() - begin };
  } finally { clearTimeout(timer); }
}

const clip = (s, n) => (s.length > n ? `${s.slice(0, n)}... (${s.length})` : s);

function report({ c, ctx, error }, verbose) {
  const lines = [`not ok - ${c.name}`, ...String(error.message ?? error).split('\n').slice(0, verbose ? 200 : 14).map((l) => `    ${clip(l, verbose ? 4000 : 300)}`)];
  if (verbose && error.stack) lines.push(...error.stack.split('\n').slice(1, 8).map((l) => `    ${l.trim()}`));
  const e = ctx.last;
  if (e) lines.push(`    last exchange: ${e.sent.method} ${e.sent.url} -> ${e.status}`, ...(verbose ? [`    sent: ${clip(e.sent.body ?? '', 3000)}`, `    got: ${clip(e.raw, 6000)}`] : [`    got: ${clip(e.raw, 300)}`]));
  lines.push(`    run it alone: node tests/sdk/run.mjs --only '${c.name}'`);
  return lines.join('\n');
}

async function pool(list, width, each) {
  let next = 0;
  await Promise.all(Array.from({ length: width }, async () => { while (next < list.length) await each(list[next++]); }));
}

// Runs what `only` names (a name or a RegExp); returns how many failed.
export async function runAll({ only, list, verbose = false, width = 12, dead = () => false } = {}) {
  const wanted = only ? cases.filter((c) => (only instanceof RegExp ? only.test(c.name) : c.name === only)) : cases;
  if (list) { for (const c of wanted) console.log(c.name); return 0; }
  const groups = [...new Set(wanted.map((c) => c.group))], failed = [], names = wanted.map((c) => c.name);
  const twice = names.find((n, i) => names.indexOf(n) !== i);
  let passed = 0;
  if (twice) throw new Error(`two cases are called ${twice}`);
  for (const g of groups) {
    const mine = wanted.filter((c) => c.group === g), begin = performance.now();
    let bad = 0;
    await pool(mine, mine[0].alone ? 1 : width, async (c) => {
      if (dead()) { failed.push(c.name); bad++; return; }
      const result = await runOne(c);
      if (result.error) { bad++; failed.push(c.name); console.log(report(result, verbose)); } else { passed++; if (verbose) console.log(`ok - ${c.name} (${result.ms.toFixed(0)} ms)`); }
    });
    console.log(`${bad ? 'not ok' : 'ok'} - ${g}: ${mine.length - bad} of ${mine.length} passed (${((performance.now() - begin) / 1000).toFixed(1)} s)`);
  }
  console.log(`# pass ${passed}\n# fail ${failed.length}`);
  return failed.length || (wanted.length ? 0 : 1);
}
