// frameworks.mjs - the AI SDK with its OpenAI, Anthropic and Google providers, and LangChain's ChatOpenAI, to every provider: text,
// streams, objects, tools in several steps that the framework runs itself.
import assert from 'node:assert/strict';

import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { HumanMessage, SystemMessage, ToolMessage } from '@langchain/core/messages';
import { tool as langTool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import { generateObject, generateText, Output, stepCountIs, streamObject, streamText, tool } from 'ai';
import { z } from 'zod';

import { upstreams } from '../house.mjs';
import { targets } from '../matrix.mjs';

const providers = {
  'openai-chat': (h) => { const p = createOpenAI({ baseURL: `${h.url}/v1`, apiKey: h.key }); return (m) => p.chat(m); },
  'openai-responses': (h) => createOpenAI({ baseURL: `${h.url}/v1`, apiKey: h.key }),
  anthropic: (h) => createAnthropic({ baseURL: h.url, apiKey: h.key }),                   // without /v1, as its variable is set for others
  google: (h) => createGoogleGenerativeAI({ baseURL: `${h.url}/v1beta`, apiKey: h.key }),
};

const person = z.object({ name: z.string(), age: z.number() });
const tools = () => ({
  weather: tool({ description: 'The weather of a city', inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => ({ city, degrees: 12 }) }),
  now: tool({ description: 'The time', inputSchema: z.object({}), execute: async () => 'noon' }),
});

// Nothing refused, `n` calls made.
function seen(ctx, t, n) {
  const calls = upstreams[t.upstream].of(ctx.id);
  for (const c of calls) assert.equal(c.refusal, null, `the upstream refused: ${c.refusal}\n    it got ${c.raw.slice(0, 1500)}`);
  assert.equal(calls.length, n, 'calls of the upstream');
  return calls.map((c) => c.seen);
}

function aiSdk(add, house) {
  for (const [name, make] of Object.entries(providers)) for (const key of Object.keys(targets)) {
    const t = targets[key], model = () => make(house)(`${t.provider}/${t.plain}`), quick = { maxRetries: 0 }, heard = () => { const h = { ...quick, onError: ({ error }) => { h.error ??= error; } }; return h; };    // its streams tell of errors aside
    add(`ai-sdk/${name}-${key}/generateText`, async (ctx) => {
      const r = await generateText({ model: model(), system: 'Be brief.', prompt: ctx.say('hello'), ...quick });
      assert.equal(r.text, 'Hello there, friend.');
      assert.equal(r.finishReason, 'stop');
      assert.equal(r.usage.outputTokens, 7);
      assert.equal(r.usage.inputTokens, 11);
      seen(ctx, t, 1);
    });
    add(`ai-sdk/${name}-${key}/streamText`, async (ctx) => {
      const h = heard(), r = streamText({ model: model(), prompt: ctx.say('unicode'), ...h });
      let text = '';
      for await (const d of r.textStream) text += d;
      if (h.error) throw h.error;
      assert.match(text, /^Grüße 🌍 — 日本語 👩‍🚀/);
      assert.equal(await r.finishReason, 'stop');
      assert.equal((await r.usage).outputTokens, 7);
      seen(ctx, t, 1);
    });
    add(`ai-sdk/${name}-${key}/tools`, async (ctx) => {
      const r = await generateText({ model: model(), tools: tools(), stopWhen: stepCountIs(5), prompt: ctx.say('loop'), ...quick });
      assert.equal(r.text, 'Oslo 12, Bergen 9 degrees.');
      assert.deepEqual(r.steps.map((s) => s.toolCalls.map((c) => c.toolName)), [['weather'], ['weather', 'now'], []]);
      const [, , last] = seen(ctx, t, 3);
      assert.equal(last.turns.flatMap((x) => x.items).filter((i) => i.result).length, 3);
    });
    add(`ai-sdk/${name}-${key}/tools-streamed`, async (ctx) => {
      const r = streamText({ model: model(), tools: tools(), stopWhen: stepCountIs(5), prompt: ctx.say('loop'), ...heard() });
      const kinds = new Set();
      for await (const p of r.fullStream) { kinds.add(p.type); if (p.type === 'error') throw p.error; }
      assert.equal(await r.text, 'Oslo 12, Bergen 9 degrees.');
      for (const k of ['tool-call', 'tool-result', 'text-delta', 'finish']) assert.ok(kinds.has(k), k);
      seen(ctx, t, 3);
    });
    // Thoughts asked for in the provider's own words; the framework carries what comes with them from step to step.
    for (const stored of name === 'openai-responses' ? [true, false] : [false]) add(`ai-sdk/${name}-${key}/thinking${stored ? '-stored' : ''}`, async (ctx) => {
      const options = { openai: name === 'openai-chat' ? { reasoningEffort: 'high' } : { reasoningEffort: 'high', reasoningSummary: 'auto', store: stored, forceReasoning: true }, anthropic: { thinking: { type: 'adaptive' }, effort: 'high' }, google: { thinkingConfig: { includeThoughts: true, thinkingLevel: 'high' } } };
      const thinker = make(house)(`${t.provider}/${t.thinks}`), r = streamText({ model: thinker, tools: tools(), stopWhen: stepCountIs(5), prompt: ctx.say('loop'), providerOptions: options, ...heard() });
      for await (const p of r.fullStream) if (p.type === 'error') throw p.error;
      assert.equal(await r.text, 'Oslo 12, Bergen 9 degrees.');
      const [, , last] = seen(ctx, t, 3), back = last.turns.flatMap((x) => x.items);
      if (key === 'gemini') assert.deepEqual(back.filter((i) => i.call).map((i) => i.signature), ['own', 'own', undefined]);
      if (['deepseek', 'anthropic'].includes(key)) assert.deepEqual(back.filter((i) => i.reasoning !== undefined).map((i) => i.reasoning), ['I need the weather in Oslo.', 'Now Bergen, and the time.']);
      if (name !== 'openai-chat' && ['gemini', 'anthropic', 'deepseek'].includes(key)) assert.equal((await r.steps)[0].reasoningText, 'I need the weather in Oslo.');
    });
    for (const stored of name === 'openai-responses' ? [true, false] : [false]) add(`ai-sdk/${name}-${key}/two-turns${stored ? '-stored' : ''}`, async (ctx) => {
      const more = { ...quick, providerOptions: { openai: name === 'openai-chat' ? {} : { store: stored, reasoningEffort: 'high', reasoningSummary: 'auto', forceReasoning: true }, anthropic: { thinking: { type: 'adaptive' } }, google: { thinkingConfig: { includeThoughts: true, thinkingLevel: 'high' } } } };
      const thinker = make(house)(`${t.provider}/${t.thinks}`), question = { role: 'user', content: ctx.say('think') };
      const one = await generateText({ model: thinker, messages: [question], ...more });
      const two = await generateText({ model: thinker, messages: [question, ...one.response.messages, { role: 'user', content: ctx.say('hello') }], ...more });
      assert.equal(two.text, 'Hello there, friend.');
      const [, last] = seen(ctx, t, 2);
      assert.deepEqual(last.turns.map((x) => x.role), ['user', 'assistant', 'user']);
      assert.equal(last.turns[1].items.map((i) => i.text ?? '').join(''), 'Forty-two.');
    });
    add(`ai-sdk/${name}-${key}/generateObject`, async (ctx) => { const r = await generateObject({ model: model(), schema: person, prompt: ctx.say('json', 'Answer in JSON.'), ...quick }); assert.deepEqual(r.object, { name: 'Ada', age: 36 }); seen(ctx, t, 1); });
    add(`ai-sdk/${name}-${key}/streamObject`, async (ctx) => { const h = heard(), r = streamObject({ model: model(), schema: person, prompt: ctx.say('json', 'Answer in JSON.'), ...h }); for await (const p of r.partialObjectStream) void p; if (h.error) throw h.error; assert.deepEqual(await r.object, { name: 'Ada', age: 36 }); seen(ctx, t, 1); });
    add(`ai-sdk/${name}-${key}/output`, async (ctx) => { const r = await generateText({ model: model(), output: Output.object({ schema: person }), prompt: ctx.say('json', 'Answer in JSON.'), ...quick }); assert.deepEqual(r.output, { name: 'Ada', age: 36 }); seen(ctx, t, 1); });
  }
}

function langChain(add, house) {
  for (const key of Object.keys(targets)) for (const useResponsesApi of [false, true]) {
    const t = targets[key], chat = (more = {}) => new ChatOpenAI({ model: `${t.provider}/${t.plain}`, apiKey: house.key, configuration: { baseURL: `${house.url}/v1` }, maxRetries: 0, useResponsesApi, ...more });
    const name = `langchain/${useResponsesApi ? 'responses' : 'chat'}-${key}`;
    add(`${name}/invoke`, async (ctx) => { const r = await chat().invoke([new SystemMessage('Be brief.'), new HumanMessage(ctx.say('hello'))]); assert.equal(r.text, 'Hello there, friend.'); assert.equal(r.usage_metadata.output_tokens, 7); seen(ctx, t, 1); });
    add(`${name}/stream`, async (ctx) => {
      let all = null;
      for await (const c of await chat().stream([new HumanMessage(ctx.say('unicode'))])) all = all ? all.concat(c) : c;
      assert.match(all.text, /^Grüße 🌍 — 日本語/);
      assert.equal(all.usage_metadata.output_tokens, 7);
      seen(ctx, t, 1);
    });
    for (const stream of [false, true]) add(`${name}/tools${stream ? '-streamed' : ''}`, async (ctx) => {
      const kit = [langTool(async ({ city }) => `12 in ${city}`, { name: 'weather', description: 'The weather', schema: z.object({ city: z.string() }) }), langTool(async () => 'noon', { name: 'now', description: 'The time', schema: z.object({}) })];
      const bound = chat().bindTools(kit), messages = [new HumanMessage(ctx.say('loop'))];
      for (let n = 0; n < 3; n++) {
        let r = null;
        if (stream) for await (const c of await bound.stream(messages)) r = r ? r.concat(c) : c; else r = await bound.invoke(messages);
        messages.push(r);
        assert.deepEqual(r.tool_calls.map((c) => c.name), [['weather'], ['weather', 'now'], []][n]);
        for (const c of r.tool_calls) { const out = await kit.find((k) => k.name === c.name).invoke(c); messages.push(out instanceof ToolMessage ? out : new ToolMessage({ content: String(out), tool_call_id: c.id })); }
      }
      assert.equal(messages.at(-1).text, 'Oslo 12, Bergen 9 degrees.');
      seen(ctx, t, 3);
    });
    add(`${name}/structured`, async (ctx) => { assert.deepEqual(await chat().withStructuredOutput(person, { name: 'person', method: 'jsonSchema' }).invoke([new HumanMessage(ctx.say('json', 'Answer in JSON.'))]), { name: 'Ada', age: 36 }); seen(ctx, t, 1); });
  }
}

export function frameworks(group, house) {
  group('frameworks', (add) => { aiSdk(add, house); langChain(add, house); });
}
