// loops.mjs - tool loops of three rounds, as an agent runs them: what the SDK returned goes back as it came, the tools' results
// behind it. Thoughts and signatures must be back at the provider that issued them, whatever the caller's dialect can carry; and
// must not be there when another provider goes on.
import assert from 'node:assert/strict';

import { checkGrammar } from '../grammar.mjs';
import { upstreams } from '../house.mjs';
import { ask, checkAnswer, checkMoney, targets } from '../matrix.mjs';
import { scene } from '../upstreams/scenes.mjs';
import { tools } from './features.mjs';

const THOUGHTS = ['I need the weather in Oslo.', 'Now Bergen, and the time.'];

// How a caller asks for thoughts; each dialect in its own words.
const thinking = { chat: { effort: 'high' }, responses: { effort: 'high', thoughts: true }, messages: { thoughts: true }, gemini: { effort: 'high', thoughts: true } };

// One loop; `route(n)` names the target of round n. Returns the seens.
async function loop(ctx, house, caller, name, route, { stream, budget, calm, rounds = 3 }) {
  const turns = [{ role: 'user', items: [{ text: ctx.say(name) }] }], seens = [], more = calm ? {} : budget ? { budget, thoughts: true, max: 8192 } : thinking[caller];
  for (let n = 0; n < rounds; n++) {
    const { target, model } = route(n), k = { caller, target, model };
    const a = { model: `${target.provider}/${model}`, system: ['Use the tools.'], tools, ...more, turns };
    const r = await ask({ house }, caller, a, { stream });
    const calls = upstreams[target.upstream].of(ctx.id), call = calls.at(-1);
    for (const c of calls) assert.equal(c.refusal, null, `round ${n}: the upstream refused: ${c.refusal}\n    it got ${c.raw.slice(0, 2500)}`);
    if (r.fault) throw r.error;
    const s = scene(name, n, target.upstream);
    try {
      checkAnswer(r, s, k);
      checkMoney(k, ctx.last, s, r);
      checkGrammar(caller, ctx.last, stream);
    } catch (e) { e.message = `round ${n}: ${e.message}`; throw e; }
    seens.push(call.seen);
    turns.push({ role: 'assistant', items: [{ native: r.native }] });
    if (r.calls.length) turns.push({ role: 'user', items: r.calls.map((c) => ({ result: { id: c.id, name: c.name, text: `result of ${c.name} ${c.args}` } })) });
  }
  return seens;
}

const of = (seen, kind) => seen.turns.flatMap((t) => t.items).filter((i) => i[kind] !== undefined);

// What the last request must have brought back to the provider whose thoughts they were.
function checkReturned(target, seen, caller) {
  const results = of(seen, 'result').map((i) => i.result.text);
  assert.equal(results.length, 3, 'results');
  results.forEach((t, i) => assert.match(t, [/Oslo/, /Bergen/, /now/][i], 'results are out of order'));
  switch (target.key) {
  case 'deepseek': assert.deepEqual(of(seen, 'reasoning').map((i) => i.reasoning), THOUGHTS, 'reasoning_content is not back'); break;
  case 'anthropic': assert.deepEqual(of(seen, 'reasoning').map((i) => i.reasoning), THOUGHTS, 'thinking blocks are not back'); break;
  case 'gemini': assert.deepEqual(of(seen, 'call').map((i) => i.signature), ['own', 'own', undefined], 'thought signatures are not back'); break;
  case 'responses': assert.equal(of(seen, 'reasoning').length, 2, 'reasoning items are not back'); break;
  default: void caller;
  }
}

const CALLERS = ['chat', 'responses', 'messages', 'gemini'];
const MIXED = [['gemini', 'anthropic', 'deepseek'], ['anthropic', 'gemini', 'chat'], ['deepseek', 'anthropic', 'gemini'], ['responses', 'deepseek', 'anthropic'], ['chat', 'responses', 'gemini'], ['gemini', 'deepseek', 'responses'], ['anthropic', 'responses', 'mistral'], ['mistral', 'gemini', 'anthropic']];

export function loops(group, house) {
  group('loops', (add) => {
    for (const caller of CALLERS) for (const key of Object.keys(targets)) for (const stream of [false, true]) {
      const target = targets[key], mode = stream ? 'stream' : 'plain';
      add(`thinking/${caller}-${key}/${mode}`, async (ctx) => { const seens = await loop(ctx, house, caller, 'loop', () => ({ target, model: target.thinks }), { stream }); checkReturned(target, seens[2], caller); });
      add(`talking/${caller}-${key}/${mode}`, async (ctx) => {
        const turns = await loop(ctx, house, caller, 'plainloop', () => ({ target, model: target.plain }), { stream, calm: true, rounds: 2 });
        assert.deepEqual(of(turns[1], 'call').map((i) => i.call.name), ['weather', 'now']);
        assert.equal(turns[1].turns[1].items.map((i) => i.text ?? '').join(''), 'Looking.', 'the text beside the calls is lost');
      });
    }
    for (const caller of ['messages', 'gemini']) for (const stream of [false, true])
      add(`budget/${caller}-anthropic/${stream ? 'stream' : 'plain'}`, async (ctx) => { const seens = await loop(ctx, house, caller, 'loop', () => ({ target: targets.anthropic, model: 'claude-sonnet-4-5' }), { stream, budget: 2048 }); checkReturned(targets.anthropic, seens[2], caller); });
    for (const caller of CALLERS) for (const [i, keys] of MIXED.entries())
      add(`handed-on/${caller}/${keys.join('-')}`, (ctx) => loop(ctx, house, caller, 'loop', (n) => ({ target: targets[keys[n]], model: targets[keys[n]].thinks }), { stream: i % 2 === 1 }));
  });
}
