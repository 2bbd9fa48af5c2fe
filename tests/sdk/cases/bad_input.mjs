// bad_input.mjs - what no provider should ever see: per dialect each field with a wrong type, out of range or missing, unknown
// roles, orphan results, bodies too deep, too large, of broken UTF-8 or base64. The answer is a 400 in the caller's dialect that
// names the field; nothing is sent, nothing is charged.
import assert from 'node:assert/strict';

import { upstreams } from '../house.mjs';
import { nano, toldCost } from '../matrix.mjs';
import { PNG, PDF } from './features.mjs';

const calls = () => Object.values(upstreams).reduce((n, u) => n + u.calls, 0);

// What a dialect does not know itself it leaves to a provider of the same dialect, but cannot say in another.
const FOREIGN = 'anthropic/claude-sonnet-4-5';

// The smallest body that is right, per dialect.
const right = {
  chat: (m = 'openai/gpt-4.1') => ({ model: m, messages: [{ role: 'user', content: 'Hi' }] }),
  responses: (m = 'openai/gpt-4.1') => ({ model: m, input: [{ role: 'user', content: 'Hi' }] }),
  messages: (m = 'openai/gpt-4.1') => ({ model: m, max_tokens: 100, messages: [{ role: 'user', content: 'Hi' }] }),
  gemini: () => ({ contents: [{ role: 'user', parts: [{ text: 'Hi' }] }] }),
};
const paths = { chat: '/v1/chat/completions', responses: '/v1/responses', messages: '/v1/messages', gemini: '/v1beta/models/gpt-4.1:generateContent' };

async function post(house, caller, body) {
  const res = await fetch(house.url + paths[caller], { method: 'POST', headers: { authorization: `Bearer ${house.key}`, 'content-type': 'application/json', 'anthropic-version': '2023-06-01' }, body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body) });
  return { status: res.status, headers: res.headers, text: await res.text() };
}

// The error's words in the caller's own form.
function faultOf(caller, r) {
  const j = JSON.parse(r.text);
  switch (caller) {
  case 'messages': assert.equal(j.type, 'error'); assert.equal(typeof j.error.type, 'string'); assert.match(j.request_id, /^req_/); return j.error;
  case 'gemini': assert.equal(j.error.code, r.status); assert.equal(typeof j.error.status, 'string'); return j.error;
  default: assert.equal(typeof j.error.type, 'string'); assert.ok('param' in j.error && 'code' in j.error); return j.error;
  }
}

async function refuses(ctx, house, caller, body, field, status = 400) {
  const before = calls(), r = await post(house, caller, body);
  assert.equal(r.status, status, `${r.status} ${r.text.slice(0, 300)}`);
  const e = faultOf(caller, r);
  if (field) assert.match(`${e.param ?? ''} ${e.message}`, field, 'the field is not named');
  assert.equal(calls(), before, 'something was sent');
  assert.equal(nano(toldCost(ctx.last) ?? '0'), 0n, 'it was charged');
  return e;
}

const call = (id, name = 'f', args = '{}') => ({ id, type: 'function', function: { name, arguments: args } });
const tool = { type: 'function', function: { name: 'f', parameters: { type: 'object' } } };
const part = (p) => ({ messages: [{ role: 'user', content: [p] }] });
const wrong = (name, values) => values.map((v) => [{ [name]: v }, name]);

// [members that replace those of the right body, what must be named]
const table = {
  chat: [
    ...wrong('messages', ['Hi', 7, {}, [], null, [7], ['Hi'], [[]]]), [{ messages: undefined }, 'messages'], [{ model: undefined }, 'model'], ...wrong('model', [7, {}, '', null]),
    ...wrong('temperature', ['hot', -0.1, 2.1, {}, true]), ...wrong('top_p', ['x', -1, 1.1]), ...wrong('n', [0, 129, 1.5, 'two']), ...wrong('max_tokens', [0, -1, 'x', 1.5]), ...wrong('max_completion_tokens', [0, 'x']),
    ...wrong('stop', [7, Array(17).fill('a'), [7], {}]), ...wrong('presence_penalty', [-2.1, 'x']), ...wrong('frequency_penalty', [2.1, 'x']), ...wrong('logit_bias', [[], 7]), ...wrong('logprobs', ['yes', 1]), ...wrong('top_logprobs', [-1, 21, 'x']),
    ...wrong('stream', ['yes', 1]), ...wrong('stream_options', [7, 'x']), ...wrong('seed', ['x', 1.5]), ...wrong('tools', [{}, 'x', [7]]), ...wrong('tool_choice', [7, 'sometimes']), ...wrong('parallel_tool_calls', ['x', 1]),
    ...wrong('response_format', ['json', 7, { type: 'yaml' }]), ...wrong('reasoning_effort', [{}, 7]), ...wrong('metadata', [7, 'x']), ...wrong('user', [7, {}]), ...wrong('service_tier', [7]),
    [{ messages: [{ role: 'wizard', content: 'Hi' }] }, 'role'], [{ messages: [{ content: 'Hi' }] }, 'role'], [{ messages: [{ role: 'user' }] }, 'content'], [{ messages: [{ role: 'user', content: 7 }] }, 'content'], [{ messages: [{ role: 'user', content: null }] }, 'content'],
    [{ model: FOREIGN, ...part({ type: 'hologram' }) }, 'content.0.'], [part({ text: 'x' }), 'type'], [part({ type: 'text' }), 'text'], [part({ type: 'text', text: 7 }), 'text'], [part({ type: 'image_url' }), 'image_url'], [part({ type: 'image_url', image_url: {} }), 'url'], [part({ type: 'image_url', image_url: { url: 7 } }), 'url'],
    [part({ type: 'image_url', image_url: { url: 'data:image/png;base64,@@@' } }), 'url'], [part({ type: 'image_url', image_url: { url: `data:image/png;base64,${PNG.slice(0, -3)}` } }), 'url'], [part({ type: 'image_url', image_url: { url: 'data:image/png,abc' } }), 'url'], [part({ type: 'image_url', image_url: { url: 'ftp://x/y.png' } }), 'url'], [part({ type: 'image_url', image_url: { url: 'file:///etc/passwd' } }), 'url'],
    [part({ type: 'input_audio', input_audio: { data: '!!', format: 'wav' } }), 'data'], [part({ type: 'input_audio', input_audio: { format: 'wav' } }), 'data'], [part({ type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,#' } }), 'file_data'],
    [{ messages: [{ role: 'user', content: 'a' }, { role: 'tool', tool_call_id: 'call_1', content: 'x' }] }, 'messages'], [{ messages: [{ role: 'user', content: 'a' }, { role: 'assistant', tool_calls: [call('call_1')] }, { role: 'user', content: 'b' }] }, 'call_1|messages'],
    [{ messages: [{ role: 'user', content: 'a' }, { role: 'assistant', tool_calls: [call('call_1')] }, { role: 'tool', tool_call_id: 'call_2', content: 'x' }] }, 'call_[12]|messages'], [{ messages: [{ role: 'user', content: 'a' }, { role: 'assistant', tool_calls: [call('call_1')] }, { role: 'tool', tool_call_id: 'call_1', content: 'x' }, { role: 'tool', tool_call_id: 'call_1', content: 'y' }] }, 'call_1|messages'],
    [{ messages: [{ role: 'user', content: 'a' }, { role: 'tool', content: 'x' }] }, 'tool_call_id|messages'], [{ messages: [{ role: 'user', content: 'a' }, { role: 'assistant', tool_calls: 'x' }] }, 'tool_calls'], [{ messages: [{ role: 'user', content: 'a' }, { role: 'assistant', tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: {} } }] }] }, 'arguments'],
    [{ tools: [{ type: 'function' }] }, 'function'], [{ tools: [{ type: 'function', function: {} }] }, 'name'], [{ tools: [{ type: 'function', function: { name: 7 } }] }, 'name'], [{ tools: [{ type: 'function', function: { name: 'f', parameters: 'x' } }] }, 'parameters'], [{ tools: Array(129).fill(tool) }, 'tools'],
    [{ response_format: { type: 'json_schema' } }, 'json_schema'], [{ response_format: { type: 'json_schema', json_schema: { schema: {} } } }, 'name'], [{ response_format: { type: 'json_schema', json_schema: { name: 'x', schema: 7 } } }, 'schema'],
  ],
  responses: [
    ...wrong('input', [7, {}, null, [7], [[]]]), [{ input: undefined }, 'input'], [{ input: '' }, 'input'], [{ model: undefined }, 'model'], ...wrong('model', [7, '']), ...wrong('instructions', [7, {}]), ...wrong('max_output_tokens', [0, 'x', 1.5, -3]), ...wrong('temperature', ['x', 2.1, -1]), ...wrong('top_p', ['x', 2]),
    ...wrong('stream', ['x', 1]), ...wrong('store', ['x', 1]), ...wrong('tools', [{}, 'x', [7]]), ...wrong('tool_choice', [7, 'sometimes']), ...wrong('parallel_tool_calls', ['x']), ...wrong('reasoning', ['high', 7, { effort: 'very' }, { effort: 7 }, { summary: 7 }]), ...wrong('text', ['json', 7, { format: 'json' }, { format: { type: 'yaml' } }, { verbosity: 'loud' }]),
    ...wrong('include', ['x', [7]]), ...wrong('top_logprobs', [21, 'x']), ...wrong('metadata', [7, 'x']), ...wrong('truncation', [7, 'maybe']), [{ stop: ['x'] }, 'stop'], [{ messages: [{ role: 'user', content: 'x' }] }, 'messages'], [{ max_tokens: 5 }, 'max_tokens'], [{ n: 2 }, '\\bn\\b'], [{ seed: 1 }, 'seed'],
    [{ input: [{ role: 'wizard', content: 'x' }] }, 'role'], [{ input: [{ role: 'user' }] }, 'content'], [{ input: [{ role: 'user', content: 7 }] }, 'content'], [{ model: FOREIGN, input: [{ type: 'hologram' }] }, 'input.0.'], [{ model: FOREIGN, input: [{ role: 'user', content: [{ type: 'hologram' }] }] }, 'content.0.'], [{ input: [{ role: 'user', content: [{ type: 'input_text' }] }] }, 'text'],
    [{ input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'data:image/png;base64,@@' }] }] }, 'image_url'], [{ input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'gopher://x' }] }] }, 'image_url'], [{ input: [{ role: 'user', content: [{ type: 'input_file', filename: 'a.pdf', file_data: 'data:application/pdf;base64,?' }] }] }, 'file_data'],
    [{ input: [{ type: 'function_call_output', call_id: 'call_9', output: 'x' }] }, 'call_9|input'], [{ input: [{ role: 'user', content: 'x' }, { type: 'function_call', call_id: 'call_1', name: 'f', arguments: '{}' }, { role: 'user', content: 'y' }] }, 'call_1|input'], [{ input: [{ type: 'function_call', name: 'f', arguments: '{}' }] }, 'call_id'], [{ input: [{ type: 'function_call', call_id: 'a', arguments: '{}' }] }, 'name'],
    [{ input: [{ type: 'function_call', call_id: 'a', name: 'f', arguments: {} }] }, 'arguments'], [{ input: [{ role: 'user', content: 'x' }, { type: 'function_call', call_id: 'a', name: 'f', arguments: '{}' }, { type: 'function_call_output', call_id: 'a' }] }, 'output'], [{ tools: [{ type: 'function' }] }, 'name'], [{ tools: [{ type: 'function', name: 'f', parameters: 'x' }] }, 'parameters'], [{ tools: [{ type: 'function', function: { name: 'f' } }] }, 'name'],
    [{ text: { format: { type: 'json_schema', schema: {} } } }, 'name'], [{ text: { format: { type: 'json_schema', name: 'x' } } }, 'schema'],
  ],
  messages: [
    ...wrong('messages', ['Hi', 7, {}, [], null, [7], ['x']]), [{ messages: undefined }, 'messages'], [{ model: undefined }, 'model'], ...wrong('model', [7, '']), [{ max_tokens: undefined }, 'max_tokens'], ...wrong('max_tokens', ['x', -1, 1.5, null]), ...wrong('system', [7, {}, [7], [{ type: 'image' }]]),
    ...wrong('temperature', ['x', -1, 1.1]), ...wrong('top_p', ['x', 2]), ...wrong('top_k', ['x', -1, 1.5]), ...wrong('stream', ['x', 1]), ...wrong('stop_sequences', ['x', [7]]), ...wrong('tools', [{}, 'x', [7], [{}], [{ name: 7, input_schema: { type: 'object' } }]]), ...wrong('tool_choice', ['auto', 7, { type: 'sometimes' }, { type: 'tool' }]),
    ...wrong('thinking', ['on', 7, { type: 'enabled' }, { type: 'enabled', budget_tokens: 'x' }, { type: 'enabled', budget_tokens: 1 }]), ...wrong('metadata', [7, 'x']), ...wrong('service_tier', [7]), ...wrong('output_config', [7, { effort: 'very' }, { format: 'x' }, { format: { type: 'yaml' } }]),
    [{ messages: [{ role: 'wizard', content: 'x' }] }, 'role'], [{ messages: [{ content: 'x' }] }, 'role'], [{ messages: [{ role: 'user' }] }, 'content'], [{ messages: [{ role: 'user', content: 7 }] }, 'content'], [part({ type: 'hologram' }), 'content.0.'], [part({ type: 'text' }), 'text'], [part({ type: 'text', text: 7 }), 'text'],
    [part({ type: 'image' }), 'source'], [part({ type: 'image', source: { type: 'base64', media_type: 'image/png', data: '@@@' } }), 'data'], [part({ type: 'image', source: { type: 'base64', media_type: 'image/png', data: PNG.slice(0, -1) } }), 'data'], [part({ type: 'image', source: { type: 'base64', data: PNG } }), 'media_type'], [part({ type: 'image', source: { type: 'url', url: 7 } }), 'url'], [part({ type: 'image', source: { type: 'url', url: 'file:///etc/passwd' } }), 'url'],
    [part({ type: 'image', source: { type: 'pigeon' } }), 'type'], [part({ type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: `${PDF}*` } }), 'data'],
    [part({ type: 'tool_result', tool_use_id: 'toolu_1', content: 'x' }), 'toolu_1|tool_use_id'], [{ messages: [{ role: 'user', content: 'a' }, { role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_1', name: 'f', input: {} }] }, { role: 'user', content: 'b' }] }, 'toolu_1'], [{ messages: [{ role: 'user', content: 'a' }, { role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_1', name: 'f', input: '{}' }] }] }, 'input'],
    [{ messages: [{ role: 'user', content: 'a' }, { role: 'assistant', content: [{ type: 'tool_use', name: 'f', input: {} }] }] }, 'id'], [{ messages: [{ role: 'user', content: 'a' }, { role: 'assistant', content: [{ type: 'tool_use', id: 'x', input: {} }] }] }, 'name'], [part({ type: 'tool_result', content: 'x' }), 'tool_use_id'], [part({ type: 'text', text: 'x', cache_control: { type: 'eternal' } }), 'cache_control'], [part({ type: 'text', text: 'x', cache_control: { type: 'ephemeral', ttl: '1y' } }), 'ttl|cache_control'],
  ],
  gemini: [
    ...wrong('contents', ['Hi', 7, {}, [], null, [7]]), [{ contents: undefined }, 'contents'], [{ contents: [{ role: 'wizard', parts: [{ text: 'x' }] }] }, 'role'], [{ contents: [{ role: 'user', parts: 'x' }] }, 'parts'], [{ contents: [{ role: 'user', parts: [7] }] }, 'parts'], [{ contents: [{ parts: [{}] }] }, 'parts'], [{ contents: [{ parts: [{ text: 7 }] }] }, 'text'],
    [{ contents: [{ parts: [{ text: 'x', inlineData: { mimeType: 'image/png', data: PNG } }] }] }, 'parts'], [{ contents: [{ parts: [{ inlineData: { mimeType: 'image/png', data: '@@' } }] }] }, 'data'], [{ contents: [{ parts: [{ inlineData: { data: PNG } }] }] }, 'mimeType'], [{ contents: [{ parts: [{ inlineData: { mimeType: 'image/png' } }] }] }, 'data'], [{ contents: [{ parts: [{ fileData: { mimeType: 'image/png' } }] }] }, 'fileUri'],
    [{ contents: [{ role: 'user', parts: [{ functionResponse: { name: 'f', response: {} } }] }] }, 'functionResponse|contents'], [{ contents: [{ parts: [{ text: 'a' }] }, { role: 'model', parts: [{ functionCall: { name: 'f', args: {} } }] }, { role: 'user', parts: [{ text: 'b' }] }] }, 'functionCall|functionResponse|contents|\\bf\\b'], [{ contents: [{ role: 'model', parts: [{ functionCall: { args: {} } }] }] }, 'name'], [{ contents: [{ role: 'model', parts: [{ functionCall: { name: 'f', args: 'x' } }] }] }, 'args'], [{ contents: [{ role: 'user', parts: [{ functionResponse: { name: 'f', response: 'x' } }] }] }, 'response'],
    ...wrong('generationConfig', [7, 'x', []]), ...['temperature', 'topP', 'topK', 'maxOutputTokens', 'candidateCount', 'seed', 'presencePenalty', 'frequencyPenalty', 'stopSequences', 'responseLogprobs', 'responseMimeType', 'thinkingConfig'].map((k) => [{ generationConfig: { [k]: k === 'responseMimeType' ? 7 : 'x' } }, k]),
    [{ generationConfig: { temperature: 3 } }, 'temperature'], [{ generationConfig: { topP: 2 } }, 'topP'], [{ generationConfig: { maxOutputTokens: 0 } }, 'maxOutputTokens'], [{ generationConfig: { maxOutputTokens: -1 } }, 'maxOutputTokens'], [{ generationConfig: { candidateCount: 0 } }, 'candidateCount'], [{ generationConfig: { candidateCount: 9 } }, 'candidateCount'], [{ generationConfig: { responseMimeType: 'text/yaml' } }, 'responseMimeType'],
    [{ generationConfig: { thinkingConfig: { thinkingLevel: 'DEEP' } } }, 'thinkingLevel'], [{ generationConfig: { thinkingConfig: { thinkingBudget: 'x' } } }, 'thinkingBudget'], [{ generationConfig: { thinkingConfig: { thinkingBudget: 1, thinkingLevel: 'LOW' } } }, 'thinking'], [{ generationConfig: { responseSchema: { type: 'OBJECT' }, responseJsonSchema: { type: 'object' }, responseMimeType: 'application/json' } }, 'responseSchema|responseJsonSchema'],
    ...wrong('systemInstruction', [7, [], { parts: 'x' }, { parts: [{ inlineData: { mimeType: 'image/png', data: PNG } }] }]), ...wrong('tools', ['x', {}, [7]]), [{ tools: [{ functionDeclarations: [{}] }] }, 'name'], [{ tools: [{ functionDeclarations: [{ name: 7 }] }] }, 'name'], [{ tools: [{ functionDeclarations: 'x' }] }, 'functionDeclarations'], [{ tools: [{ functionDeclarations: [{ name: 'f', parametersJsonSchema: 'x' }] }] }, 'parametersJsonSchema'],
    ...wrong('toolConfig', [7, 'x', { functionCallingConfig: { mode: 'SOMETIMES' } }, { functionCallingConfig: 7 }]), ...wrong('safetySettings', ['x', [7]]),
  ],
};

const named = (body, name) => new RegExp(name === 'toolConfig' ? 'toolConfig|functionCallingConfig|mode' : name);
const nest = (n, open = '[', close = ']') => open.repeat(n) + close.repeat(n);
const bytes = (text, at) => { const b = Buffer.from(text); b[b.indexOf('@')] = at; return b; };

export function badInput(group, house) {
  group('bad-input', (add) => {
    for (const [caller, rows] of Object.entries(table)) {
      for (const [i, [more, name]] of rows.entries()) add(`${caller}/${i} ${JSON.stringify(more).slice(0, 70)}`, (ctx) => refuses(ctx, house, caller, { ...right[caller](), ...more }, named(more, name)));
      const text = JSON.stringify(right[caller]()), hole = (v) => text.replace('"Hi"', v);
      add(`${caller}/no JSON`, (ctx) => refuses(ctx, house, caller, '{"model":', null));
      add(`${caller}/no object`, (ctx) => refuses(ctx, house, caller, '[]', null));
      add(`${caller}/empty`, (ctx) => refuses(ctx, house, caller, ' ', null));
      add(`${caller}/two values`, (ctx) => refuses(ctx, house, caller, `${text}{}`, null));
      add(`${caller}/a key twice`, (ctx) => refuses(ctx, house, caller, text.replace('{', '{"stream":false,"stream":true,'), null));
      add(`${caller}/too deep`, (ctx) => refuses(ctx, house, caller, hole(nest(100)), null));
      add(`${caller}/far too deep`, (ctx) => refuses(ctx, house, caller, hole(nest(100000)), null));
      add(`${caller}/too many values`, (ctx) => refuses(ctx, house, caller, text.replace('{', `{"metadata":[${'1,'.repeat(120000)}1],`), null));
      add(`${caller}/broken UTF-8`, (ctx) => refuses(ctx, house, caller, bytes(hole('"a@b"'), 0xff), null));
      add(`${caller}/UTF-8 cut`, (ctx) => refuses(ctx, house, caller, bytes(hole('"a@b"'), 0xe2), null));
      add(`${caller}/half a surrogate`, (ctx) => refuses(ctx, house, caller, hole('"\\ud83d"'), null));
      add(`${caller}/a number without end`, (ctx) => refuses(ctx, house, caller, text.replace('{', `{"seed":${'1'.repeat(200)},`), null));
      add(`${caller}/NaN`, (ctx) => refuses(ctx, house, caller, text.replace('{', '{"temperature":NaN,'), null));
      add(`${caller}/too large`, async (ctx) => { const r = await post(house, caller, hole(`"${'x'.repeat(9 << 20)}"`)); assert.equal(r.status, 413, r.text.slice(0, 200)); faultOf(caller, r); void ctx; });
      add(`${caller}/every member null but the needed`, async (ctx) => {
        const names = new Set(table[caller].map(([m]) => Object.keys(m)).filter((k) => k.length === 1).flat());
        for (const k of names) {
          if (Object.hasOwn(right[caller](), k)) continue;
          const r = await post(house, caller, { ...right[caller](), [k]: null });
          assert.ok(r.status === 200 || r.status === 400, `${k}: ${r.status} ${r.text}`);
          if (r.status === 400) faultOf(caller, r);
        }
        void ctx;
      });
    }
    add('other content type', async () => {
      const r = await fetch(`${house.url}/v1/messages`, { method: 'POST', headers: { 'x-api-key': house.key, 'content-type': 'application/json', 'content-encoding': 'gzip' }, body: 'x' });
      assert.equal(r.status, 415);
      assert.equal(JSON.parse(await r.text()).type, 'error');
    });
    add('nothing of all this was charged', async () => {
      const rows = JSON.parse(await house.run('costs', '--by', 'model', '--format', 'json'));
      assert.ok(Array.isArray(rows));
    });
  }, { alone: true });
}
