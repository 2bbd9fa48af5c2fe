// features.mjs - the table of features (matrix.mjs says what a row may hold). What a pair cannot say is in `refused` and `warns`,
// from the tables of the translation: what changes the meaning is refused, what only tunes is left out with a warning.
import assert from 'node:assert/strict';

import { ODD_ARGS, UNICODE } from '../upstreams/scenes.mjs';

const user = (...items) => ({ role: 'user', items: items.map((i) => (typeof i === 'string' ? { text: i } : i)) });
const model = (...items) => ({ role: 'assistant', items: items.map((i) => (typeof i === 'string' ? { text: i } : i)) });
const say = (scene, more = {}, text) => (ctx) => ({ turns: [user(ctx.say(scene, text))], ...more });

export const weather = { name: 'weather', description: 'The weather of a city', schema: { type: 'object', properties: { city: { type: 'string', description: 'Its name' } }, required: ['city'], additionalProperties: false } };
export const now = { name: 'now', description: 'The time', schema: { type: 'object', properties: {}, additionalProperties: false } };
export const tools = [weather, now];
export const person = { type: 'object', properties: { name: { type: 'string' }, age: { type: 'integer' } }, required: ['name', 'age'], additionalProperties: false };

// A red dot of 1 x 1, a one-page PDF and a second of nothing; nobody looks inside.
export const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';
export const PDF = Buffer.from('%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF').toString('base64');
export const WAV = Buffer.concat([Buffer.from('RIFF$\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\0\0\0', 'latin1')]).toString('base64');
const png = { type: 'image/png', data: PNG };

const items = (seen, kind) => seen.turns.flatMap((t) => t.items).filter((i) => i[kind] !== undefined).map((i) => i[kind]);
const texts = (seen) => items(seen, 'text').join('\n');
const openai = (k) => ['chat', 'responses'].includes(k.target.key);
const reads = (k) => k.target.dialect;             // the dialect that the provider speaks
const CALLERS = ['chat', 'responses', 'messages', 'gemini'];
const without = (...names) => CALLERS.filter((c) => !names.includes(c));
const TARGETS = ['chat', 'responses', 'anthropic', 'gemini', 'deepseek', 'mistral'];
const targetsBut = (...names) => TARGETS.filter((t) => !names.includes(t));

const list = [
  // ---- text and turns ----
  { name: 'text', scene: 'hello', ask: say('hello'), see: (s, k) => { assert.equal(s.model, k.model); assert.equal(s.stream, k.stream); assert.match(texts(s), /Hello$/); } },
  { name: 'text-thinks', scene: 'hello', model: 'thinks', targets: ['chat', 'anthropic', 'gemini'], ask: say('hello') },
  { name: 'plain-input', callers: ['responses'], scene: 'hello', ask: say('hello', { plainInput: true }) },
  { name: 'unicode', scene: 'unicode', ask: say('unicode', {}, UNICODE), see: (s) => assert.ok(texts(s).includes(UNICODE), 'the prompt was changed') },
  { name: 'long', scene: 'long', ask: say('long') },
  { name: 'system', scene: 'hello', ask: say('hello', { system: ['Be brief.', 'Be kind.'] }),
    see: (s) => { assert.match(s.system.join('\n'), /Be brief\.[^]*Be kind\./); assert.doesNotMatch(texts(s), /Be (brief|kind)/, 'instructions among the turns'); } },
  { name: 'developer', callers: ['chat', 'responses'], targets: targetsBut('deepseek', 'mistral'), scene: 'hello', ask: say('hello', { system: ['Be brief.', 'Be kind.'], developer: true }), see: (s) => assert.match(s.system.join('\n'), /Be brief\.[^]*Be kind\./) },
  { name: 'turns', scene: 'hello', ask: (ctx) => ({ turns: [user('One.'), model('Two.'), user('Three.'), model('Four.'), user(ctx.say('hello'))] }),
    see: (s) => assert.deepEqual(s.turns.map((t) => t.role), ['user', 'assistant', 'user', 'assistant', 'user']) },
  { name: 'adjacent-turns', scene: 'hello', ask: (ctx) => ({ turns: [user('One.'), user('Two.'), model('A.'), model('B.'), user('Three.'), user(ctx.say('hello'))] }), callers: without('gemini'),
    see: (s) => { assert.match(texts(s), /One\.[^]*Two\.[^]*A\.[^]*B\.[^]*Three\./); } },
  { name: 'later-system', callers: ['chat', 'responses'], scene: 'hello', ask: (ctx) => ({ system: ['Be brief.'], turns: [user('One.'), model('Two.'), { role: 'system', items: [{ text: 'Now be long.' }] }, user(ctx.say('hello'))] }),
    warns: (k) => (['messages', 'gemini'].includes(reads(k)) ? [/role/] : []), see: (s) => assert.match(texts(s) + s.system.join('\n'), /Now be long\./) },

  // ---- media ----
  { name: 'image', scene: 'hello', ask: (ctx) => ({ turns: [user(ctx.say('hello'), { image: png })] }), see: (s) => { const [i] = items(s, 'image'); assert.equal(i.data, PNG); assert.equal(i.type, 'image/png'); } },
  { name: 'image-url', scene: 'hello', ask: (ctx) => ({ turns: [user({ image: { url: 'https://example.com/a.png' } }, ctx.say('hello'))] }), see: (s) => assert.equal(items(s, 'image')[0].url, 'https://example.com/a.png') },
  { name: 'images', scene: 'hello', targets: targetsBut('deepseek', 'mistral'), ask: (ctx) => ({ turns: [user('Compare', { image: png }, 'with', { image: { ...png, type: 'image/webp' } }, ctx.say('hello'))] }),
    see: (s) => { const kinds = s.turns[0].items.map((i) => Object.keys(i)[0]); assert.deepEqual(kinds, ['text', 'image', 'text', 'image', 'text'], 'the order of the parts'); } },
  { name: 'image-detail', callers: ['chat', 'responses'], targets: targetsBut('mistral'), scene: 'hello', ask: (ctx) => ({ turns: [user({ image: { ...png, detail: 'low' } }, ctx.say('hello'))] }),
    warns: (k) => (['messages', 'gemini'].includes(reads(k)) ? [/detail/] : []), see: (s, k) => { if (openai(k)) assert.equal(items(s, 'image')[0].detail, 'low'); } },
  { name: 'pdf', scene: 'hello', targets: ['chat', 'responses', 'anthropic', 'gemini'], ask: (ctx) => ({ turns: [user({ file: { type: 'application/pdf', data: PDF, name: 'a.pdf' } }, ctx.say('hello'))] }),
    see: (s) => { const [f] = items(s, 'file'); assert.equal(f.data, PDF); assert.equal(f.type, 'application/pdf'); } },
  { name: 'file-id', callers: ['chat', 'responses'], scene: 'hello', targets: ['chat', 'responses', 'anthropic', 'gemini'], ask: (ctx) => ({ turns: [user({ file: { id: 'file-abc123' } }, ctx.say('hello'))] }),
    refused: (k) => (openai(k) && !(k.caller === 'responses' && k.target.key === 'chat') ? null : /file/), see: (s) => assert.equal(items(s, 'file')[0].id, 'file-abc123'), money: true },
  { name: 'audio', callers: ['chat', 'gemini'], scene: 'hello', targets: ['chat', 'responses', 'anthropic', 'gemini'], ask: (ctx) => ({ turns: [user({ audio: { type: 'audio/wav', data: WAV } }, ctx.say('hello'))] }),
    refused: (k) => (['anthropic', 'responses'].includes(k.target.key) ? /audio|inlineData/i : null), see: (s) => { const [a] = items(s, 'audio'); assert.equal(a.data, WAV); assert.equal(a.type, 'audio/wav'); } },

  // ---- caps and sampling ----
  { name: 'max', scene: 'length', ask: say('length', { max: 64 }), see: (s) => assert.equal(s.max, 64) },
  { name: 'no-cap', callers: without('messages'), scene: 'hello', ask: say('hello'), see: (s, k) => { if (k.target.key === 'anthropic') assert.ok(s.max > 1000, 'the cap that Messages demands'); } },
  { name: 'small-cap', callers: without('responses'), targets: ['responses'], scene: 'length', ask: say('length', { max: 5 }), warns: () => [/max/i], see: (s) => assert.equal(s.max, 16) },     // its floor; the bound of the cost counts it
  { name: 'temperature', scene: 'hello', ask: say('hello', { temperature: 0.25 }), warns: (k) => (k.target.key === 'responses' && !k.same ? [/temperature/] : []), skip: (k) => k.same && k.target.key === 'responses',
    see: (s, k) => assert.equal(s.temperature, k.target.key === 'responses' ? undefined : 0.25) },
  { name: 'temperature-hot', callers: without('messages'), targets: ['chat', 'anthropic', 'gemini', 'deepseek'], scene: 'hello', ask: say('hello', { temperature: 1.75 }), warns: (k) => (k.target.key === 'anthropic' ? [/temperature/] : []),
    see: (s, k) => assert.equal(s.temperature, k.target.key === 'anthropic' ? 1 : 1.75) },
  { name: 'temperature-newest', model: 'thinks', targets: ['anthropic', 'chat'], scene: 'hello', ask: say('hello', { temperature: 0.5 }), skip: (k) => k.same, warns: () => [/temperature/], see: (s) => assert.equal(s.temperature, undefined) },
  { name: 'top_p', scene: 'hello', ask: say('hello', { topP: 0.9 }), warns: (k) => (k.target.key === 'responses' && !k.same ? [/top_?p/i] : []), skip: (k) => k.same && k.target.key === 'responses', see: (s, k) => assert.equal(s.topP, k.target.key === 'responses' ? undefined : 0.9) },
  { name: 'top_k', callers: ['messages', 'gemini'], scene: 'hello', ask: say('hello', { topK: 40 }), warns: (k) => (['messages', 'gemini'].includes(reads(k)) ? [] : [/top_?k/i]), see: (s, k) => assert.equal(s.topK, ['messages', 'gemini'].includes(reads(k)) ? 40 : undefined) },
  { name: 'penalties', callers: ['chat', 'gemini'], scene: 'hello', ask: say('hello', { presence: 0.5, frequency: -0.5 }), warns: (k) => (['anthropic', 'responses'].includes(k.target.key) ? [/frequency/i, /presence/i] : []),
    see: (s, k) => { if (!['anthropic', 'responses'].includes(k.target.key)) assert.deepEqual([s.presence, s.frequency], [0.5, -0.5]); } },
  { name: 'seed', callers: ['chat', 'gemini'], scene: 'hello', ask: say('hello', { seed: 1234567 }), warns: (k) => (['anthropic', 'responses', 'deepseek'].includes(k.target.key) ? [/seed/] : []),
    see: (s, k) => { if (!['anthropic', 'responses', 'deepseek'].includes(k.target.key)) assert.equal(s.seed, 1234567); } },
  { name: 'logit_bias', callers: ['chat'], targets: ['chat', 'responses', 'anthropic', 'gemini'], scene: 'hello', ask: say('hello', { bias: { 50256: -100 } }), warns: (k) => (k.same ? [] : [/logit_bias/]), see: (s, k) => { if (k.same) assert.deepEqual(s.bias, { 50256: -100 }); } },
  { name: 'stop', callers: without('responses'), scene: 'stop', ask: say('stop', { stop: ['###', 'END'] }), refused: (k) => (k.target.key === 'responses' ? /stop/i : null), see: (s) => assert.deepEqual(s.stop, ['###', 'END']),
    check: (r, k) => { if (k.caller === 'messages' && k.target.key === 'anthropic') assert.equal(r.stop, '###'); } },
  { name: 'n', callers: ['chat', 'gemini'], scene: 'choices', ask: say('choices', { n: 2 }), refused: (k) => (['anthropic', 'responses', 'deepseek'].includes(k.target.key) ? /\bn\b|candidateCount/ : null),
    see: (s) => assert.equal(s.n, 2), check: (r) => assert.deepEqual(r.choices, ['First answer.', 'Second one.']) },
  { name: 'logprobs', callers: ['chat', 'gemini', 'responses'], targets: ['chat', 'anthropic', 'gemini', 'deepseek'], scene: 'logprobs', ask: say('logprobs', { logprobs: true, topLogprobs: 2 }), refused: (k) => (k.target.key === 'anthropic' ? /logprobs/i : null),
    see: (s) => { assert.equal(s.logprobs, true); assert.equal(s.topLogprobs, 2); },
    check: (r) => { assert.deepEqual(r.logprobs.map((l) => [l.token, l.logprob]), [['Hi', -0.1], [' you', -0.25]]); assert.equal(r.logprobs[0].top_logprobs.length, 2); } },
  { name: 'logprobs-responses', callers: ['chat', 'gemini', 'responses'], targets: ['responses'], scene: 'logprobs', ask: say('logprobs', { logprobs: true, topLogprobs: 2 }), see: (s) => { assert.equal(s.logprobs, true); assert.equal(s.topLogprobs, 2); },
    check: (r) => assert.deepEqual(r.logprobs.map((l) => [l.token, l.logprob]), [['Hi', -0.1], [' you', -0.25]]) },

  // ---- JSON ----
  { name: 'json', callers: without('messages'), scene: 'json', ask: say('json', { format: { type: 'json' } }, 'Answer in JSON.'), see: (s, k) => { if (k.target.key !== 'anthropic') assert.equal(s.format.type, 'json'); else assert.match(s.system.join(' '), /JSON/); } },
  { name: 'json-no-word', callers: ['gemini'], targets: targetsBut('gemini', 'mistral'), scene: 'json', ask: (ctx) => ({ turns: [user(`scene:${'js'}${'on'} case:${ctx.id} Who?`)], format: { type: 'json' } }) },
  { name: 'schema', maybe: (k) => (k.target.key === 'deepseek' ? [/response_format/] : []), scene: 'json', ask: say('json', { format: { type: 'schema', schema: person, name: 'person' } }, 'Answer in JSON.'), 
    see: (s, k) => { if (k.target.key === 'deepseek') { assert.equal(s.format?.type, 'json'); assert.match(JSON.stringify(s), /additionalProperties/, 'the schema is not in the prompt'); } else assert.deepEqual(s.format.schema, person); } },
  { name: 'schema-openapi', maybe: (k) => (k.target.key === 'deepseek' ? [/response_format/] : []), callers: ['gemini'], scene: 'json', ask: say('json', { format: { type: 'schema', openapi: { type: 'OBJECT', properties: { name: { type: 'STRING' }, age: { type: 'INTEGER', nullable: true } }, required: ['name', 'age'], propertyOrdering: ['name', 'age'] } } }, 'Answer in JSON.'),
    see: (s, k) => { if (!['gemini', 'deepseek'].includes(k.target.key)) assert.equal(s.format.schema.type, 'object'); } },
  { name: 'schema-deep', maybe: (k) => (k.target.key === 'deepseek' ? [/response_format/] : []), scene: 'json', ask: say('json', { format: { type: 'schema', name: 'deep', schema: { ...person, properties: { ...person.properties, name: { $ref: '#/$defs/n' }, age: { anyOf: [{ type: 'integer' }, { type: 'null' }] } }, $defs: { n: { type: 'string' } } } } }, 'Answer in JSON.'),
    see: (s, k) => { if (k.target.key !== 'deepseek') assert.deepEqual(s.format.schema.$defs, { n: { type: 'string' } }); } },

  // ---- tools ----
  { name: 'tool', scene: 'tool', ask: say('tool', { tools }), see: (s) => { assert.deepEqual(s.tools.map((t) => [t.name, t.description]), [['weather', weather.description], ['now', now.description]]); assert.deepEqual(s.tools[0].schema, weather.schema, 'the schema was changed'); } },
  { name: 'tool-thinks', model: 'thinks', targets: ['chat', 'anthropic', 'gemini'], scene: 'tool', ask: say('tool', { tools }) },
  { name: 'tools-parallel', scene: 'tools', ask: say('tools', { tools }) },
  { name: 'tool-empty', scene: 'toolempty', ask: say('toolempty', { tools }) },
  { name: 'tool-odd', scene: 'toolodd', ask: say('toolodd', { tools: [{ ...weather, schema: { type: 'object' } }] }), targets: targetsBut('mistral'),
    check: (r, k, exchange) => { if (!k.stream) assert.match(exchange.raw.replace(/\\+"/g, '"').replace(/\s/g, ''), /"id":9007199254740993,/, 'a big integer went through a double'); } },
  { name: 'tool-no-parameters', callers: ['chat', 'gemini', 'responses'], targets: targetsBut('mistral'), scene: 'toolempty', ask: say('toolempty', { tools: [{ name: 'now' }] }), see: (s) => assert.equal(s.tools[0].name, 'now') },
  { name: 'tool-strict', callers: without('gemini'), targets: ['chat', 'responses', 'anthropic'], scene: 'tool', ask: say('tool', { tools: [{ ...weather, strict: true }] }), see: (s) => assert.equal(s.tools[0].strict, true) },
  { name: 'tool-loose', callers: ['chat', 'messages', 'gemini'], targets: ['responses'], scene: 'tool', ask: say('tool', { tools: [{ ...weather, schema: { type: 'object', properties: { city: { type: 'string' } } } }] }), see: (s) => assert.equal(s.tools[0].strict, false, 'Responses is strict when nothing is said') },
  { name: 'choice-auto', scene: 'tool', ask: say('tool', { tools, choice: { mode: 'auto' } }), see: (s) => assert.ok(s.choice === undefined || s.choice.mode === 'auto') },
  { name: 'choice-none', scene: 'hello', ask: say('hello', { tools, choice: { mode: 'none' } }), see: (s) => assert.equal(s.choice?.mode, 'none') },
  { name: 'choice-any', scene: 'tool', ask: say('tool', { tools, choice: { mode: 'any' } }), warns: (k) => (k.target.key === 'deepseek' ? [/tool_?choice|toolConfig|functionCalling/i] : []), see: (s, k) => { if (k.target.key !== 'deepseek') assert.equal(s.choice.mode, 'any'); } },
  { name: 'choice-named', scene: 'toolnamed', ask: say('toolnamed', { tools, choice: { mode: 'named', names: ['now'] } }), warns: (k) => (k.target.key === 'deepseek' ? [/tool_?choice|toolConfig|functionCalling/i] : []), see: (s, k) => { if (k.target.key !== 'deepseek') { assert.equal(s.choice.mode, 'named'); assert.deepEqual(s.choice.names, ['now']); } } },
  { name: 'choice-allowed', callers: without('messages'), targets: ['chat', 'responses', 'anthropic', 'gemini'], scene: 'tool', ask: say('tool', { tools: [...tools, { ...weather, name: 'tides' }], choice: { mode: 'allowed', any: true, names: ['weather', 'tides'] } }),
    warns: (k) => (k.target.key === 'anthropic' ? [/tool/i] : []), see: (s, k) => { if (k.target.key === 'anthropic') { assert.deepEqual(s.tools.map((t) => t.name), ['weather', 'tides']); assert.equal(s.choice.mode, 'any'); } else assert.deepEqual(s.choice.names, ['weather', 'tides']); } },
  { name: 'parallel-off', callers: without('gemini'), scene: 'tool', ask: say('tool', { tools, parallel: false }), warns: (k) => (['gemini', 'deepseek'].includes(k.target.key) ? [/parallel/] : []), see: (s, k) => { if (!['gemini', 'deepseek'].includes(k.target.key)) assert.equal(s.parallel, false); } },
  { name: 'results', scene: 'hello', ask: (ctx) => ({ tools, turns: [user('Weather and time?'), model('Looking.', { call: { id: 'call_aaa111', name: 'weather', args: '{"city":"Oslo"}' } }, { call: { id: 'call_bbb222', name: 'now', args: '{}' } }),
    user({ result: { id: 'call_aaa111', name: 'weather', text: '12 degrees' } }, { result: { id: 'call_bbb222', name: 'now', text: 'noon' } }), model('Noon, 12.'), user(ctx.say('hello'))] }), 
    see: (s) => { assert.deepEqual(items(s, 'result').map((r) => r.text), ['12 degrees', 'noon']); assert.deepEqual(items(s, 'call').map((c) => [c.name, JSON.parse(c.args)]), [['weather', { city: 'Oslo' }], ['now', {}]]);
      const ids = items(s, 'call').map((c) => c.id); if (ids[0] !== undefined) assert.deepEqual(items(s, 'result').map((r) => r.id), ids, 'results lost their calls'); } },
  { name: 'result-error', scene: 'hello', ask: (ctx) => ({ tools, turns: [user('Weather?'), model({ call: { id: 'call_aaa111', name: 'weather', args: '{"city":"Oslo"}' } }), user({ result: { id: 'call_aaa111', name: 'weather', text: 'no such city', error: true } }, ctx.say('hello'))] }), 
    see: (s, k) => { const [r] = items(s, 'result'); if (['messages', 'gemini'].includes(k.caller)) { if (['messages', 'gemini'].includes(reads(k))) { assert.equal(r.error, true); assert.equal(r.text, 'no such city'); } else assert.equal(r.text, 'Error: no such city'); } else assert.match(r.text, /no such city/); } },
  { name: 'result-image', callers: ['messages', 'responses'], targets: ['chat', 'responses', 'anthropic', 'gemini'], scene: 'hello', ask: (ctx) => ({ tools, turns: [user('Look?'), model({ call: { id: 'call_aaa111', name: 'weather', args: '{"city":"Oslo"}' } }), user({ result: { id: 'call_aaa111', name: 'weather', text: 'a picture', media: [{ image: png }] } }, ctx.say('hello'))] }),
    warns: (k) => (k.target.key === 'chat' ? [/content|image|output|media/] : []), maybe: (k) => (k.target.key === 'gemini' ? [/content|image|output|media/] : []), see: (s, k) => { const got = [...items(s, 'image'), ...items(s, 'result').flatMap((r) => r.media ?? []).map((m) => m.image)]; assert.equal(got[0]?.data, PNG, 'the picture is lost'); } },
  { name: 'result-empty', callers: ['messages', 'chat', 'responses'], scene: 'hello', ask: (ctx) => ({ tools, turns: [user('Do'), model({ call: { id: 'call_aaa111', name: 'now', args: '{}' } }), user({ result: { id: 'call_aaa111', name: 'now', text: '' } }, ctx.say('hello'))] }), },
  { name: 'odd-history', callers: ['chat', 'responses'], scene: 'hello', targets: targetsBut('deepseek', 'mistral'), ask: (ctx) => ({ tools: [{ ...weather, schema: { type: 'object' } }], turns: [user('Do'), model({ call: { id: 'call_aaa111', name: 'weather', args: ODD_ARGS } }), user({ result: { id: 'call_aaa111', name: 'weather', text: 'ok' } }, ctx.say('hello'))] }),
    see: (s, k, call) => assert.match(call.raw.replace(/\\+"/g, '"'), /"id": ?9007199254740993,/, 'a big integer went through a double') },

  // ---- thinking ----
  { name: 'effort-high', model: 'thinks', scene: 'think', ask: say('think', { effort: 'high', thoughts: true, max: 8192 }),
    expect: () => ({}), see: (s, k) => seeEffort(s, k, 'high'),
    check: (r, k) => { if (k.target.key === 'chat') return; if (k.caller === 'chat' && k.same) return; if (k.caller === 'chat') { assert.equal(r.reasoning, '', 'thoughts that nobody asked for'); return; } assert.equal(r.reasoning, 'First I weigh it. Then I decide.'); } },
  { name: 'effort-low', model: 'thinks', scene: 'hello', ask: say('hello', { effort: 'low' }), targets: targetsBut('mistral', 'responses'), see: (s, k) => seeEffort(s, k, 'low') },
  { name: 'budget', callers: ['messages', 'gemini'], scene: 'think', ask: say('think', { budget: 2048, thoughts: true, max: 8192 }), targets: ['anthropic', 'gemini', 'chat', 'deepseek'], model: 'plain', skip: (k) => k.target.key === 'chat',
    see: (s, k) => { if (['anthropic', 'gemini'].includes(k.target.key)) assert.equal(s.budget, 2048); }, check: (r) => assert.equal(r.reasoning, 'First I weigh it. Then I decide.') },
  { name: 'budget-large', callers: ['gemini'], scene: 'think', targets: ['anthropic'], ask: say('think', { budget: 9000, thoughts: true, max: 4096 }), warns: () => [/budget|max|thinking/i], see: (s) => assert.ok(s.budget < s.max, 'the budget does not fit the cap') },
  { name: 'thoughts-stay', callers: ['messages'], model: 'thinks', targets: ['gemini', 'deepseek', 'responses'], scene: 'think', ask: say('think', { thoughts: true }), check: (r) => { assert.equal(r.reasoning, 'First I weigh it. Then I decide.'); assert.deepEqual(r.kinds, ['thinking', 'text']); } },
  { name: 'redacted', callers: ['messages'], model: 'plain', targets: ['anthropic'], scene: 'redacted', ask: say('redacted', { budget: 2048 }), check: (r) => assert.equal(r.redacted, 1) },
  { name: 'thinking-length', model: 'thinks', scene: 'lengththink', targets: ['chat', 'responses', 'anthropic', 'gemini', 'deepseek'], ask: say('lengththink', { max: 16 }) },

  // ---- answers ----
  { name: 'length', scene: 'length', ask: say('length', { max: 100 }) },
  { name: 'filter', scene: 'filter', ask: say('filter'), expect: (k) => (k.target.key === 'anthropic' || k.caller === 'messages' ? { finish: '*' } : {}), check: (r, k) => { if (k.target.key === 'anthropic' && k.caller !== 'messages') assert.ok(r.finish === 'filter' || r.refusal, r.finish); if (k.caller === 'messages') assert.equal(r.finish, 'refusal'); } },
  { name: 'refusal', scene: 'refusal', targets: ['chat', 'responses'], ask: say('refusal'), expect: () => ({ text: '*', finish: '*' }), check: (r, k) => { assert.equal(r.refusal ?? r.text, 'I cannot help with that.'); if (k.caller === 'messages') assert.equal(r.finish, 'refusal'); } },
  { name: 'cite', scene: 'cite', targets: ['chat', 'responses', 'anthropic', 'gemini'], ask: say('cite'), check: (r, k) => { if (k.stream && k.caller === 'chat') return; assert.equal(r.cites[0]?.url, 'https://example.com/oslo'); assert.equal(r.cites[0].title, 'Oslo'); } },
  { name: 'usage', scene: 'usage', ask: say('usage') },
  { name: 'usage-cached', scene: 'cached', ask: say('cached') },
  { name: 'usage-thinks', model: 'thinks', scene: 'usage', targets: ['chat', 'anthropic', 'gemini'], ask: say('usage') },

  // ---- the rest ----
  { name: 'user', callers: without('gemini'), scene: 'hello', targets: ['chat', 'responses', 'anthropic'], ask: say('hello', { user: 'u-17' }), see: (s) => assert.equal(s.user, 'u-17') },
  { name: 'metadata', callers: ['chat', 'responses'], scene: 'hello', targets: ['chat', 'responses', 'anthropic', 'gemini'], ask: say('hello', { metadata: { job: 'x' } }), maybe: (k) => (openai(k) ? [] : [/metadata/]), see: (s, k) => { if (openai(k)) assert.deepEqual(s.metadata, { job: 'x' }); } },
  { name: 'verbosity', callers: ['chat', 'responses'], model: 'thinks', scene: 'hello', targets: ['chat', 'responses', 'anthropic', 'gemini'], ask: say('hello', { verbosity: 'low' }), warns: (k) => (openai(k) ? [] : [/verbosity/]), see: (s, k) => { if (openai(k)) assert.equal(s.verbosity, 'low'); } },
  { name: 'cache-marks', callers: ['messages'], scene: 'hello', ask: (ctx) => ({ system: [{ text: 'Long rules.', cache: '1h' }, { text: 'More.' }], tools: [{ ...weather, cache: '1h' }, now], turns: [user({ text: 'A document.', cache: '5m' }, ctx.say('hello'))] }),
    see: (s, k) => { if (k.target.key === 'anthropic') { assert.deepEqual(s.systemMarks, ['1h', null]); assert.equal(s.tools[0].cache, '1h'); assert.equal(s.turns[0].items[0].cache, '5m'); } else assert.match(s.system.join(''), /Long rules/); } },
  { name: 'stored', callers: ['responses'], scene: 'hello', targets: targetsBut('responses'), ask: say('hello', { extra: { store: true } }), warns: () => [/store/], check: (r) => assert.equal(r.raw.store, false) },
  { name: 'previous', callers: ['responses'], scene: 'hello', targets: targetsBut('responses'), ask: say('hello', { extra: { previous_response_id: 'resp_abc' } }), refused: () => /previous_response_id/ },
  { name: 'background', callers: ['responses'], scene: 'hello', targets: targetsBut('responses'), modes: ['plain'], ask: say('hello', { extra: { background: true, store: true } }), refused: () => /background/ },
  { name: 'server-tool', callers: ['responses', 'messages', 'gemini'], scene: 'hello', targets: ['chat', 'responses', 'anthropic', 'gemini'], skip: (k) => k.same,
    ask: (ctx, k) => ({ turns: [user(ctx.say('hello'))], extra: { responses: { tools: [{ type: 'web_search' }] }, messages: { tools: [{ type: 'web_search_20250305', name: 'web_search' }] }, gemini: { tools: [{ googleSearch: {} }] } }[k.caller] }), refused: () => /tools|web_search|googleSearch/ },
  { name: 'safety', callers: ['gemini'], scene: 'hello', ask: say('hello', { extra: { safetySettings: [{ category: 'HARM_CATEGORY_HARASSMENT', threshold: 'BLOCK_NONE' }] } }), warns: (k) => (k.same ? [] : [/safetySettings/]), see: (s, k) => { if (k.same) assert.equal(s.safety.length, 1); } },
  { name: 'mcp', callers: ['messages'], scene: 'hello', targets: targetsBut('anthropic'), modes: ['plain'], ask: say('hello', { extra: { mcp_servers: [{ type: 'url', url: 'https://example.com', name: 'x' }] } }), refused: () => /mcp_servers/ },
  { name: 'prefill', scene: 'hello', callers: ['messages', 'chat'], targets: ['anthropic', 'responses'], ask: (ctx) => ({ turns: [user(ctx.say('hello')), model('Well,')] }), refused: (k) => (k.target.key === 'responses' ? /messages|prefill/ : null), see: (s) => assert.equal(s.turns.at(-1).role, 'assistant') },
  { name: 'prefill-newest', scene: 'hello', model: 'thinks', callers: ['chat'], targets: ['anthropic'], ask: (ctx) => ({ turns: [user(ctx.say('hello')), model('Well,')] }), refused: () => /messages|prefill/ },
];

function seeEffort(s, k, want) {
  switch (k.target.key) {
  case 'anthropic': assert.equal(s.effort, want); assert.equal(s.thinking, 'adaptive'); break;
  case 'gemini': assert.equal(s.effort, want); break;
  case 'deepseek': assert.equal(s.effort, want); assert.notEqual(s.thinking, 'disabled'); break;
  default: assert.equal(s.effort, want);
  }
}

// These are the gateway's work: DeepSeek and Mistral themselves would refuse what the SDK sends.
const adapted = new Set(['max', 'length', 'thinking-length', 'seed', 'n', 'schema', 'schema-deep', 'choice-any', 'choice-named', 'parallel-off', 'results', 'result-error', 'result-empty', 'effort-high', 'effort-low', 'budget-large']);

export const features = list.map((f) => ({ ...f, ownWords: adapted.has(f.name) }));
