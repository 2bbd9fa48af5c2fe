// openai_chat.mjs - POST /v1/chat/completions as OpenAI itself takes and answers it. Refuses what OpenAI refuses: unknown
// parameters, wrong types and ranges, unanswered or orphan tool calls, parameters that reasoning models do not take, schemas
// that are not strict, stream_options without stream. The server in front, with its key and paths, is openai.mjs.
import { Refusal, pieces, rules, send, stream, token } from './common.mjs';
import { notASchema, notStrict } from './schema.mjs';
import { sceneOf } from './scenes.mjs';

const codes = { unknown: 'unknown_parameter', missing: 'missing_required_parameter', type: 'invalid_type', value: 'invalid_value' };
export const r = rules({
  fault: (path, message, kind) => new Refusal(400, kind === 'unknown' ? `Unknown parameter: '${path}'.` : `Invalid '${path}': ${message}.`,
    { type: 'invalid_request_error', param: path, code: codes[kind] }),
});
const { any, bool, str, int, num, list, word, nullable, either, fields, by, match, text, map } = r;

export const name64 = match(/^[A-Za-z0-9_-]{1,64}$/);
const imageUrl = either(r.dataUri('image/png', 'image/jpeg', 'image/gif', 'image/webp'), match(/^https?:\/\/[^\s]+$/));
const mark = { prompt_cache_breakpoint: fields({ mode: word('explicit') }, ['mode']) };

const textPart = fields({ type: any, text: str, ...mark }, ['text']);
const userPart = by('type', {
  text: textPart,
  image_url: fields({ type: any, image_url: fields({ url: imageUrl, detail: word('auto', 'low', 'high') }, ['url']), ...mark }, ['image_url']),
  input_audio: fields({ type: any, input_audio: fields({ data: r.base64, format: word('wav', 'mp3') }, ['data', 'format']), ...mark }, ['input_audio']),
  file: fields({ type: any, file: fields({ file_data: r.dataUri('application/pdf'), file_id: match(/^file-/), filename: str }), ...mark }, ['file']),
});
const assistantPart = by('type', { text: textPart, refusal: fields({ type: any, refusal: str }, ['refusal']) });
const words = (part) => either(str, list(part, 1));

const call = by('type', {
  function: fields({ id: text(1), type: any, function: fields({ name: name64, arguments: str }, ['name', 'arguments']) }, ['id', 'function']),
  custom: fields({ id: text(1), type: any, custom: fields({ name: name64, input: str }, ['name', 'input']) }, ['id', 'custom']),
});
export const message = by('role', {
  system: fields({ role: any, content: words(textPart), name: str }, ['content']),
  developer: fields({ role: any, content: words(textPart), name: str }, ['content']),
  user: fields({ role: any, content: words(userPart), name: str }, ['content']),
  assistant: fields({ role: any, content: nullable(words(assistantPart)), refusal: nullable(str), name: str, tool_calls: list(call, 1),
    audio: nullable(fields({ id: str }, ['id'])), annotations: list(any), function_call: nullable(any) }),
  tool: fields({ role: any, content: words(textPart), tool_call_id: text(1), name: str }, ['content', 'tool_call_id']),
});

const schema = (v, path) => { const why = notASchema(v); if (why) r.bad(path, why); };
const tool = by('type', {
  function: fields({ type: any, function: fields({ name: name64, description: str, parameters: schema, strict: nullable(bool) }, ['name']) }, ['function']),
  custom: fields({ type: any, custom: fields({ name: name64, description: str, format: any }, ['name']) }, ['custom']),
});
const named = by('type', {
  function: fields({ type: any, function: fields({ name: str }, ['name']) }, ['function']),
  custom: fields({ type: any, custom: fields({ name: str }, ['name']) }, ['custom']),
  allowed_tools: fields({ type: any, allowed_tools: fields({ mode: word('auto', 'required'), tools: list(any, 1) }, ['mode', 'tools']) }, ['allowed_tools']),
});

const body = fields({
  model: str, messages: list(message, 1), stream: nullable(bool),
  stream_options: nullable(fields({ include_usage: bool, include_obfuscation: bool })),
  max_completion_tokens: nullable(int(1)), max_tokens: nullable(int(1)), temperature: nullable(num(0, 2)), top_p: nullable(num(0, 1)),
  n: nullable(int(1, 128)), stop: nullable(either(str, list(str, 1, 4))), presence_penalty: nullable(num(-2, 2)), frequency_penalty: nullable(num(-2, 2)),
  logit_bias: nullable(map(num(-100, 100))), logprobs: nullable(bool), top_logprobs: nullable(int(0, 20)), seed: nullable(int()),
  response_format: by('type', { text: fields({ type: any }), json_object: fields({ type: any }),
    json_schema: fields({ type: any, json_schema: fields({ name: name64, description: str, schema, strict: nullable(bool) }, ['name']) }, ['json_schema']) }),
  tools: list(tool, 1, 128), tool_choice: either(word('none', 'auto', 'required'), named), parallel_tool_calls: bool,
  reasoning_effort: nullable(word('none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max')), verbosity: nullable(word('low', 'medium', 'high')),
  modalities: nullable(list(word('text', 'audio'))), audio: nullable(any), prediction: nullable(any), prompt_cache_key: text(0, 512),
  prompt_cache_options: any, prompt_cache_retention: nullable(word('in_memory', '24h')), service_tier: nullable(word('auto', 'default', 'flex', 'scale', 'priority')),
  store: nullable(bool), metadata: nullable(map(text(0, 512), 16)), safety_identifier: text(1, 64), user: str, web_search_options: any, moderation: any,
}, ['model', 'messages']);

const unsupported = (param, model) => new Refusal(400, `Unsupported parameter: '${param}' is not supported with this model.`,
  { type: 'invalid_request_error', param, code: 'unsupported_parameter', model });

// Each call answered once, right behind its message; no answer without a call.
function checkOrder(messages) {
  let open = null, at = -1;
  const missing = () => { throw new Refusal(400, `An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: ${[...open].join(', ')}`,
    { type: 'invalid_request_error', param: `messages.[${at}].role`, code: null }); };
  messages.forEach((m, i) => {
    if (m.role === 'tool') {
      if (!open?.delete(m.tool_call_id)) throw new Refusal(400, 'Invalid parameter: messages with role \'tool\' must be a response to a preceding message with \'tool_calls\'.',
        { type: 'invalid_request_error', param: `messages.[${i}].role`, code: null });
      return;
    }
    if (open?.size) missing();
    open = m.tool_calls ? new Set(m.tool_calls.map((c) => c.id)) : null;
    at = i;
    if (m.tool_calls && open.size !== m.tool_calls.length) throw new Refusal(400, 'Duplicate tool call ids.', { type: 'invalid_request_error' });
    if (m.role === 'assistant' && m.content == null && !m.tool_calls && m.refusal == null) throw new Refusal(400, `Invalid value for 'content': expected a string, got null.`,
      { type: 'invalid_request_error', param: `messages.[${i}].content`, code: null });
  });
  if (open?.size) missing();
}

function checkTools(b) {
  const names = new Set();
  for (const [i, t] of (b.tools ?? []).entries()) {
    const name = t[t.type].name;
    if (names.has(name)) r.bad(`tools[${i}].${t.type}.name`, `'${name}' is there twice`);
    names.add(name);
    const why = t.function?.strict && notStrict(t.function.parameters ?? {});
    if (why) throw new Refusal(400, `Invalid schema for function '${name}': ${why}.`, { type: 'invalid_request_error', param: `tools[${i}].function.parameters`, code: 'invalid_function_parameters' });
  }
  const asked = b.tool_choice?.function?.name ?? b.tool_choice?.custom?.name;
  if (b.tool_choice !== undefined && !b.tools) r.bad('tool_choice', "'tool_choice' is only allowed when 'tools' are specified");
  if (b.parallel_tool_calls !== undefined && !b.tools) r.bad('parallel_tool_calls', "'parallel_tool_calls' is only allowed when 'tools' are specified");
  if (asked && !names.has(asked)) r.bad('tool_choice', `Tool choice '${asked}' not found in 'tools' parameter`);
}

export const isReasoner = (model) => /^(gpt-5|o[134])/.test(model);

function checkModel(b) {
  if (/-pro/.test(b.model)) throw new Refusal(404, 'This is not a chat model and thus not supported in the v1/chat/completions endpoint.', { type: 'invalid_request_error', param: 'model', code: null });
  if (!/^(gpt-|o[134])/.test(b.model)) throw new Refusal(404, `The model '${b.model}' does not exist or you do not have access to it.`, { type: 'invalid_request_error', param: null, code: 'model_not_found' });
  if (!isReasoner(b.model)) {
    if (b.reasoning_effort != null) throw new Refusal(400, 'Unrecognized request argument supplied: reasoning_effort', { type: 'invalid_request_error', param: 'reasoning_effort', code: null });
    return;
  }
  for (const p of ['max_tokens', 'stop', 'logprobs', 'top_logprobs', 'logit_bias']) if (b[p] != null && b[p] !== false) throw unsupported(p, b.model);
  for (const [p, only] of [['temperature', 1], ['top_p', 1], ['presence_penalty', 0], ['frequency_penalty', 0]])
    if (b[p] != null && b[p] !== only) throw new Refusal(400, `Unsupported value: '${p}' does not support ${b[p]} with this model. Only the default (${only}) value is supported.`,
      { type: 'invalid_request_error', param: p, code: 'unsupported_value' });
}

function check(b) {
  body(b, '');
  checkModel(b);
  checkOrder(b.messages);
  checkTools(b);
  if (b.stream_options != null && !b.stream) r.bad('stream_options', "The 'stream_options' parameter is only allowed when 'stream' is enabled");
  if (b.max_tokens != null && b.max_completion_tokens != null) r.bad('max_tokens', 'only one of max_tokens and max_completion_tokens may be set');
  if (b.top_logprobs != null && !b.logprobs) r.bad('top_logprobs', 'logprobs must be true');
  if (b.response_format?.type === 'json_object' && !/json/i.test(JSON.stringify(b.messages))) r.bad('messages', "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'");
  const format = b.response_format?.json_schema, why = format?.strict && notStrict(format.schema);
  if (why) throw new Refusal(400, `Invalid schema for response_format '${format.name}': ${why}.`, { type: 'invalid_request_error', param: 'response_format', code: null });
}

// ---- what was asked, in no dialect ----

const media = (url) => { const m = /^data:([^;]+);base64,(.*)$/s.exec(url); return m ? { type: m[1], data: m[2] } : { url }; };
function part(p) {
  switch (p.type) {
  case 'text': return { text: p.text };
  case 'refusal': return { refusal: p.refusal };
  case 'image_url': return { image: { ...media(p.image_url.url ?? p.image_url), detail: p.image_url.detail } };
  case 'input_audio': return { audio: { type: `audio/${p.input_audio.format}`, data: p.input_audio.data } };
  case 'file': return { file: p.file.file_id ? { id: p.file.file_id } : { ...media(p.file.file_data), name: p.file.filename } };
  default: return { other: p };
  }
}
const parts = (content) => (content == null ? [] : typeof content === 'string' ? (content ? [{ text: content }] : []) : content.map(part));

export function seenTurns(messages) {
  const system = [], turns = [];
  let last = null;
  const put = (role, items) => { if (last?.role === role) last.items.push(...items); else turns.push(last = { role, items }); };
  for (const m of messages) {
    const items = parts(m.content);
    if (m.role === 'system' || m.role === 'developer') {
      if (!last) system.push(...items.map((i) => i.text));
      else put('system', items);
    } else if (m.role === 'tool') put('user', [{ result: { id: m.tool_call_id, text: items.map((i) => i.text).join('') } }]);
    else if (m.role === 'user') put('user', items);
    else {
      const thought = m.reasoning_content !== undefined ? [{ reasoning: m.reasoning_content }] : [];
      const said = m.refusal ? [{ refusal: m.refusal }] : [];
      const calls = (m.tool_calls ?? []).map((c) => ({ call: { id: c.id, name: (c.function ?? c.custom).name, args: c.function?.arguments ?? c.custom.input, custom: !!c.custom } }));
      put('assistant', [...thought, ...items, ...said, ...calls]);
    }
  }
  return { system, turns };
}

function choiceOf(c) {
  if (c === undefined) return undefined;
  if (typeof c === 'string') return { mode: { none: 'none', auto: 'auto', required: 'any', any: 'any' }[c] };
  if (c.type === 'allowed_tools') return { mode: 'allowed', any: c.allowed_tools.mode === 'required', names: c.allowed_tools.tools.map((t) => t.function?.name ?? t.name) };
  return { mode: 'named', names: [(c.function ?? c.custom).name] };
}

export function seen(b) {
  const format = b.response_format;
  return {
    ...seenTurns(b.messages), model: b.model, stream: !!b.stream,
    tools: b.tools?.map((t) => (t.custom ? { name: t.custom.name, custom: true, description: t.custom.description }
      : { name: t.function.name, description: t.function.description, schema: t.function.parameters, strict: t.function.strict })),
    choice: choiceOf(b.tool_choice), parallel: b.parallel_tool_calls, max: b.max_completion_tokens ?? b.max_tokens, temperature: b.temperature, topP: b.top_p,
    presence: b.presence_penalty, frequency: b.frequency_penalty, seed: b.seed ?? b.random_seed, stop: b.stop === undefined ? undefined : [b.stop].flat(), n: b.n, logprobs: b.logprobs,
    topLogprobs: b.top_logprobs, bias: b.logit_bias, effort: b.reasoning_effort, verbosity: b.verbosity, user: b.safety_identifier ?? b.user, metadata: b.metadata,
    tier: b.service_tier, cacheKey: b.prompt_cache_key,
    format: format && { type: format.type === 'json_schema' ? 'schema' : format.type === 'json_object' ? 'json' : 'text', schema: format.json_schema?.schema, name: format.json_schema?.name },
  };
}

// ---- the answer ----

export function usageOf(u) {
  const prompt = u.fresh + u.read + u.write5m + u.write1h;
  return { prompt_tokens: prompt, completion_tokens: u.out + u.reasoning, total_tokens: prompt + u.out + u.reasoning,
    prompt_tokens_details: { cached_tokens: u.read, audio_tokens: 0, ...(u.write5m + u.write1h ? { cache_write_tokens: u.write5m + u.write1h } : {}) },
    completion_tokens_details: { reasoning_tokens: u.reasoning, audio_tokens: 0, accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 } };
}

export const finishOf = (finish) => ({ stop: 'stop', calls: 'tool_calls', length: 'length', sequence: 'stop', filter: 'content_filter', window: 'length' })[finish];

const logprobsOf = (list) => ({ content: list.map(([t, p, top]) => ({ token: t, logprob: p, bytes: [...Buffer.from(t)],
  top_logprobs: top.map(([x, q]) => ({ token: x, logprob: q, bytes: [...Buffer.from(x)] })) })), refusal: null });
const citeOf = (c) => ({ type: 'url_citation', url_citation: { url: c.url, title: c.title, start_index: c.from, end_index: c.to } });
export const callId = (call, index, key) => `call_${token('call', key, call.call, call.args, index)}`;

// Mistral's way with thoughts: `content` becomes an array.
const block = (thought) => ({ type: 'thinking', thinking: [{ type: 'text', text: thought }] });

// `style`: how a compatible host says it: { reasoning: 'reasoning_content', blocks, ids, finish(finish) }.
export function whole(scene, b, id, style = {}) {
  const choices = scene.choices.slice(0, b.n ?? 1).map((c, index) => {
    const of = (k) => c.parts.filter((p) => p[k] !== undefined);
    const calls = c.parts.filter((p) => p.call || p.custom).map((p, i) => (p.custom ? { id: callId({ call: p.custom, args: p.input }, i, id), type: 'custom', custom: { name: p.custom, input: p.input } } : { id: (style.ids ?? callId)(p, i, id), type: 'function', function: { name: p.call, arguments: p.args } }));
    const said = of('text').map((p) => p.text).join('');
    const message = { role: 'assistant', content: said || (calls.length || of('refusal').length ? null : ''), refusal: of('refusal')[0]?.refusal ?? null, annotations: of('cite').map((p) => citeOf(p.cite)) };
    if (style.blocks && of('reasoning').length) message.content = [block(of('reasoning').map((p) => p.reasoning).join('')), ...(said ? [{ type: 'text', text: said }] : [])];
    else if (style.reasoning && of('reasoning').length) message[style.reasoning] = of('reasoning').map((p) => p.reasoning).join('');
    if (calls.length) message.tool_calls = calls;
    return { index, message, logprobs: scene.logprobs && b.logprobs ? logprobsOf(scene.logprobs) : null, finish_reason: (style.finish ?? finishOf)(c.finish) };
  });
  return { id, object: 'chat.completion', created: 1764000000, model: style.model ?? `${b.model}-2026-04-23`, choices, usage: (style.usage ?? usageOf)(scene.usage), service_tier: 'default', system_fingerprint: 'fp_1' };
}

function deltas(c, index, scene, b, id, style) {
  const out = [];
  const delta = (d, more = {}) => out.push({ index, delta: d, logprobs: null, finish_reason: null, ...more });
  let calls = 0;

  delta({ role: 'assistant', content: c.parts[0]?.call ? null : '', refusal: null });
  for (const p of c.parts) {
    if (p.reasoning && style.blocks) for (const t of pieces(p.reasoning, scene.piece ?? 5)) delta({ content: [block(t)] });
    else if (p.reasoning && style.reasoning) for (const t of pieces(p.reasoning, scene.piece ?? 5)) delta({ [style.reasoning]: t, content: null });
    if (p.text && scene.logprobs && b.logprobs) for (const l of scene.logprobs) delta({ content: l[0] }, { logprobs: logprobsOf([l]) });
    else if (p.text) for (const t of pieces(p.text, scene.piece ?? 5)) delta({ content: t });
    if (p.refusal) for (const t of pieces(p.refusal, scene.piece ?? 5)) delta({ refusal: t });
    if (p.cite) delta({ annotations: [citeOf(p.cite)] });
    if (p.custom) {
      const i = calls++;
      delta({ tool_calls: [{ index: i, id: callId({ call: p.custom, args: p.input }, i, id), type: 'custom', custom: { name: p.custom, input: '' } }] });
      for (const t of pieces(p.input, scene.args ?? 3)) delta({ tool_calls: [{ index: i, custom: { input: t } }] });
    }
    if (p.call) {
      const i = calls++, first = { index: i, id: (style.ids ?? callId)(p, i, id), type: 'function', function: { name: p.call, arguments: '' } };
      if (style.wholeCalls) { first.function.arguments = p.args; delta({ tool_calls: [first] }); continue; }
      delta({ tool_calls: [first] });
      for (const t of pieces(p.args, scene.args ?? 3)) delta({ tool_calls: [{ index: i, function: { arguments: t } }] });
    }
  }
  delta({}, { finish_reason: (style.finish ?? finishOf)(c.finish) });
  return out;
}

export function chunks(scene, b, id, style = {}) {
  const asked = !!b.stream_options?.include_usage, pad = !style.reasoning && b.stream_options?.include_obfuscation !== false;
  const base = { id, object: 'chat.completion.chunk', created: 1764000000, model: style.model ?? `${b.model}-2026-04-23`, service_tier: 'default', system_fingerprint: 'fp_1' };
  const lanes = scene.choices.slice(0, b.n ?? 1).map((c, i) => deltas(c, i, scene, b, id, style));
  const out = [];
  for (let i = 0; lanes.some((l) => i < l.length); i++)       // choices interleave
    for (const l of lanes) if (i < l.length) out.push({ ...base, choices: [l[i]], ...(asked ? { usage: null } : {}), ...(pad ? { obfuscation: 'x'.repeat(1 + (i % 7)) } : {}) });
  if (style.usageOnLast) out.at(-1).usage = (style.usage ?? usageOf)(scene.usage);
  else if (asked) out.push({ ...base, choices: [], usage: (style.usage ?? usageOf)(scene.usage) });
  return out;
}

const errors = {
  bad: [400, 'invalid_request_error', 'invalid_value', 'The server had a reason of its own to refuse this.', 'messages'],
  context: [400, 'invalid_request_error', 'context_length_exceeded', "This model's maximum context length is 1000 tokens. However, your messages resulted in 2000 tokens.", 'messages'],
  auth: [401, 'invalid_request_error', 'invalid_api_key', 'Incorrect API key provided: sk-***.', null],
  credit: [429, 'insufficient_quota', 'insufficient_quota', 'You exceeded your current quota, please check your plan and billing details.', null],
  forbidden: [403, 'invalid_request_error', 'unsupported_country_region_territory', 'Country, region, or territory not supported', null],
  rate: [429, 'requests', 'rate_limit_exceeded', 'Rate limit reached for requests.', null],
  server: [500, 'server_error', null, 'The server had an error while processing your request.', null],
  overloaded: [503, 'server_error', 'slow_down', 'The engine is currently overloaded, please try again later.', null],
};
export function errorOf(kind) {
  const [status, type, code, message, param] = errors[kind];
  return new Refusal(status, message, { type, code, param });
}

export const data = (o) => `data: ${typeof o === 'string' ? o : JSON.stringify(o)}\n\n`;

export const headersOf = () => ({ 'x-request-id': 'req_openai', 'openai-processing-ms': '12', 'openai-version': '2020-10-01', 'x-ratelimit-limit-requests': '500',
  'x-ratelimit-remaining-requests': '499', 'x-ratelimit-reset-requests': '120ms', 'x-ratelimit-remaining-tokens': '29000' });

export const shape = (e) => ({ status: e.status, headers: { 'x-request-id': 'req_openai', ...e.more.headers },
  body: { error: { message: e.message, type: e.more.type ?? 'invalid_request_error', param: e.more.param ?? null, code: e.more.code ?? null } } });

// Answers a checked call; `style` as above, with `before` (comments before the first event).
export async function answer(call, style = {}) {
  const b = call.body, scene = sceneOf(call.seen.turns, call.upstream.name), id = `chatcmpl-${token(call.raw, call.n)}`;
  const events = () => chunks(scene, b, id, style).map(data);

  call.scene = scene;
  if (scene.error && !(scene.error.after > 0 && b.stream)) {
    const e = (style.errorOf ?? errorOf)(scene.error.kind);
    if (scene.error.seconds) e.more.headers = { 'retry-after': String(scene.error.seconds) };
    throw e;
  }
  if (!b.stream) return send(call, 200, (style.headers ?? headersOf)(), (style.blank ?? '') + JSON.stringify(whole(scene, b, id, style)));
  let list = [...(style.before ?? []), ...events(), data('[DONE]')];
  if (scene.error) {
    const e = (style.errorOf ?? errorOf)(scene.error.kind);
    list = [...events().slice(0, scene.error.after), data((style.shape ?? shape)(e).body)];
  }
  return stream(call, (style.headers ?? headersOf)(), list, scene);
}

export async function handle(call) {
  check(call.body);
  call.seen = seen(call.body);
  return answer(call);
}
