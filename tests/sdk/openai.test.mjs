// openai.test.mjs - the real SDK, unmodified, through the gateway. Started by run.mjs, which sets its environment.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import OpenAI from 'openai';

const openai = new OpenAI();
const mock = process.env.MOCK_URL;
const script = (model, ...lines) => fetch(`${mock}/mock/script/${model}`, { method: 'POST', body: lines.join('\n') });
const stats = async () => (await fetch(`${mock}/mock/stats`)).json();
const ask = (more) => ({ model: 'auto', messages: [{ role: 'user', content: 'Hi' }], ...more });

test('a plain completion, with its request id and our headers', async () => {
  await script('cheap', 'text=Hello');
  const { data, response, request_id } = await openai.chat.completions.create(ask()).withResponse();
  assert.equal(data.choices[0].message.content, 'Hello');
  assert.equal(data.usage.total_tokens, 15);
  assert.match(request_id, /^req_[0-9a-z]{26}$/);
  assert.equal(response.headers.get('x-tollgate-route'), 'default');
  assert.equal(response.headers.get('x-tollgate-cost-usd'), '0.00002');
});

test('a stream, and its usage when asked for', async () => {
  await script('cheap', 'text=Hello%20world,chunks=3');
  let text = '', usage = null;
  for await (const chunk of await openai.chat.completions.create(ask({ stream: true, stream_options: { include_usage: true } }))) {
    text += chunk.choices[0]?.delta?.content ?? '';
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, 'Hello world');
  assert.equal(usage.completion_tokens, 5);
});

test('a stream without usage has no chunk without choices', async () => {
  await script('cheap', 'text=Hello,chunks=2');
  for await (const chunk of await openai.chat.completions.create(ask({ stream: true }))) {
    assert.equal(chunk.choices.length, 1);
    assert.equal(chunk.usage, undefined);
  }
});

const weather = { type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } } };

test('tool calls, plain and streamed, through the SDK\'s own accumulator', async () => {
  await script('cheap', 'tool=weather,args={%22city%22:%22Oslo%22}');
  const plain = await openai.chat.completions.create(ask({ tools: [weather] }));
  assert.equal(plain.choices[0].message.tool_calls[0].function.name, 'weather');
  assert.deepEqual(JSON.parse(plain.choices[0].message.tool_calls[0].function.arguments), { city: 'Oslo' });
  await script('cheap', 'tool=weather,args={%22city%22:%22Oslo%22},chunks=5');
  const done = await openai.chat.completions.stream(ask({ tools: [weather] })).finalChatCompletion();
  assert.deepEqual(JSON.parse(done.choices[0].message.tool_calls[0].function.arguments), { city: 'Oslo' });
});

test('a refused first answer is escalated and the caller sees only the good one', async () => {
  await script('cheap', 'refuse');
  await script('strong', 'text=42');
  const { data, response } = await openai.chat.completions.create(ask()).withResponse();
  assert.equal(data.choices[0].message.content, '42');
  assert.equal(response.headers.get('x-tollgate-model'), 'strong');
  await script('cheap', 'text=Hello');
});

test('errors are the SDK\'s own classes, and a wrong call is made once', async () => {
  const before = (await stats()).requests;
  await assert.rejects(openai.chat.completions.create(ask({ temperature: 9 })),
    (e) => e instanceof OpenAI.BadRequestError && e.param === 'temperature' && e.type === 'invalid_request_error');
  await assert.rejects(openai.chat.completions.create(ask({ model: 'nonsuch' })),
    (e) => e instanceof OpenAI.NotFoundError && e.code === 'model_not_found');
  const wrong = new OpenAI({ apiKey: 'tg_wrong' });
  await assert.rejects(wrong.chat.completions.create(ask()), (e) => e instanceof OpenAI.AuthenticationError);
  assert.equal((await stats()).requests, before);
});

test('a final failure after our own attempts is not retried by the SDK', async () => {
  for (const model of ['cheap', 'strong', 'last']) await script(model, 'status=500');
  const before = (await stats()).requests;
  await assert.rejects(openai.chat.completions.create(ask()), (e) => e instanceof OpenAI.InternalServerError && e.status === 502);
  const calls = (await stats()).requests - before;
  assert.ok(calls >= 3 && calls <= 4, `${calls} upstream calls`);    // cheap twice at most, strong, last; not times three
  for (const model of ['cheap', 'strong', 'last']) await script(model, 'text=Hello');
});

test('models can be listed and looked up', async () => {
  const ids = [];
  for await (const m of openai.models.list()) ids.push(m.id);
  assert.ok(ids.includes('auto') && ids.includes('default') && ids.includes('mock/cheap'));
  assert.equal((await openai.models.retrieve('mock/cheap')).owned_by, 'mock');
});

test('an aborted stream cancels the upstream', async () => {
  await script('cheap', 'chunks=1000,every_ms=20,bytes=20');
  const before = (await stats()).aborted;
  const stream = await openai.chat.completions.create(ask({ model: 'mock/cheap', stream: true }));
  for await (const chunk of stream) { void chunk; break; }
  stream.controller.abort();
  for (let i = 0; i < 100 && (await stats()).aborted === before; i++) await new Promise((r) => setTimeout(r, 20));
  assert.equal((await stats()).aborted, before + 1);
  await script('cheap', 'text=Hello');
});
