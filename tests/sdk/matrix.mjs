// matrix.mjs - a feature, through every caller's SDK to every provider, whole and streamed: asks it, then looks at all that can
// be seen: what the upstream got, what the SDK gathered, headers, warnings, usage in the caller's own counting, the price.
import assert from 'node:assert/strict';

import * as chat from './callers/chat.mjs';
import * as gemini from './callers/gemini.mjs';
import * as messages from './callers/messages.mjs';
import * as responses from './callers/responses.mjs';
import { checkGrammar } from './grammar.mjs';
import { costNano, upstreams } from './house.mjs';
import { scene as sceneNamed } from './upstreams/scenes.mjs';
import * as anthropicMock from './upstreams/anthropic.mjs';
import * as deepseekMock from './upstreams/deepseek.mjs';
import * as geminiMock from './upstreams/gemini.mjs';
import * as mistralMock from './upstreams/mistral.mjs';
import * as openaiMock from './upstreams/openai.mjs';

export const callers = { chat, responses, messages, gemini };

// `plain` takes sampling, `thinks` reasons. `dialect` is the caller that it passes to byte for byte. `chat` is OpenAI without its
// Responses, so that callers of Responses are translated.
export const targets = {
  chat: { provider: 'chatonly', upstream: 'openai', dialect: 'chat', plain: 'gpt-4.1', thinks: 'gpt-5.5' },
  responses: { provider: 'openai', dialect: 'responses', plain: 'gpt-5.5-pro', thinks: 'gpt-5.5-pro' },
  anthropic: { provider: 'anthropic', dialect: 'messages', plain: 'claude-sonnet-4-5', thinks: 'claude-opus-4-7' },
  gemini: { provider: 'google', dialect: 'gemini', plain: 'gemini-2.5-flash', thinks: 'gemini-3.1-pro-preview' },
  deepseek: { provider: 'deepseek', dialect: 'chat', plain: 'deepseek-v4-flash', thinks: 'deepseek-v4-flash' },
  mistral: { provider: 'mistral', dialect: 'chat', plain: 'mistral-large-2512', thinks: 'mistral-small-2603' },
};
for (const [key, t] of Object.entries(targets)) { t.key = key; t.upstream ??= t.provider; }

const mockKeys = { openai: openaiMock.KEY, anthropic: anthropicMock.KEY, google: geminiMock.KEY, deepseek: deepseekMock.KEY, mistral: mistralMock.KEY };

// ---- usage ----

// What a provider can report of a scene's counts: few know of cache writes, some not of thoughts.
export function reported(target, u) {
  const writes = u.write5m + u.write1h;
  switch (target.upstream) {
  case 'anthropic': return u;
  case 'openai': return { ...u, write5m: writes, write1h: 0 };
  case 'mistral': return { ...u, fresh: u.fresh + writes, write5m: 0, write1h: 0, out: u.out + u.reasoning, reasoning: 0 };
  default: return { ...u, fresh: u.fresh + writes, write5m: 0, write1h: 0 };
  }
}

// The same in a caller's counting.
export function counted(caller, u) {
  const writes = u.write5m + u.write1h, prompt = u.fresh + u.read + writes;
  switch (caller) {
  case 'messages': return { fresh: u.fresh, read: u.read, write: writes, out: u.out + u.reasoning, reasoning: u.reasoning };
  case 'gemini': return { fresh: u.fresh + writes, read: u.read, out: u.out, reasoning: u.reasoning, total: prompt + u.out + u.reasoning, exclusive: true };
  default: return { fresh: u.fresh + writes, read: u.read, out: u.out + u.reasoning, reasoning: u.reasoning, total: prompt + u.out + u.reasoning };
  }
}

export const nano = (usd) => { const [a, b = ''] = String(usd).split('.'); return BigInt(a + b.padEnd(9, '0')); };

// ---- one ask ----

// The cost that was told: in a header, or in the last comment of a stream.
export function toldCost(exchange) {
  return exchange.headers.get('x-tollgate-cost-usd') ?? /^: ?x-tollgate-cost-usd=(\S+)\r?$/m.exec(exchange.raw)?.[1] ?? null;
}

export const warnings = (exchange) => (exchange.headers.get('x-tollgate-warning') ?? '').split(/,\s*/).filter(Boolean).sort();

// Asks through the SDK; the result, or { fault }.
export async function ask(t, caller, a, { stream = false, headers = {} } = {}) {
  const c = callers[caller];
  try {
    const params = c.build(a);
    return await c[stream ? 'stream' : 'plain'](t.house, params, headers);
  } catch (e) {
    const fault = c.fault(e);
    if (!fault.known && !stream) throw e;
    return { fault, error: e };
  }
}

const plainText = (s) => s.choices[0].parts.filter((p) => p.text !== undefined).map((p) => p.text).join('');

export function sameJson(got, want, what) { assert.deepEqual(JSON.parse(got), JSON.parse(want), what); }

// What any answer of this scene must hold, whoever asked.
export function checkAnswer(r, s, k, more = {}) {
  const calls = s.choices[0].parts.filter((p) => p.call);
  if (more.text !== '*') assert.equal(r.text, plainText(s), 'the text');
  assert.deepEqual(r.calls.map((c) => c.name), calls.map((c) => c.call), 'the names of the calls');
  calls.forEach((c, i) => sameJson(r.calls[i].args, c.args, `the arguments of call ${i}`));
  if (k.caller !== 'gemini') { const ids = r.calls.map((c) => c.id); assert.ok(ids.every(Boolean), 'a call has no id'); assert.equal(new Set(ids).size, ids.length, 'ids of calls repeat'); }
  const wanted = more.finish ?? { stop: 'stop', calls: 'calls', length: 'length', sequence: k.caller === 'messages' && k.target.key === 'anthropic' ? 'sequence' : 'stop', filter: k.caller === 'messages' ? 'refusal' : 'filter', window: 'length' }[s.choices[0].finish];
  if (wanted !== '*') assert.equal(r.finish, wanted, 'why it ended');
}

export function checkHead(t, k, exchange, warns, maybe = []) {
  const h = exchange.headers;
  assert.match(h.get('x-tollgate-request-id') ?? '', /^req_[0-9a-z]+$/, 'x-tollgate-request-id');
  assert.equal(h.get('x-tollgate-provider'), k.target.provider, 'x-tollgate-provider');
  assert.equal(h.get('x-tollgate-model'), k.model, 'x-tollgate-model');
  assert.equal(h.get('x-tollgate-route'), 'direct', 'x-tollgate-route');
  assert.equal(h.get('x-tollgate-attempts'), '1', 'x-tollgate-attempts');
  for (const n of ['request-id', 'x-request-id']) assert.equal(h.get(n), h.get('x-tollgate-request-id'), n);
  const got = warnings(exchange), rest = [...got];
  for (const w of warns) { const i = rest.findIndex((x) => (w instanceof RegExp ? w.test(x) : x === w)); assert.ok(i >= 0, `the warning ${w} is missing; there: ${got.join(', ') || 'none'}`); rest.splice(i, 1); }
  assert.deepEqual(rest.filter((x) => !maybe.some((m) => m.test(x))), [], 'warnings that nothing explains');
}

export function checkMoney(k, exchange, s, r) {
  const use = reported(k.target, s.usage), cost = toldCost(exchange);
  assert.notEqual(cost, null, 'no cost was told');
  assert.equal(nano(cost), costNano(`${k.target.upstream}/${k.model}`, use), `x-tollgate-cost-usd ${cost} of ${JSON.stringify(use)}`);
  if (r.usage) assert.deepEqual(r.usage, counted(k.caller, use), 'usage in the caller\'s counting');
}

function upstreamCall(ctx, k, n = 1) {
  const calls = upstreams[k.target.upstream].of(ctx.id);
  for (const c of calls) assert.equal(c.refusal, null, `the upstream refused: ${c.refusal}\n    it got ${c.raw.slice(0, 1500)}`);
  assert.equal(calls.length, n, 'calls of the upstream');
  return calls.at(-1);
}

// A feature:
//   callers, targets   who takes part (all); model: plain | thinks; modes: ['plain', 'stream']
//   scene              what the upstream plays;   ask(ctx, k): the ask without its model
//   refused(k)         null, or what the 400's message or param must name (a RegExp): nothing may reach the upstream
//   warns(k)           the warnings that must be there, and no others but those of maybe(k)
//   see(seen, k, call) what the upstream must have got;   check(result, k): beyond the usual
//   expect(k)          { text, finish } in place of the scene's, '*' for any;   money: false when usage is not the scene's
export function matrix(group, house, direct, features) {
  group('features', (add) => {
    for (const f of features) for (const caller of f.callers ?? Object.keys(callers)) for (const key of f.targets ?? Object.keys(targets)) for (const mode of f.modes ?? ['plain', 'stream']) {
      const target = targets[key], model = target[f.model ?? 'plain'], k = { caller, target, model, mode, stream: mode === 'stream', same: caller === target.dialect };
      if (f.skip?.(k)) continue;
      if (direct && (!k.same || f.direct === false || f.refused?.(k) || (f.ownWords && ['deepseek', 'mistral'].includes(key)) || (key === 'mistral' && k.stream))) continue;    // Mistral takes no stream_options, which the SDK's caller sends
      add(`${f.name}/${caller}-${key}/${mode}`, (ctx) => (direct ? askDirect(ctx, f, k) : askThrough(ctx, house, f, k)));
    }
  });
}

// With a strict key every warning is a refusal that names what would have been left out or changed.
export function strictly(group, house, features) {
  group('strict', (add) => {
    for (const f of features) for (const caller of f.callers ?? Object.keys(callers)) for (const key of f.targets ?? Object.keys(targets)) {
      const target = targets[key], model = target[f.model ?? 'plain'], k = { caller, target, model, mode: 'plain', stream: false, same: caller === target.dialect };
      if (f.skip?.(k) || f.refused?.(k) || !f.warns?.(k)?.length) continue;
      add(`${f.name}/${caller}-${key}`, async (ctx) => {
        const r = await ask({ house: { url: house.url, key: house.strictKey } }, caller, { model: `${target.provider}/${model}`, ...f.ask(ctx, k) }, { headers: f.headers?.(k) });
        checkRefused(ctx, k, r, f.warns(k)[0], ctx.last);
      });
    }
  });
}

async function askThrough(ctx, house, f, k) {
  const t = { house }, s = sceneNamed(f.scene ?? 'hello', 0, k.target.upstream);
  const a = { model: `${k.target.provider}/${k.model}`, ...f.ask(ctx, k) };
  const refused = f.refused?.(k), r = await ask(t, k.caller, a, { stream: k.stream, headers: f.headers?.(k) });
  const exchange = ctx.last;
  if (refused) return checkRefused(ctx, k, r, refused, exchange);
  if (r.fault) throw r.error;
  const call = upstreamCall(ctx, k);
  f.see?.(call.seen, k, call);
  checkHead(t, k, exchange, f.warns?.(k) ?? [], f.maybe?.(k));
  checkAnswer(r, s, k, f.expect?.(k));
  f.check?.(r, k, exchange);
  if (f.money !== false) checkMoney(k, exchange, s, r);
  checkGrammar(k.caller, exchange, k.stream);
}

function checkRefused(ctx, k, r, refused, exchange) {
  assert.ok(r.fault, 'it was answered, not refused');
  assert.equal(r.fault.status, 400, `${r.fault.status} ${r.fault.message}`);
  assert.match(`${r.fault.param ?? ''} ${r.fault.message}`, refused, 'the field that the refusal names');
  assert.equal(upstreams[k.target.upstream].of(ctx.id).length, 0, 'it reached the upstream');
  assert.equal(exchange.headers.get('x-should-retry') ?? 'false', 'false');
  assert.equal(nano(toldCost(exchange) ?? '0'), 0n, 'it was charged');
}

// The SDK on the upstream itself.
async function askDirect(ctx, f, k) {
  const up = upstreams[k.target.upstream], t = { house: { url: up.url, key: mockKeys[k.target.upstream] } }, s = sceneNamed(f.scene ?? 'hello', 0, k.target.upstream);
  const r = await ask(t, k.caller, { model: k.model, ...f.ask(ctx, k) }, { stream: k.stream });
  if (r.fault) throw r.error;
  const call = upstreamCall(ctx, k);
  f.see?.(call.seen, k, call);
  checkAnswer(r, s, k, f.expect?.(k));
  f.check?.(r, k, ctx.last);
  if (f.money !== false && r.usage && k.target.key !== 'mistral') assert.deepEqual(r.usage, counted(k.caller, reported(k.target, s.usage)), 'usage');
}
