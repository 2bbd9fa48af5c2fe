// basics.mjs - what every client does before and around its calls: lists of models, keys in each header, paths with and without
// their prefixes, ids, errors as the SDK's own classes, aborts, retries; and answers that come by a detour.
import assert from 'node:assert/strict';

import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';

import { upstreams } from '../house.mjs';
import { ask, callers, targets, toldCost, nano } from '../matrix.mjs';
import { weather } from './features.mjs';

const calls = () => Object.values(upstreams).reduce((n, u) => n + u.calls, 0);
const hello = (ctx, more = {}) => ({ turns: [{ role: 'user', items: [{ text: ctx.say('hello') }] }], ...more });

async function raw(house, method, path, { body, headers = {}, key = 'bearer' } = {}) {
  const keys = { bearer: { authorization: `Bearer ${house.key}` }, 'x-api-key': { 'x-api-key': house.key }, 'x-goog-api-key': { 'x-goog-api-key': house.key }, 'api-key': { 'api-key': house.key }, none: {} };
  const res = await fetch(house.url + path, { method, headers: { ...keys[key], ...(body ? { 'content-type': 'application/json' } : {}), ...headers }, body: body && (typeof body === 'string' ? body : JSON.stringify(body)) });
  const text = await res.text();
  return { status: res.status, headers: res.headers, text, get json() { return JSON.parse(text); } };
}

const bodies = {
  chat: (ctx) => ({ model: 'openai/gpt-4.1', messages: [{ role: 'user', content: ctx.say('hello') }] }), responses: (ctx) => ({ model: 'openai/gpt-4.1', input: ctx.say('hello') }),
  messages: (ctx) => ({ model: 'openai/gpt-4.1', max_tokens: 100, messages: [{ role: 'user', content: ctx.say('hello') }] }), gemini: (ctx) => ({ contents: [{ parts: [{ text: ctx.say('hello') }] }] }),
};
const said = { chat: (j) => j.choices[0].message.content, responses: (j) => j.output[0].content[0].text, messages: (j) => j.content[0].text, gemini: (j) => j.candidates[0].content.parts[0].text };
const paths = {
  chat: ['/v1/chat/completions', '/chat/completions', '/v1/v1/chat/completions', '/v1/chat/completions/chat/completions', '/v1/chat/completions/', '/openai/v1/chat/completions'],
  responses: ['/v1/responses', '/responses', '/v1/v1/responses', '/v1/responses/responses'],
  messages: ['/v1/messages', '/messages', '/v1/v1/messages', '/v1/messages/v1/messages', '/v1/messages?beta=true', '/anthropic/v1/messages'],
  gemini: ['/v1beta/models/gpt-4.1:generateContent', '/v1/models/gpt-4.1:generateContent', '/models/gpt-4.1:generateContent', '/v1beta/v1beta/models/gpt-4.1:generateContent', '/v1beta/models/openai/gpt-4.1:generateContent', '/v1beta/models/openai%2Fgpt-4.1:generateContent'],
};

export function basics(group, house) {
  group('basics', (add) => {
    for (const caller of Object.keys(callers)) {
      for (const path of paths[caller]) add(`path/${path}`, async (ctx) => { const r = await raw(house, 'POST', path, { body: bodies[caller](ctx) }); assert.equal(r.status, 200, r.text); assert.equal(said[caller](r.json), 'Hello there, friend.'); });
      for (const key of ['bearer', 'x-api-key', 'x-goog-api-key', 'api-key']) add(`key/${caller}/${key}`, async (ctx) => { const r = await raw(house, 'POST', paths[caller][0], { body: bodies[caller](ctx), key }); assert.equal(r.status, 200, r.text); });
      add(`key/${caller}/query`, async (ctx) => { const r = await raw(house, 'POST', `${paths[caller][0]}?key=${house.key}`, { body: bodies[caller](ctx), key: 'none' }); assert.equal(r.status, 200, r.text); });
      add(`key/${caller}/two-that-differ`, async (ctx) => { const r = await raw(house, 'POST', paths[caller][0], { body: bodies[caller](ctx), headers: { 'x-api-key': 'tg_other' } }); assert.equal(r.status, 401, r.text); });
      add(`key/${caller}/none`, async (ctx) => { const r = await raw(house, 'POST', paths[caller][0], { body: bodies[caller](ctx), key: 'none' }); assert.equal(r.status, 401, r.text); });
      for (const stream of [false, true]) {
        add(`wrong-key/${caller}/${stream ? 'stream' : 'plain'}`, async (ctx) => { const r = await ask({ house: { url: house.url, key: 'tg_wrong' } }, caller, { model: 'gpt-4.1', ...hello(ctx) }, { stream }); assert.equal(r.fault?.status, 401); if (caller === 'messages') assert.equal(r.fault.type, 'authentication_error'); if (caller === 'gemini') assert.equal(r.fault.type, 'UNAUTHENTICATED'); if (caller === 'chat') assert.equal(r.fault.code, 'invalid_api_key'); });
        add(`no-such-model/${caller}/${stream ? 'stream' : 'plain'}`, async (ctx) => { const r = await ask({ house }, caller, { model: 'nonsuch', ...hello(ctx) }, { stream }); assert.equal(r.fault?.status, 404); if (caller === 'messages') assert.equal(r.fault.type, 'not_found_error'); if (caller === 'gemini') assert.equal(r.fault.type, 'NOT_FOUND'); if (['chat', 'responses'].includes(caller)) assert.equal(r.fault.code, 'model_not_found'); });
      }
      add(`unknown-path/${caller}`, async () => { const r = await raw(house, 'POST', { chat: '/v1/chat/nonsuch', responses: '/v1/responses/x/y', messages: '/v1/messages/nonsuch', gemini: '/v1beta/models/x:nonsuch' }[caller], { body: {}, headers: caller === 'messages' ? { 'anthropic-version': '2023-06-01' } : {} }); if (r.status === 405) return; assert.equal(r.status, 404, r.text); assert.match(r.text, /base URL|https?:\/\//i); });    // a name with a colon may be a model, which takes GET
      add(`request-id/${caller}`, async (ctx) => { const r = await ask({ house }, caller, { model: 'gpt-4.1', ...hello(ctx) }); if (r.fault) throw r.error; assert.match(r.requestId, /^req_[0-9a-z]+$/); });
      add(`auto/${caller}`, async (ctx) => { const r = await ask({ house }, caller, { model: 'auto', ...hello(ctx) }); if (r.fault) throw r.error; assert.equal(ctx.last.headers.get('x-tollgate-route'), 'default'); });
      add(`route-by-name/${caller}`, async (ctx) => { const r = await ask({ house }, caller, { model: 'default', ...hello(ctx) }); if (r.fault) throw r.error; assert.equal(ctx.last.headers.get('x-tollgate-route'), 'default'); });
      add(`abort/${caller}`, async (ctx) => abort(ctx, house, caller));
      add(`unretried/${caller}`, async (ctx) => {
        const r = await ask({ house }, caller, { model: `err-openai/gpt-4.1`, turns: [{ role: 'user', items: [{ text: ctx.say('server') }] }] });
        assert.equal(r.fault?.status, 502);
        assert.equal(upstreams.openai.of(ctx.id).length, 1, 'the SDK tried again');
      });
      for (const stream of [false, true]) {
        add(`escalated/${caller}/${stream ? 'stream' : 'plain'}`, async (ctx) => {
          const r = await ask({ house }, caller, { model: 'auto', turns: [{ role: 'user', items: [{ text: `scene:hello scene.openai:refusal case:${ctx.id} Hi` }] }] }, { stream, headers: { 'x-route': 'escalate' } });
          if (r.fault) throw r.error;
          assert.equal(r.text, 'Hello there, friend.');
          const h = ctx.last.headers;
          assert.deepEqual([h.get('x-tollgate-model'), h.get('x-tollgate-provider'), h.get('x-tollgate-attempts'), h.get('x-tollgate-route')], ['claude-sonnet-4-5', 'anthropic', '2', 'escalate']);
          // 11 in and 7 out of both: 2 and 8, 3 and 15 dollars a million.
          assert.equal(nano(toldCost(ctx.last)), BigInt(11 * 2000 + 7 * 8000 + 11 * 3000 + 7 * 15000));
        });
        add(`bad-arguments-escalated/${caller}/${stream ? 'stream' : 'plain'}`, async (ctx) => {
          const r = await ask({ house }, caller, { model: 'auto', tools: [weather], turns: [{ role: 'user', items: [{ text: `scene:tool scene.openai:badargs case:${ctx.id} Hi` }] }] }, { stream, headers: { 'x-route': 'escalate' } });
          if (r.fault) throw r.error;
          assert.equal(ctx.last.headers.get('x-tollgate-provider'), 'anthropic');
          assert.deepEqual(r.calls.map((c) => JSON.parse(c.args)), [{ city: 'Oslo' }]);
        });
        if (stream) add(`cut-stream-goes-on-elsewhere/${caller}`, async (ctx) => {
          const r = await ask({ house }, caller, { model: 'auto', turns: [{ role: 'user', items: [{ text: `scene:hello scene.google:cut case:${ctx.id} Hi` }] }] }, { stream, headers: { 'x-route': 'around' } });
          if (r.fault) throw r.error;
          assert.equal(r.text, 'Hello there, friend.');
          assert.equal(ctx.last.headers.get('x-tollgate-provider'), 'deepseek');
        });
      }
    }

    add('chat/no usage chunk unless asked', async (ctx) => {
      for await (const chunk of await new OpenAI({ baseURL: `${house.url}/v1`, apiKey: house.key }).chat.completions.create({ ...bodies.chat(ctx), stream: true })) { assert.equal(chunk.choices.length, 1); assert.equal(chunk.usage ?? undefined, undefined); }
    });
    for (const key of Object.keys(targets)) add(`chat/no usage chunk unless asked, from ${key}`, async (ctx) => {
      const t = targets[key];
      for await (const chunk of await new OpenAI({ baseURL: `${house.url}/v1`, apiKey: house.key }).chat.completions.create({ ...bodies.chat(ctx), model: `${t.provider}/${t.plain}`, stream: true })) assert.equal(chunk.choices.length, 1);
    });
    add('chat/errors are the SDK\'s own classes and nothing is sent', async (ctx) => {
      const before = calls(), client = new OpenAI({ baseURL: `${house.url}/v1`, apiKey: house.key });
      await assert.rejects(client.chat.completions.create({ ...bodies.chat(ctx), temperature: 9 }), (e) => e instanceof OpenAI.BadRequestError && e.param === 'temperature');
      await assert.rejects(client.chat.completions.create({ ...bodies.chat(ctx), model: 'nonsuch' }), (e) => e instanceof OpenAI.NotFoundError);
      await assert.rejects(new OpenAI({ baseURL: `${house.url}/v1`, apiKey: 'tg_wrong' }).chat.completions.create(bodies.chat(ctx)), (e) => e instanceof OpenAI.AuthenticationError);
      void before;
      assert.equal(upstreams.openai.of(ctx.id).length, 0);
    });
    add('messages/errors are the SDK\'s own classes', async (ctx) => {
      const client = new Anthropic({ baseURL: house.url, apiKey: house.key });
      await assert.rejects(client.messages.create({ ...bodies.messages(ctx), temperature: 9 }), (e) => e instanceof Anthropic.BadRequestError && /temperature/.test(e.message));
      await assert.rejects(client.messages.create({ ...bodies.messages(ctx), model: 'nonsuch' }), (e) => e instanceof Anthropic.NotFoundError);
    });
    add('budget/refused as each client shows it', async (ctx) => {
      for (const [caller, status] of [['chat', 429], ['responses', 400], ['messages', 429], ['gemini', 429]]) {
        const r = await ask({ house }, caller, { model: 'gpt-4.1', ...hello(ctx) }, { headers: { 'x-tollgate-max-cost-usd': '0.000000001' } });
        assert.equal(r.fault?.status, status, `${caller}: ${r.fault?.message}`);
        assert.equal(ctx.last.headers.get('x-should-retry'), 'false', caller);
        if (caller === 'messages') assert.equal(r.fault.type, 'billing_error');
        else if (caller === 'gemini') assert.equal(r.fault.type, 'RESOURCE_EXHAUSTED');
        else assert.equal(r.fault.code, 'insufficient_quota');
        assert.equal(ctx.exchanges.length, ['chat', 'responses', 'messages', 'gemini'].indexOf(caller) + 1, `${caller} tried again`);
      }
      assert.equal(upstreams.openai.of(ctx.id).length, 0);
    });

    add('models/openai', async () => {
      const client = new OpenAI({ baseURL: `${house.url}/v1`, apiKey: house.key }), ids = [];
      for await (const m of client.models.list()) { ids.push(m.id); assert.equal(m.object, 'model'); }
      for (const id of ['auto', 'default', 'openai/gpt-4.1', 'anthropic/claude-opus-4-7', 'google/gemini-2.5-flash']) assert.ok(ids.includes(id), id);
      assert.equal((await client.models.retrieve('anthropic/claude-opus-4-7')).owned_by, 'anthropic');
    });
    add('models/anthropic', async () => {
      const client = new Anthropic({ baseURL: house.url, apiKey: house.key }), ids = [];
      for await (const m of client.models.list({ limit: 1000 })) { ids.push(m.id); assert.equal(m.type, 'model'); assert.ok(m.display_name); assert.match(m.created_at, /^\d{4}-\d\d-\d\dT/); }
      for (const id of ['claude-auto', 'claude-default', 'claude-escalate']) assert.ok(ids.includes(id), `${id} is not among ${ids.join(' ')}`);
      const page = await client.models.list({ limit: 1000 });
      for (const k of ['has_more', 'first_id', 'last_id']) assert.ok(k in page.body || k in page, k);
    });
    add('models/anthropic in pages', async () => {
      const client = new Anthropic({ baseURL: house.url, apiKey: house.key }), all = [], paged = [];
      for await (const m of client.models.list({ limit: 1000 })) all.push(m.id);
      for await (const m of client.models.list({ limit: 2 })) { paged.push(m.id); assert.ok(paged.length <= all.length); }
      assert.deepEqual(paged, all);
    });
    for (const name of ['claude-auto', 'claude-default']) add(`models/${name} can be called`, async (ctx) => { const r = await ask({ house }, 'messages', { model: name, ...hello(ctx) }); if (r.fault) throw r.error; assert.equal(ctx.last.headers.get('x-tollgate-route'), 'default'); });
    add('models/gemini', async () => {
      const ids = [];
      for await (const m of await new GoogleGenAI({ apiKey: house.key, httpOptions: { baseUrl: house.url } }).models.list()) { ids.push(m.name); assert.ok(m.supportedActions?.includes('generateContent') ?? true); }
      assert.ok(ids.includes('models/auto'), ids.join(' '));
      assert.ok(ids.some((n) => n.includes('gemini-2.5-flash')), ids.join(' '));
    });

    add('legacy completions', async () => {
      const client = new OpenAI({ baseURL: `${house.url}/v1`, apiKey: house.key }), p = { model: 'openai/gpt-3.5-turbo-instruct', prompt: 'Once', max_tokens: 8 };
      assert.equal((await client.completions.create(p)).choices[0].text, ' upon a time');
      let text = '';
      for await (const c of await client.completions.create({ ...p, stream: true })) text += c.choices[0]?.text ?? '';
      assert.equal(text, ' upon a time');
      await assert.rejects(client.completions.create({ ...p, model: 'anthropic/claude-opus-4-7' }), (e) => e.status === 404);
    });
    add('embeddings', async (ctx) => {
      const client = new OpenAI({ baseURL: `${house.url}/v1`, apiKey: house.key }), p = { model: 'openai/text-embedding-3-small', input: ['a', 'b'] };
      const r = await client.embeddings.create(p);                  // the SDK asks for base64 and decodes it
      assert.deepEqual(r.data.map((d) => [d.index, d.embedding[1]]), [[0, -0.25], [1, -0.25]]);
      assert.equal(nano(toldCost(ctx.last)), 160n);                 // 8 tokens at 0.02 dollars a million
      assert.deepEqual((await client.embeddings.create({ ...p, encoding_format: 'float' })).data[0].embedding, [0.1, -0.25, 0.5]);
      await assert.rejects(client.embeddings.create({ ...p, model: 'anthropic/claude-opus-4-7' }), (e) => e.status === 404);
    });

    for (const key of Object.keys(targets)) {
      const t = targets[key], name = `${t.provider}/${t.plain}`;
      add(`count/messages-${key}`, async () => {
        const r = await new Anthropic({ baseURL: house.url, apiKey: house.key }).messages.countTokens({ model: name, system: 'Be brief.', messages: [{ role: 'user', content: 'How many tokens are these words?' }], tools: [{ name: 'weather', input_schema: weather.schema }] });
        assert.ok(r.input_tokens >= 10 && r.input_tokens < 5000, String(r.input_tokens));
      });
      add(`count/gemini-${key}`, async () => { const r = await new GoogleGenAI({ apiKey: house.key, httpOptions: { baseUrl: house.url } }).models.countTokens({ model: t.plain, contents: 'How many tokens are these words?' }); assert.ok(r.totalTokens >= 5 && r.totalTokens < 5000, String(r.totalTokens)); });
      add(`count/responses-${key}`, async () => { const r = await new OpenAI({ baseURL: `${house.url}/v1`, apiKey: house.key }).responses.inputTokens.count({ model: name, input: 'How many tokens are these words?' }); assert.equal(r.object, 'response.input_tokens'); assert.ok(r.input_tokens >= 5 && r.input_tokens < 5000); });
    }
    add('head /', async () => { const r = await raw(house, 'HEAD', '/', { key: 'none' }); assert.equal(r.status, 200); });
    add('gemini array stream', async (ctx) => {
      const r = await raw(house, 'POST', '/v1beta/models/gpt-4.1:streamGenerateContent', { body: bodies.gemini(ctx), key: 'x-goog-api-key' });
      assert.equal(r.status, 200, r.text);
      assert.match(r.headers.get('content-type'), /^application\/json/);
      assert.ok(Array.isArray(r.json));
      assert.equal(r.json.flatMap((c) => c.candidates?.[0].content?.parts ?? []).map((p) => p.text ?? '').join(''), 'Hello there, friend.');
    });
    add('snake_case of Gemini', async (ctx) => {
      const r = await raw(house, 'POST', '/v1beta/models/claude-sonnet-4-5:generateContent', { body: { system_instruction: { parts: [{ text: 'Be brief.' }] }, contents: [{ role: 'user', parts: [{ text: ctx.say('hello') }, { inline_data: { mime_type: 'image/png', data: 'iVBORw0KGgo=' } }] }], generation_config: { max_output_tokens: 77, top_k: 5 } }, key: 'x-goog-api-key' });
      assert.equal(r.status, 200, r.text);
      const { seen } = upstreams.anthropic.of(ctx.id)[0];
      assert.deepEqual([seen.max, seen.topK, seen.system[0], seen.turns[0].items[1].image.type], [77, 5, 'Be brief.', 'image/png']);
    });
  });
}

async function abort(ctx, house, caller) {
  const up = upstreams.deepseek, model = caller === 'gemini' ? 'deepseek-v4-flash' : 'deepseek/deepseek-v4-flash', params = callers[caller].build({ model, turns: [{ role: 'user', items: [{ text: ctx.say('dawdle') }] }] });
  const client = callers[caller].client(house), control = new AbortController();
  const begin = { chat: () => client.chat.completions.create({ ...params, stream: true }, { signal: control.signal }), responses: () => client.responses.create({ ...params, stream: true }, { signal: control.signal }),
    messages: () => client.messages.create({ ...params, stream: true }, { signal: control.signal }), gemini: () => client.models.generateContentStream({ ...params, config: { ...params.config, abortSignal: control.signal } }) };
  const stream = await begin[caller]();
  try { for await (const chunk of stream) { void chunk; control.abort(); } } catch (e) { if (!/abort/i.test(`${e.name} ${e.message}`)) throw e; }
  for (let i = 0; i < 300 && !up.of(ctx.id)[0]?.aborted; i++) await new Promise((r) => setTimeout(r, 10));
  assert.ok(up.of(ctx.id)[0].aborted, 'the upstream was not cancelled');
}
