// conversations.mjs - chats of several turns with the AI SDK's openai('model'), which believes its answers stored: texts and
// reasoning of earlier turns come back as ids alone (item_reference), as with response.messages or useChat. Whoever answers next
// must get them whole, in order; OpenAI's own stay its own.
import assert from 'node:assert/strict';

import { createOpenAI } from '@ai-sdk/openai';
import { generateText, stepCountIs, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { z } from 'zod';

import { upstreams } from '../house.mjs';
import { targets } from '../matrix.mjs';

const tools = {
  weather: tool({ description: 'The weather of a city', inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => ({ city, degrees: 12 }) }),
  now: tool({ description: 'The time', inputSchema: z.object({}), execute: async () => 'noon' }),
};

const SAYS = { think: 'Forty-two.', loop: 'Oslo 12, Bergen 9 degrees.', plainloop: 'Oslo 12 degrees.', hello: 'Hello there, friend.', unicode: /^Grüße 🌍 — 日本語/ };

// One turn: what the user says, the model's steps, their messages with their metadata.
async function turn(ctx, house, messages, scene, { target, model, stream, options = {}, key = house.key }) {
  const ask = { model: createOpenAI({ baseURL: `${house.url}/v1`, apiKey: key })(`${target.provider}/${model ?? target.plain}`), tools, stopWhen: stepCountIs(5), maxRetries: 0,
    messages: [...messages, { role: 'user', content: ctx.say(scene) }], providerOptions: { openai: options } };
  let r, error;
  if (stream) {
    r = streamText({ ...ask, onError: (e) => { error ??= e.error; } });
    await r.consumeStream({ onError: (e) => { error ??= e; } });
    if (error) throw error;
  } else r = await generateText(ask);
  const text = await r.text;
  if (typeof SAYS[scene] === 'string') assert.equal(text, SAYS[scene]); else assert.match(text, SAYS[scene]);
  for (const c of upstreams[target.upstream].of(ctx.id)) assert.equal(c.refusal, null, `the upstream refused: ${c.refusal}\n    it got ${c.raw.slice(0, 2500)}`);
  return [...ask.messages, ...(await r.response).messages];
}

const sent = (ctx) => JSON.parse(ctx.last.sent.body).input;
const references = (ctx) => sent(ctx).filter((i) => i.type === 'item_reference').map((i) => i.id);
const seenLast = (ctx, target) => upstreams[target.upstream].of(ctx.id).at(-1).seen.turns;
const of = (turns, role, kind) => turns.filter((t) => t.role === role).flatMap((t) => t.items).filter((i) => i[kind] !== undefined).map((i) => i[kind]);

const texts = (turns) => of(turns, 'assistant', 'text').join('|');

const THOUGHTS = ['I need the weather in Oslo.', 'Now Bergen, and the time.'];

// At the end of the loop, what led to its calls must be back at who thought it.
function checkThoughts(ctx, target) {
  const turns = upstreams[target.upstream].of(ctx.id)[3].seen.turns, back = of(turns, 'assistant', 'reasoning');
  switch (target.key) {
  case 'deepseek': case 'anthropic': assert.deepEqual(back.filter((t) => THOUGHTS.includes(t)), THOUGHTS, 'reasoning is not back'); break;
  case 'gemini': assert.deepEqual(turns.flatMap((x) => x.items).filter((i) => i.call).map((i) => i.signature), ['own', 'own', undefined], 'thought signatures are not back'); break;
  case 'responses': assert.equal(back.length, 3, 'reasoning items are not back'); break;
  default:
  }
}

function talks(add, house) {
  for (const key of Object.keys(targets)) for (const stream of [false, true]) for (const thinks of [false, true]) {
    const target = targets[key], model = thinks ? target.thinks : target.plain;
    add(`ai-sdk/${key}/${thinks ? 'thinking' : 'plain'}${stream ? '-streamed' : ''}`, async (ctx) => {
      const how = { target, model, stream, options: thinks ? { reasoningEffort: 'high', reasoningSummary: 'auto', forceReasoning: true } : {} };
      let messages = await turn(ctx, house, [], thinks ? 'think' : 'unicode', how);
      messages = await turn(ctx, house, messages, thinks ? 'loop' : 'plainloop', how);
      if (thinks) checkThoughts(ctx, target);
      // Of a model that it takes for one that thinks the SDK sends the id of a text behind a thought alone.
      if (!thinks || messages.some((m) => Array.isArray(m.content) && m.content.some((p) => p.type === 'reasoning'))) assert.ok(references(ctx).length, 'the SDK sends items, not their ids');
      else assert.ok(['chat', 'mistral'].includes(key), 'nobody thought');
      await turn(ctx, house, messages, 'hello', how);
      const turns = seenLast(ctx, target);
      if (thinks) assert.equal(texts(turns), 'Forty-two.|Oslo 12, Bergen 9 degrees.');
      else assert.match(texts(turns), /^Grüße 🌍 — 日本語[^|]*\|Looking\.\|Oslo 12 degrees\.$/);
      assert.deepEqual(of(turns, 'assistant', 'call').map((c) => c.name), thinks ? ['weather', 'weather', 'now'] : ['weather', 'now']);
      assert.equal(of(turns, 'user', 'result').length, thinks ? 3 : 2, 'results');
    });
  }
}

// Every turn with another provider: what the ids of one stand for goes to the next. OpenAI, at the end, has none of them.
const WAYS = [['deepseek', 'anthropic', 'gemini'], ['gemini', 'deepseek', 'anthropic'], ['anthropic', 'gemini', 'responses'], ['deepseek', 'chat', 'responses'], ['mistral', 'responses', 'responses']];

function handedOn(add, house) {
  for (const keys of WAYS) for (const stream of [false, true])
    add(`handed-on/${keys.join('-')}${stream ? '-streamed' : ''}`, async (ctx) => {
      let messages = [];
      for (const [n, scene] of ['plainloop', 'loop', 'hello'].entries()) messages = await turn(ctx, house, messages, scene, { target: targets[keys[n]], stream });
      const turns = seenLast(ctx, targets[keys[2]]);
      assert.ok(references(ctx).length);
      assert.equal(texts(turns), 'Looking.|Oslo 12 degrees.|Oslo 12, Bergen 9 degrees.');
      assert.equal(of(turns, 'user', 'result').length, 5, 'results');
    });
}

const refused = async (run, id, more = {}) => {
  await assert.rejects(run, (e) => {
    assert.equal(e.statusCode ?? e.status, 400, String(e));
    assert.match(e.message, new RegExp(`'${id}'`));
    assert.match(e.message, /expired[^]*[Ss]end the item itself/);
    if (more.param) assert.equal(e.param, more.param);
    return true;
  });
};

function gone(add, house) {
  const target = targets.deepseek, unknown = `msg_${'0'.repeat(26)}_1`;

  for (const key of ['deepseek', 'anthropic', 'responses']) add(`expired/${key}`, async (ctx) => {
    const history = [{ role: 'user', content: 'Hi' }, { role: 'assistant', content: [{ type: 'text', text: 'Ho', providerOptions: { openai: { itemId: unknown } } }] }];
    await refused(() => turn(ctx, house, history, 'hello', { target: targets[key] }), unknown);
    assert.equal(upstreams[targets[key].upstream].of(ctx.id).length, 0, 'it reached the upstream');
    assert.match(ctx.last.raw, /"code":\s*"item_not_found"/);
  });
  add('expired/openai-sdk', async (ctx) => {
    const client = new OpenAI({ baseURL: `${house.url}/v1`, apiKey: house.key, maxRetries: 0 });
    const input = [{ role: 'user', content: ctx.say('hello') }, { type: 'item_reference', id: unknown }, { role: 'user', content: 'And?' }];
    await refused(() => client.responses.create({ model: `${target.provider}/${target.plain}`, input }), unknown, { param: 'input[1].id' });
  });
  add('another-key', async (ctx) => {
    const messages = await turn(ctx, house, [], 'hello', { target });
    await turn(ctx, house, messages, 'hello', { target });
    const [id] = references(ctx), { key } = JSON.parse(await house.run('keys', 'create', '--team', 'others', '--name', 'second', '--format', 'json'));
    for (let n = 0; n < 50; n++) {              // a running gateway heeds a new key within a second
      if ((await fetch(`${house.url}/v1/models`, { headers: { authorization: `Bearer ${key}` } })).status === 200) break;
      await new Promise((done) => setTimeout(done, 100));
    }
    await refused(() => turn(ctx, house, messages, 'hello', { target, key }), id);
    await turn(ctx, house, messages, 'hello', { target });
  });
  // What the 400 advises.
  for (const key of ['deepseek', 'anthropic', 'gemini', 'responses']) add(`not-stored/${key}`, async (ctx) => {
    const how = { target: targets[key], options: { store: false } }, messages = await turn(ctx, house, [], 'plainloop', how);
    await turn(ctx, house, messages, 'hello', how);
    assert.deepEqual(references(ctx), []);
    assert.equal(texts(seenLast(ctx, how.target)), 'Looking.|Oslo 12 degrees.');
    const kept = sent(ctx).find((i) => i.role === 'assistant').id;
    if (kept?.startsWith('msg_') && key !== 'responses') {       // nothing of it is remembered
      const history = [{ role: 'user', content: 'Hi' }, { role: 'assistant', content: [{ type: 'text', text: 'Ho', providerOptions: { openai: { itemId: kept } } }] }];
      await refused(() => turn(ctx, house, history, 'hello', { target: targets[key] }), kept);
    }
  });
}

export function conversations(group, house) {
  group('conversations', (add) => { talks(add, house); handedOn(add, house); gone(add, house); });
}
