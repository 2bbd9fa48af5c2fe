// anthropic.mjs - POST /v1/messages, /v1/messages/count_tokens and GET /v1/models as Anthropic takes and answers them. Refuses
// what Anthropic refuses: members it does not know, a missing version, tool results out of their place, thinking whose signature
// it did not issue for that very text, budgets that do not fit, sampling and budgets on models that have neither, prefill on
// newer models, empty texts, more than four cache marks.
import { Refusal, Upstream, hash, pieces, rules, send, stream, token } from './common.mjs';
import { notASchema, notAnthropicFormat, notStrict } from './schema.mjs';
import { sceneOf } from './scenes.mjs';

export const KEY = 'sk-ant-test-key';

const bad = (message, status = 400, type = 'invalid_request_error') => new Refusal(status, message, { type });
const r = rules({
  join: (path, key) => (path === '' ? String(key) : `${path}.${key}`),
  fault: (path, message, kind) => bad(`${path}: ${kind === 'unknown' ? 'Extra inputs are not permitted' : kind === 'missing' ? 'Field required' : message}`),
});
const { any, bool, str, int, num, list, word, nullable, either, fields, by, match, text, map } = r;

const cache = { cache_control: nullable(fields({ type: word('ephemeral'), ttl: word('5m', '1h') }, ['type'])) };
const said = (v, path) => { str(v, path); if (!v.trim()) r.bad(path, v ? 'text content blocks must contain non-whitespace text' : 'text content blocks must be non-empty'); };
const textBlock = fields({ type: any, text: said, citations: nullable(list(any)), ...cache }, ['text']);
const image = fields({ type: any, source: by('type', {
  base64: fields({ type: any, media_type: word('image/jpeg', 'image/png', 'image/gif', 'image/webp'), data: r.base64 }, ['media_type', 'data']),
  url: fields({ type: any, url: match(/^https:\/\//) }, ['url']), file: fields({ type: any, file_id: str }, ['file_id']),
}), ...cache }, ['source']);
const document = fields({ type: any, title: nullable(str), context: nullable(str), citations: nullable(fields({ enabled: bool })), source: by('type', {
  base64: fields({ type: any, media_type: word('application/pdf'), data: r.base64 }, ['media_type', 'data']), text: fields({ type: any, media_type: word('text/plain'), data: str }, ['media_type', 'data']),
  content: fields({ type: any, content: any }, ['content']), url: fields({ type: any, url: match(/^https:\/\//) }, ['url']), file: fields({ type: any, file_id: str }, ['file_id']),
}), ...cache }, ['source']);
const searchResult = fields({ type: any, source: str, title: str, content: list(textBlock, 1), citations: any, ...cache }, ['source', 'title', 'content']);
const id = match(/^[A-Za-z0-9_-]{1,128}$/);
const name = match(/^[A-Za-z0-9_-]{1,128}$/);
const toolUse = fields({ type: any, id, name, input: r.object, caller: any, ...cache }, ['id', 'name', 'input']);
const toolResult = fields({ type: any, tool_use_id: id, is_error: bool, ...cache,
  content: either(str, list(by('type', { text: textBlock, image, document, search_result: searchResult }))) }, ['tool_use_id']);
const server = fields({ type: any }, [], true);
const user = by('type', { text: textBlock, image, document, search_result: searchResult, tool_result: toolResult });
const assistant = by('type', {
  text: textBlock, tool_use: toolUse, thinking: fields({ type: any, thinking: str, signature: str }, ['thinking', 'signature']),
  redacted_thinking: fields({ type: any, data: str }, ['data']), server_tool_use: server, web_search_tool_result: server,
});
const message = by('role', {
  user: fields({ role: any, content: either(said, list(user, 1)) }, ['content']),
  assistant: fields({ role: any, content: either(said, list(assistant, 1)) }, ['content']),
});

const schema = (v, path) => {
  r.object(v, path);
  if (v.type !== 'object') r.bad(`${path}.type`, "Input should be 'object'");
  for (const k of ['oneOf', 'allOf', 'anyOf']) if (v[k]) r.bad(path, 'input_schema does not support oneOf, allOf, or anyOf at the top level');
  const why = notASchema(v);
  if (why) r.bad(path, `JSON schema is invalid: ${why}`);
};
const clientTool = fields({ type: nullable(word('custom')), name, description: str, input_schema: schema, strict: nullable(bool), input_examples: list(any), defer_loading: bool,
  eager_input_streaming: nullable(bool), allowed_callers: list(any), ...cache }, ['name', 'input_schema']);
const tool = (v, path) => {
  r.object(v, path);
  if (v.type == null || v.type === 'custom') return clientTool(v, path);
  if (!/^(web_search|web_fetch|code_execution|bash|text_editor|computer|memory|tool_search_tool_(bm25|regex))_\d{8}$/.test(v.type)) r.bad(path, `Input tag '${v.type}' found using 'type' does not match any of the expected tags`);
};
const choice = by('type', { auto: fields({ type: any, disable_parallel_tool_use: bool }), any: fields({ type: any, disable_parallel_tool_use: bool }), none: fields({ type: any }),
  tool: fields({ type: any, name: str, disable_parallel_tool_use: bool }, ['name']) });
const thinking = by('type', { enabled: fields({ type: any, budget_tokens: int(1024), display: nullable(word('summarized', 'omitted')) }, ['budget_tokens']),
  adaptive: fields({ type: any, display: nullable(word('summarized', 'omitted')) }), disabled: fields({ type: any }) });
const common = {
  model: str, messages: list(message, 1), system: either(str, list(by('type', { text: textBlock }))), tools: list(tool), tool_choice: choice, thinking,
  output_config: fields({ effort: nullable(word('low', 'medium', 'high', 'xhigh', 'max')), format: nullable(by('type', { json_schema: fields({ type: any, schema: r.object }, ['schema']) })) }), ...cache,
};
const body = fields({ ...common, max_tokens: int(0), stream: bool, temperature: num(0, 1), top_p: num(0, 1), top_k: int(0), stop_sequences: list(str), metadata: fields({ user_id: nullable(text(0, 256)) }),
  service_tier: word('auto', 'standard_only'), speed: nullable(word('standard', 'fast')), inference_geo: nullable(str), container: nullable(any), mcp_servers: list(any), context_management: nullable(any), diagnostics: any,
}, ['model', 'max_tokens', 'messages']);
const countBody = fields(common, ['model', 'messages']);

const MODELS = { 'claude-opus-4-7': { most: 128000, newest: true }, 'claude-opus-4-6': { most: 128000 }, 'claude-sonnet-4-5': { most: 64000, old: true }, 'claude-haiku-4-5': { most: 64000, old: true } };
const modelOf = (name) => Object.entries(MODELS).find(([k]) => name.startsWith(k))?.[1];

export const sign = (thought) => Buffer.concat([Buffer.from('anthropic'), hash('anthropic', thought)]).toString('base64');
const redactedData = (what) => Buffer.from(`anthropic-redacted-${what}`).toString('base64');

// ---- order ----

const blocks = (m) => (typeof m.content === 'string' ? [{ type: 'text', text: m.content }] : m.content);

function checkOrder(b) {
  if (b.messages[0].role !== 'user') throw bad('messages: first message must use the "user" role');
  const merged = [];
  b.messages.forEach((m, i) => { if (merged.at(-1)?.role === m.role) merged.at(-1).blocks.push(...blocks(m)); else merged.push({ role: m.role, at: i, blocks: [...blocks(m)] }); });
  const ids = new Set();
  merged.forEach((m, i) => {
    const before = merged[i - 1], asked = (before?.role === 'assistant' ? before.blocks : []).filter((x) => x.type === 'tool_use').map((x) => x.id);
    const results = m.blocks.filter((x) => x.type === 'tool_result').map((x) => x.tool_use_id);
    for (const x of m.blocks) if (x.type === 'tool_use') { if (ids.has(x.id)) throw bad(`messages.${m.at}.content: \`tool_use\` ids must be unique`); ids.add(x.id); }
    if (m.role === 'user') {
      for (const x of results) if (!asked.includes(x)) throw bad(`messages.${m.at}.content: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${x}. Each \`tool_result\` block must have a corresponding \`tool_use\` block in the previous message.`);
      if (new Set(results).size !== results.length) throw bad(`messages.${m.at}.content: each tool_use must have a single result.`);
      const missing = asked.filter((x) => !results.includes(x));
      if (missing.length) throw bad(`messages.${before.at}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${missing.join(', ')}. Each \`tool_use\` block must have a corresponding \`tool_result\` block in the next message.`);
      const first = m.blocks.findIndex((x) => x.type !== 'tool_result');
      if (first >= 0 && m.blocks.slice(first).some((x) => x.type === 'tool_result')) throw bad(`messages.${m.at}: tool_result blocks must come before any other content`);
    }
    for (const x of m.blocks) {
      if (x.type === 'thinking' && x.signature !== sign(x.thinking)) throw bad(`messages.${m.at}.content: Invalid \`signature\` in \`thinking\` block`);
      if (x.type === 'redacted_thinking' && !Buffer.from(x.data, 'base64').toString().startsWith('anthropic-redacted-')) throw bad(`messages.${m.at}.content: Invalid \`data\` in \`redacted_thinking\` block`);
    }
  });
  const last = merged.at(-1);
  if (last.role === 'assistant') {
    if (last.blocks.some((x) => x.type === 'tool_use')) throw bad(`messages.${last.at}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after`);
    const t = last.blocks.at(-1).text;
    if (t !== undefined && t !== t.trimEnd()) throw bad('messages: final assistant content cannot end with trailing whitespace');
  }
  return merged;
}

function checkMarks(b) {
  const marks = [...(b.tools ?? []), ...(Array.isArray(b.system) ? b.system : []), ...b.messages.flatMap((m) => (typeof m.content === 'string' ? [] : m.content))].map((x) => x.cache_control).filter(Boolean);
  if (marks.length > 4) throw bad(`A maximum of 4 blocks with cache_control may be provided. Found ${marks.length}.`);
  const ttl = marks.map((m) => m.ttl ?? '5m');
  if (ttl.lastIndexOf('1h') > ttl.indexOf('5m') && ttl.includes('5m')) throw bad("a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block");
}

function check(b, counting) {
  (counting ? countBody : body)(b, '');
  const model = modelOf(b.model), merged = checkOrder(b), on = b.thinking && b.thinking.type !== 'disabled';
  if (!model) throw bad(`model: ${b.model}`, 404, 'not_found_error');
  checkMarks(b);
  const names = (b.tools ?? []).map((t) => t.name);
  if (new Set(names).size !== names.length) throw bad('tools: Tool names must be unique.');
  for (const [i, t] of (b.tools ?? []).entries()) { const why = t.strict && notStrict(t.input_schema); if (why) throw bad(`tools.${i}.custom: ${why}`); }
  if (b.tool_choice && b.tool_choice.type !== 'none' && !b.tools?.length) throw bad('tool_choice: tool_choice may only be specified while providing tools.');
  if (b.tool_choice?.type === 'tool' && !names.includes(b.tool_choice.name)) throw bad(`tool_choice: Tool '${b.tool_choice.name}' not found in provided tools`);
  if (on && ['any', 'tool'].includes(b.tool_choice?.type)) throw bad('Thinking may not be enabled when tool_choice forces tool use.');
  const why = b.output_config?.format && notAnthropicFormat(b.output_config.format.schema);
  if (why) throw bad(`output_config.format.schema: ${why}`);
  if (merged.some((m) => m.blocks.some((x) => x.type === 'tool_use')) && !b.tools?.length) throw bad('Requests which include `tool_use` or `tool_result` blocks must define tools.');
  if (counting) return;
  if (b.max_tokens > model.most) throw bad(`max_tokens: ${b.max_tokens} > ${model.most}, which is the maximum allowed number of output tokens for ${b.model}`);
  for (const s of b.stop_sequences ?? []) if (!s.trim()) throw bad('stop_sequences: each stop sequence must contain non-whitespace');
  if (b.thinking?.type === 'enabled' && b.thinking.budget_tokens >= b.max_tokens) throw bad('`max_tokens` must be greater than `thinking.budget_tokens`.');
  if (b.thinking?.type === 'enabled' && model.newest) throw bad(`thinking.type: "enabled" is not supported for this model. Use "thinking.type.adaptive" and "output_config.effort".`);
  if (b.thinking?.type === 'adaptive' && model.old) throw bad('adaptive thinking is not supported on this model');
  if (b.output_config?.effort && model.old) throw bad('This model does not support the effort parameter.');
  for (const p of ['temperature', 'top_p', 'top_k']) if (model.newest && b[p] !== undefined && !(p !== 'top_k' && b[p] === 1)) throw bad(`\`${p}\` is not supported for this model.`);
  if (on && b.temperature !== undefined && b.temperature !== 1) throw bad('`temperature` may only be set to 1 when thinking is enabled.');
  if (on && b.top_k !== undefined) throw bad('`top_k` must be unset when thinking is enabled.');
  if (on && b.top_p !== undefined && b.top_p < 0.95) throw bad('`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.');
  if (merged.at(-1).role === 'assistant' && (!model.old || on)) throw bad('This model does not support assistant message prefill. The conversation must end with a user message.');
  checkThoughts(b, merged);
}

// With thinking on, the turn that called the tools now answered must begin with its thoughts.
function checkThoughts(b, merged) {
  if (b.thinking?.type !== 'enabled') return;
  const loop = merged.at(-1).blocks.some((x) => x.type === 'tool_result') && merged.at(-2);
  if (loop && !/thinking$/.test(loop.blocks[0].type)) throw bad(`messages.${loop.at}.content.0.type: Expected \`thinking\` or \`redacted_thinking\`, but found \`${loop.blocks[0].type}\`. When \`thinking\` is enabled, a final \`assistant\` message must start with a thinking block.`);
}

// ---- what was asked, in no dialect ----

function source(s) {
  if (s.type === 'url') return { url: s.url };
  if (s.type === 'file') return { id: s.file_id };
  return { type: s.media_type, data: s.data };
}
function itemOf(x) {
  const cached = x.cache_control ? { cache: x.cache_control.ttl ?? '5m' } : {};
  switch (x.type) {
  case 'text': return { text: x.text, ...cached };
  case 'image': return { image: source(x.source), ...cached };
  case 'document': return { file: { ...source(x.source), name: x.title ?? undefined }, ...cached };
  case 'tool_use': return { call: { id: x.id, name: x.name, args: JSON.stringify(x.input) }, ...cached };
  case 'tool_result': {
    const inner = typeof x.content === 'string' ? [{ text: x.content }] : (x.content ?? []).map(itemOf);
    return { result: { id: x.tool_use_id, text: inner.map((p) => p.text ?? '').join(''), media: inner.filter((p) => p.image || p.file), error: x.is_error || undefined }, ...cached };
  }
  case 'thinking': return { reasoning: x.thinking, signed: true };
  case 'redacted_thinking': return { redacted: true };
  default: return { other: x };
  }
}

export function seen(b) {
  const turns = [];
  for (const m of b.messages) {
    const items = blocks(m).map(itemOf);
    if (turns.at(-1)?.role === m.role) turns.at(-1).items.push(...items); else turns.push({ role: m.role, items });
  }
  const system = b.system === undefined ? [] : typeof b.system === 'string' ? [b.system] : b.system.map((s) => s.text);
  const c = b.tool_choice, f = b.output_config?.format;
  return {
    system, systemMarks: Array.isArray(b.system) ? b.system.map((s) => s.cache_control?.ttl ?? (s.cache_control ? '5m' : null)) : [], turns, model: b.model, stream: !!b.stream,
    tools: b.tools?.map((t) => ({ name: t.name, description: t.description, schema: t.input_schema, strict: t.strict, server: !!t.type && t.type !== 'custom' || undefined, cache: t.cache_control?.ttl ?? (t.cache_control ? '5m' : undefined) })),
    choice: c && (c.type === 'tool' ? { mode: 'named', names: [c.name] } : { mode: c.type }), parallel: c?.disable_parallel_tool_use === undefined ? undefined : !c.disable_parallel_tool_use,
    max: b.max_tokens, temperature: b.temperature, topP: b.top_p, topK: b.top_k, stop: b.stop_sequences, effort: b.output_config?.effort, thinking: b.thinking?.type, budget: b.thinking?.budget_tokens,
    user: b.metadata?.user_id, tier: b.service_tier, format: f && { type: 'schema', schema: f.schema },
  };
}

// ---- the answer ----

export const usageOf = (u, start) => ({ input_tokens: u.fresh, cache_creation_input_tokens: u.write5m + u.write1h, cache_read_input_tokens: u.read,
  cache_creation: { ephemeral_5m_input_tokens: u.write5m, ephemeral_1h_input_tokens: u.write1h }, output_tokens: start ? 1 : u.out + u.reasoning, service_tier: 'standard',
  ...(u.reasoning && !start ? { output_tokens_details: { thinking_tokens: u.reasoning } } : {}) });

const stopOf = (c) => ({ stop: 'end_turn', calls: 'tool_use', length: 'max_tokens', sequence: 'stop_sequence', filter: 'refusal', window: 'model_context_window_exceeded' })[c.finish];

// The parts as blocks. Thoughts only when they were asked for; a refusal is a stop reason here.
function content(scene, b, key) {
  const on = b.thinking && b.thinking.type !== 'disabled', out = [];
  let n = 0;
  for (const p of scene.choices[0].parts) {
    if (p.reasoning !== undefined && on) {
      const thought = b.thinking.display === 'omitted' ? '' : p.reasoning;
      out.push({ type: 'thinking', thinking: thought, signature: sign(thought) });
    } else if (p.redacted !== undefined && on) out.push({ type: 'redacted_thinking', data: redactedData(p.redacted) });
    else if (p.text !== undefined) out.push({ type: 'text', text: p.text });
    else if (p.refusal !== undefined) out.push({ type: 'text', text: p.refusal });
    else if (p.cite) (out.at(-1).citations ??= []).push({ type: 'web_search_result_location', url: p.cite.url, title: p.cite.title, encrypted_index: 'x', cited_text: 'Oslo' });
    else if (p.call) out.push({ type: 'tool_use', id: `toolu_${token('call', key, n++)}`, name: p.call, input: p.args });
  }
  return out;
}

const reasonOf = (scene) => (scene.choices[0].parts.some((p) => p.refusal) ? 'refusal' : stopOf(scene.choices[0]));
const base = (scene, b, id, parts, start) => ({ id, type: 'message', role: 'assistant', model: `${b.model}-20260416`, content: parts, stop_reason: start ? null : reasonOf(scene),
  stop_sequence: start ? null : scene.choices[0].stop ?? null, usage: usageOf(scene.usage, start) });

// A whole answer as text, so that the arguments' own digits go out.
function whole(scene, b, id) {
  const parts = content(scene, b, id), text = JSON.stringify(base(scene, b, id, parts.map((x) => (x.type === 'tool_use' ? { ...x, input: `@@${x.id}@@` } : x)), false));
  return parts.filter((x) => x.type === 'tool_use').reduce((t, x) => t.replace(`"@@${x.id}@@"`, x.input), text);
}

const event = (type, o) => `event: ${type}\ndata: ${JSON.stringify({ type, ...o })}\n\n`;

function events(scene, b, id) {
  const out = [event('message_start', { message: base(scene, b, id, [], true) }), event('ping', {})];
  content(scene, b, id).forEach((x, index) => {
    const open = (content_block) => out.push(event('content_block_start', { index, content_block }));
    const delta = (d) => out.push(event('content_block_delta', { index, delta: d }));
    if (x.type === 'text') {
      open({ type: 'text', text: '', ...(x.citations ? { citations: [] } : {}) });
      for (const t of pieces(x.text, scene.piece ?? 5)) delta({ type: 'text_delta', text: t });
      for (const citation of x.citations ?? []) delta({ type: 'citations_delta', citation });
    } else if (x.type === 'thinking') {
      open({ type: 'thinking', thinking: '', signature: '' });
      for (const t of pieces(x.thinking, scene.piece ?? 5)) delta({ type: 'thinking_delta', thinking: t });
      delta({ type: 'signature_delta', signature: x.signature });
    } else if (x.type === 'redacted_thinking') open(x);
    else {
      open({ type: 'tool_use', id: x.id, name: x.name, input: {} });
      if (x.input !== '{}') { delta({ type: 'input_json_delta', partial_json: '' }); for (const t of pieces(x.input, scene.args ?? 3)) delta({ type: 'input_json_delta', partial_json: t }); }
    }
    out.push(event('content_block_stop', { index }));
  });
  out.push(event('message_delta', { delta: { stop_reason: reasonOf(scene), stop_sequence: scene.choices[0].stop ?? null }, usage: usageOf(scene.usage, false) }), event('message_stop', {}));
  return out;
}

const errors = {
  bad: [400, 'invalid_request_error', 'The server had a reason of its own to refuse this.'],
  context: [400, 'invalid_request_error', 'prompt is too long: 210000 tokens > 200000 maximum'],
  auth: [401, 'authentication_error', 'invalid x-api-key'],
  credit: [400, 'invalid_request_error', 'Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.'],
  forbidden: [403, 'permission_error', 'Your API key does not have permission to use the specified resource.'],
  rate: [429, 'rate_limit_error', 'This request would exceed your rate limit.'],
  server: [500, 'api_error', 'Internal server error'],
  overloaded: [529, 'overloaded_error', 'Overloaded'],
};
const errorOf = (kind) => bad(errors[kind][2], errors[kind][0], errors[kind][1]);
const errorBody = (e) => ({ type: 'error', error: { type: e.more.type ?? 'invalid_request_error', message: e.message }, request_id: 'req_anthropic' });
const headers = { 'request-id': 'req_anthropic', 'anthropic-organization-id': 'org', 'anthropic-ratelimit-requests-remaining': '49' };

// The key in either header, not in both; the SDK of 2026 names a version of its own.
function checkHead(h) {
  const given = [h['x-api-key'], h.authorization?.replace(/^Bearer /, '')].filter((x) => x !== undefined);
  if (given.length !== 1 || given[0] !== KEY) throw bad('invalid x-api-key', 401, 'authentication_error');
  if (!['2023-06-01', '2026-10-21'].includes(h['anthropic-version'])) throw bad('anthropic-version: header is required');
}

export const anthropic = () => new Upstream('anthropic', {
  shape: (e) => ({ status: e.status, headers: { ...headers, ...e.more.headers }, body: errorBody(e) }),
  handle(call) {
    checkHead(call.headers);
    const counting = call.path === '/v1/messages/count_tokens', b = call.body;
    if (call.method === 'GET' && call.path === '/v1/models') return send(call, 200, headers, { data: Object.keys(MODELS).map((id) => ({ id, type: 'model', display_name: id, created_at: '2026-04-16T00:00:00Z' })), has_more: false, first_id: 'claude-opus-4-7', last_id: 'claude-haiku-4-5' });
    if (call.method !== 'POST' || !(counting || call.path === '/v1/messages')) throw bad('Not Found', 404, 'not_found_error');
    check(b, counting);
    call.seen = { ...seen(b), beta: call.headers['anthropic-beta'], version: call.headers['anthropic-version'] };
    if (counting) return send(call, 200, headers, { input_tokens: 4321 });
    const scene = call.scene = sceneOf(call.seen.turns, 'anthropic'), id = `msg_${token(call.raw, call.n)}`;
    if (scene.error && !(scene.error.after > 0 && b.stream)) {
      const e = errorOf(scene.error.kind);
      if (scene.error.seconds) e.more.headers = { 'retry-after': String(scene.error.seconds) };
      throw e;
    }
    if (!b.stream) return send(call, 200, headers, whole(scene, b, id));
    let out = events(scene, b, id);
    if (scene.error) { const e = errorOf(scene.error.kind); out = [...out.slice(0, scene.error.after + 3), event('error', { error: errorBody(e).error })]; }
    return stream(call, headers, out, scene);
  },
});
