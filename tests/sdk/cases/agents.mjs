// agents.mjs - the request shapes of Claude Code and Codex: probes, betas, large system arrays with cache marks, many tools, free
// text tools, ids of sessions; through a tool loop to every provider.
import assert from 'node:assert/strict';

import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';

import { upstreams } from '../house.mjs';
import { targets } from '../matrix.mjs';
import { checkGrammar } from '../grammar.mjs';
import { scene } from '../upstreams/scenes.mjs';

const LAW = 'You are an agent that works in a terminal. Follow the rules of the repository.\n'.repeat(200);

const shell = { name: 'shell', description: 'Runs a command', input_schema: { type: 'object', properties: { command: { type: 'array', items: { type: 'string' } }, timeout_ms: { type: 'number' } }, required: ['command'] } };
// Forty tools with schemas as agents have them.
const many = [shell, ...Array.from({ length: 39 }, (_, i) => ({
  name: `${i % 2 ? 'mcp__server__' : ''}Tool_${i}`, description: `Does the thing of number ${i}. `.repeat(10),
  input_schema: { type: 'object', properties: { path: { type: 'string', description: 'where' }, mode: { type: 'string', enum: ['a', 'b'] }, edits: { type: 'array', items: { type: 'object', properties: { from: { type: 'string' }, to: { type: 'string' } }, required: ['from', 'to'] } } }, required: ['path'] },
}))];

const betas = ['claude-code-20250219', 'interleaved-thinking-2025-05-14', 'fine-grained-tool-streaming-2025-05-14', 'prompt-caching-scope-2026-01-05'];

async function claude(ctx, house, key) {
  const t = targets[key], client = new Anthropic({ baseURL: house.url, authToken: house.key, apiKey: null, defaultHeaders: { 'x-app': 'cli', 'user-agent': 'claude-cli/2.1.197 (external, cli)', 'x-claude-code-session-id': `s-${ctx.id}` } });
  assert.equal((await fetch(house.url, { method: 'HEAD' })).status, 200);
  for await (const m of client.models.list({ limit: 1000 })) assert.ok(m.id);
  const messages = [{ role: 'user', content: [{ type: 'text', text: '<system-reminder>It is late.</system-reminder>' }, { type: 'text', text: ctx.say('agent', 'List the files'), cache_control: { type: 'ephemeral' } }] }];
  for (let n = 0; n < 3; n++) {
    const stream = client.beta.messages.stream({
      model: `${t.provider}/${t.thinks}`, max_tokens: 16000, betas, messages, tools: many, thinking: { type: 'adaptive' }, output_config: { effort: 'high' },
      system: [{ type: 'text', text: 'x-anthropic-billing-header: cc_version=2.1.197; cch=abcde;' }, { type: 'text', text: 'You are Claude Code.', cache_control: { type: 'ephemeral' } }, { type: 'text', text: LAW, cache_control: { type: 'ephemeral' } }],
      metadata: { user_id: JSON.stringify({ device_id: 'd', account_uuid: '', session_id: ctx.id }) },
    });
    const m = await stream.finalMessage(), s = scene('agent', n, t.upstream), wanted = s.choices[0].parts.filter((p) => p.call);
    const call = upstreams[t.upstream].of(ctx.id).at(-1);
    assert.equal(call?.refusal, null, `round ${n}: ${call?.refusal}`);
    assert.deepEqual(m.content.filter((b) => b.type === 'tool_use').map((b) => b.input), wanted.map((p) => JSON.parse(p.args)));
    checkGrammar('messages', ctx.last, true);
    assert.equal(call.seen.tools.length, 40);
    assert.deepEqual(call.seen.tools.map((x) => x.schema), many.map((x) => x.input_schema), 'schemas were changed');
    assert.ok(call.seen.system.join('\n').includes(LAW), 'the law is not whole');
    if (key === 'anthropic') { assert.equal(call.headers['anthropic-beta'], betas.join(','), 'betas byte for byte'); assert.deepEqual(call.seen.systemMarks, [null, '5m', '5m']); }
    else assert.equal(call.headers['anthropic-beta'], undefined, 'betas of another house');
    for (const h of ['x-app', 'x-claude-code-session-id', 'x-stainless-lang']) assert.equal(call.headers[h], undefined, `${h} went out`);
    messages.push({ role: 'assistant', content: m.content });
    const uses = m.content.filter((b) => b.type === 'tool_use');
    if (uses.length) messages.push({ role: 'user', content: uses.map((u, i) => ({ tool_use_id: u.id, type: 'tool_result', content: i ? [{ type: 'text', text: `out of ${u.input.command}` }] : `out of ${u.input.command}`, ...(i === uses.length - 1 ? { cache_control: { type: 'ephemeral' } } : {}) })) });
    else assert.equal(m.content.at(-1).text, 'Done: two files.');
    delete messages[0].content[1].cache_control;                                // four marks at most
    if (n === 1) for (const b of messages[2].content) delete b.cache_control;
  }
  const count = await client.beta.messages.countTokens({ model: `${t.provider}/${t.plain}`, betas, messages: [{ role: 'user', content: 'foo' }], tools: many });
  assert.ok(count.input_tokens > 100);
}

const patch = { type: 'custom', name: 'apply_patch', description: 'Edits files', format: { type: 'grammar', syntax: 'lark', definition: 'start: /.+/' } };
const functions = [{ type: 'function', name: 'shell', description: 'Runs a command', strict: false, parameters: shell.input_schema },
  { type: 'function', name: 'update_plan', description: 'Says the plan', strict: false, parameters: { type: 'object', properties: { explanation: { type: 'string' }, plan: { type: 'array', items: { type: 'object', properties: { step: { type: 'string' }, status: { type: 'string' } }, required: ['step', 'status'], additionalProperties: false } } }, required: ['plan'], additionalProperties: false } },
  { type: 'function', name: 'view_image', description: 'Shows a picture', strict: false, parameters: { type: 'object', properties: { path: { type: 'string' } }, required: ['path'], additionalProperties: false } }];

// Codex reads output_item.done and the terminal event, nothing else.
async function codexRound(house, body, ctx) {
  const items = [];
  let end = null;
  for await (const e of await new OpenAI({ baseURL: `${house.url}/v1`, apiKey: house.key }).responses.create(body, { headers: { 'session-id': ctx.id, 'thread-id': ctx.id, 'x-client-request-id': ctx.id, originator: 'codex_cli_rs', 'user-agent': 'codex_cli_rs/0.169.0' } })) {
    if (e.type === 'response.output_item.done') items.push(e.item);
    if (/^response\.(completed|incomplete|failed)$/.test(e.type)) end = e;
  }
  assert.equal(end?.type, 'response.completed');
  assert.ok(end.response.usage.total_tokens > 0);
  checkGrammar('responses', ctx.last, true);
  return items;
}

const codexBody = (ctx, model, input, tools) => ({ model, instructions: LAW, input, tools, tool_choice: 'auto', parallel_tool_calls: false, reasoning: { effort: 'medium', summary: 'auto' }, store: false, stream: true, include: ['reasoning.encrypted_content'], prompt_cache_key: ctx.id, text: { verbosity: 'medium' } });
const opening = (scene, ctx) => [{ type: 'message', role: 'developer', content: [{ type: 'input_text', text: '<permissions>all</permissions>' }] }, { type: 'message', role: 'user', content: [{ type: 'input_text', text: '<environment_context><cwd>/srv</cwd></environment_context>' }] }, { type: 'message', role: 'user', content: [{ type: 'input_text', text: ctx.say(scene) }] }];

async function codex(ctx, house, key) {
  const t = targets[key], input = opening('agent', ctx), model = `${t.provider}/${t.thinks}`;
  for (let n = 0; n < 3; n++) {
    const items = await codexRound(house, { ...codexBody(ctx, model, input, functions), parallel_tool_calls: true }, ctx), s = scene('agent', n, t.upstream);
    const call = upstreams[t.upstream].of(ctx.id).at(-1);
    assert.equal(call.refusal, null, `round ${n}: ${call.refusal}`);
    assert.deepEqual(items.filter((i) => i.type === 'function_call').map((i) => JSON.parse(i.arguments)), s.choices[0].parts.filter((p) => p.call).map((p) => JSON.parse(p.args)));
    for (const i of items) if (i.type === 'function_call') assert.match(i.id ?? 'fc_', /^fc_/, 'ids of calls begin with fc_');
    for (const h of ['session-id', 'thread-id', 'originator']) assert.equal(call.headers[h], undefined, `${h} went out`);
    input.push(...items);
    for (const i of items) if (i.type === 'function_call') input.push({ type: 'function_call_output', call_id: i.call_id, output: JSON.stringify({ output: `out of ${i.arguments}`, metadata: { exit_code: 0, duration_seconds: 0.1 } }) });
  }
  assert.equal(input.at(-1).content[0].text, 'Done: two files.');
}

// A free text tool, called and answered.
async function patching(ctx, house, key) {
  const t = targets[key], input = opening('custom', ctx), model = `${t.provider}/${t.thinks}`, body = (i) => codexBody(ctx, model, i, [...functions, patch]);
  const items = await codexRound(house, body(input), ctx), made = items.find((i) => i.type === 'custom_tool_call');
  assert.equal(made?.input, '*** Begin Patch\n+"é" \\n\n*** End Patch', `the patch: ${JSON.stringify(items)}`);
  assert.equal(made.name, 'apply_patch');
  input.push(...items, { type: 'custom_tool_call_output', call_id: made.call_id, output: 'patched' }, { role: 'user', content: ctx.say('hello') });
  const last = await codexRound(house, body(input), ctx), call = upstreams[t.upstream].of(ctx.id).at(-1);
  assert.equal(call.refusal, null);
  assert.equal(last.find((i) => i.type === 'message').content[0].text, 'Hello there, friend.');
  assert.ok(call.seen.turns.flatMap((x) => x.items).some((i) => i.result?.text === 'patched'));
}

export function agents(group, house) {
  group('agents', (add) => {
    for (const key of Object.keys(targets)) {
      add(`claude-code/${key}`, (ctx) => claude(ctx, house, key));
      add(`codex/${key}`, (ctx) => codex(ctx, house, key));
      add(`codex-patch/${key}`, (ctx) => patching(ctx, house, key));
    }
  });
}
