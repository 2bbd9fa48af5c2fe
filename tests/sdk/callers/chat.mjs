// chat.mjs - a caller with the openai SDK, Chat Completions: an ask in no dialect becomes its parameters, and what the SDK has
// gathered becomes a result in no dialect.
//
// An ask: { model, system, turns: [{ role, items }], tools, choice, parallel, max, temperature, topP, topK, presence, frequency,
// seed, stop, logprobs, topLogprobs, bias, n, format, effort, budget, thoughts, user, metadata, tier, extra }. An item is { text }
// { image | file | audio: { type, data | url, name } } { call } { result } or { native }, what this SDK returned before.
// A result: { text, reasoning, calls, finish, refusal, cites, logprobs, choices, usage, model, id, native, raw }.
import OpenAI from 'openai';

export const name = 'chat';
export const client = (house, more = {}) => new OpenAI({ baseURL: `${house.url}/v1`, apiKey: house.key, ...(house.maxRetries === undefined ? {} : { maxRetries: house.maxRetries }), ...more });

const uri = (m) => m.url ?? `data:${m.type};base64,${m.data}`;
const mark = (i) => (i.cache ? { prompt_cache_breakpoint: { mode: 'explicit' } } : {});
function part(i) {
  if (i.text !== undefined) return { type: 'text', text: i.text, ...mark(i) };
  if (i.image) return { type: 'image_url', image_url: { url: uri(i.image), ...(i.image.detail ? { detail: i.image.detail } : {}) } };
  if (i.audio) return { type: 'input_audio', input_audio: { data: i.audio.data, format: i.audio.type.split('/')[1] } };
  if (i.file) return { type: 'file', file: i.file.id ? { file_id: i.file.id } : { filename: i.file.name ?? 'a.pdf', file_data: uri(i.file) } };
  throw new Error(`no part: ${JSON.stringify(i)}`);
}

function turn(t) {
  const out = [], results = t.items.filter((i) => i.result), rest = t.items.filter((i) => !i.result && !i.native && !i.call), calls = t.items.filter((i) => i.call);
  for (const i of t.items) if (i.native) out.push(...i.native);
  for (const { result } of results) out.push({ role: 'tool', tool_call_id: result.id, content: (result.error ? 'Error: ' : '') + (result.text ?? '') });
  if (t.role === 'assistant' && (rest.length || calls.length))
    out.push({ role: 'assistant', content: rest.map((i) => i.text).join('') || null, ...(calls.length ? { tool_calls: calls.map(({ call }) => ({ id: call.id, type: 'function', function: { name: call.name, arguments: call.args } })) } : {}) });
  else if (rest.length) out.push({ role: t.role, content: rest.length === 1 && rest[0].text !== undefined && !rest[0].cache ? rest[0].text : rest.map(part) });
  return out;
}

const choiceOf = (c) => ({ none: 'none', auto: 'auto', any: 'required' })[c.mode] ?? (c.mode === 'named' ? { type: 'function', function: { name: c.names[0] } }
  : { type: 'allowed_tools', allowed_tools: { mode: c.any ? 'required' : 'auto', tools: c.names.map((n) => ({ type: 'function', function: { name: n } })) } });

export function build(ask) {
  const set = (k, v) => (v === undefined ? {} : { [k]: v });
  const f = ask.format;
  return {
    model: ask.model,
    messages: [...[ask.system ?? []].flat().map((s) => ({ role: ask.developer ? 'developer' : 'system', content: s.cache ? [part(s)] : s.text ?? s })), ...ask.turns.flatMap(turn)],
    ...set('tools', ask.tools?.map((t) => ({ type: 'function', function: { name: t.name, ...set('description', t.description), ...set('parameters', t.schema), ...set('strict', t.strict) } }))),
    ...set('tool_choice', ask.choice && choiceOf(ask.choice)), ...set('parallel_tool_calls', ask.parallel), ...set('max_completion_tokens', ask.max), ...set('temperature', ask.temperature), ...set('top_p', ask.topP),
    ...set('presence_penalty', ask.presence), ...set('frequency_penalty', ask.frequency), ...set('seed', ask.seed), ...set('stop', ask.stop), ...set('logprobs', ask.logprobs), ...set('top_logprobs', ask.topLogprobs),
    ...set('logit_bias', ask.bias), ...set('n', ask.n), ...set('reasoning_effort', ask.effort), ...set('verbosity', ask.verbosity), ...set('user', ask.user), ...set('metadata', ask.metadata), ...set('service_tier', ask.tier),
    ...set('response_format', f && (f.type === 'json' ? { type: 'json_object' } : { type: 'json_schema', json_schema: { name: f.name ?? 'answer', schema: f.schema, ...set('strict', f.strict ?? true) } })),
    ...ask.extra,
  };
}

const counts = (u) => u && { fresh: u.prompt_tokens - (u.prompt_tokens_details?.cached_tokens ?? 0), read: u.prompt_tokens_details?.cached_tokens ?? 0, out: u.completion_tokens, reasoning: u.completion_tokens_details?.reasoning_tokens ?? 0,
  total: u.total_tokens };

function result(c) {
  const first = c.choices[0], m = first.message, calls = m.tool_calls ?? [];
  const finish = m.refusal ? 'refusal' : { stop: calls.length ? 'calls' : 'stop', tool_calls: 'calls', length: 'length', content_filter: 'filter' }[first.finish_reason];
  return {
    text: m.content ?? '', reasoning: m.reasoning_content ?? '', refusal: m.refusal ?? null, finish,
    calls: calls.map((t) => ({ id: t.id, name: (t.function ?? t.custom).name, args: t.function?.arguments ?? t.custom.input })),
    cites: (m.annotations ?? []).map((a) => a.url_citation), logprobs: first.logprobs?.content ?? null, choices: c.choices.map((x) => x.message.content), usage: counts(c.usage), model: c.model, id: c.id, raw: c,
    // What a client keeps of it: the members that the SDK's types know.
    native: [{ role: 'assistant', content: m.content ?? null, ...(calls.length ? { tool_calls: calls.map(({ id, type, function: f, custom }) => ({ id, type, ...(f ? { function: { name: f.name, arguments: f.arguments } } : { custom }) })) } : {}) }],
  };
}

export async function plain(house, params, headers = {}) {
  const { data, request_id } = await client(house).chat.completions.create(params, { headers }).withResponse();
  return { ...result(data), requestId: request_id };
}

export async function stream(house, params, headers = {}) {
  const s = client(house).chat.completions.stream({ ...params, stream_options: { include_usage: true } }, { headers });
  let reasoning = '';
  s.on('chunk', (c) => { reasoning += c.choices[0]?.delta?.reasoning_content ?? ''; });
  return { ...result(await s.finalChatCompletion()), reasoning };
}

// The status and words of an error that the SDK threw.
export const fault = (e) => ({ status: e.status, message: e.message, type: e.type, code: e.code, param: e.param, known: e instanceof OpenAI.APIError });
