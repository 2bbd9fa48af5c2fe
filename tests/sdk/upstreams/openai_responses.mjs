// openai_responses.mjs - POST /v1/responses as OpenAI takes and answers it. Refuses what OpenAI refuses: the members of Chat,
// parts of the wrong direction, ids of the wrong kind, orphan outputs, reasoning without its encrypted content or whose content
// it did not issue, fewer than 16 output tokens. Items of answers are stored unless `store` is
// false, and found by their ids; whole answers are not.
import { Refusal, pieces, rules, send, stream, token } from './common.mjs';
import { errorOf, headersOf, name64, shape as chatShape } from './openai_chat.mjs';
import { notASchema, notStrict } from './schema.mjs';
import { sceneOf } from './scenes.mjs';

const codes = { unknown: 'unknown_parameter', missing: 'missing_required_parameter', type: 'invalid_type', value: 'invalid_value' };
const r = rules({
  fault: (path, message, kind) => new Refusal(400, kind === 'unknown' ? `Unknown parameter: '${path}'.` : `Invalid '${path}': ${message}.`,
    { type: 'invalid_request_error', param: path, code: codes[kind] }),
});
const { any, bool, str, int, num, list, word, nullable, either, fields, by, match, text, map } = r;

const mark = { prompt_cache_breakpoint: any };
const image = fields({ type: any, image_url: nullable(either(r.dataUri('image/png', 'image/jpeg', 'image/gif', 'image/webp'), match(/^https?:\/\//))), file_id: nullable(match(/^file-/)),
  detail: word('auto', 'low', 'high', 'original'), ...mark });
const file = fields({ type: any, file_data: r.dataUri('application/pdf', 'text/plain'), file_id: nullable(match(/^file-/)), file_url: match(/^https?:\/\//), filename: str, detail: any, ...mark });
const inputText = fields({ type: any, text: str, ...mark }, ['text']);
const inPart = by('type', { input_text: inputText, input_image: image, input_file: file });
const outPart = by('type', { output_text: fields({ type: any, text: str, annotations: list(any), logprobs: nullable(list(any)) }, ['text']), refusal: fields({ type: any, refusal: str }, ['refusal']) });
const status = nullable(word('in_progress', 'completed', 'incomplete'));
const id = (prefix) => nullable(match(new RegExp(`^${prefix}`)));

const message = by('role', {
  user: fields({ type: word('message'), role: any, content: either(str, list(inPart)), id: id('msg'), status }, ['content']),
  system: fields({ type: word('message'), role: any, content: either(str, list(inPart)), id: id('msg'), status }, ['content']),
  developer: fields({ type: word('message'), role: any, content: either(str, list(inPart)), id: id('msg'), status }, ['content']),
  assistant: fields({ type: word('message'), role: any, content: either(str, list(outPart)), id: id('msg'), status, phase: nullable(word('commentary', 'final_answer')) }, ['content']),
});
const output = either(str, list(by('type', { input_text: inputText, input_image: image, input_file: file })));
const item = (v, path) => {
  r.object(v, path);
  if (v.type === undefined) return message(v, path);
  return by('type', {
    message,
    function_call: fields({ type: any, id: id('fc_'), call_id: text(1, 64), name: name64, arguments: str, status, namespace: any }, ['call_id', 'name', 'arguments']),
    function_call_output: fields({ type: any, id: id('fc'), call_id: text(1, 64), output, status }, ['call_id', 'output']),
    custom_tool_call: fields({ type: any, id: id('ctc'), call_id: text(1, 64), name: name64, input: str, status, namespace: any }, ['call_id', 'name', 'input']),
    custom_tool_call_output: fields({ type: any, id: id('ctc'), call_id: text(1, 64), output, status }, ['call_id', 'output']),
    reasoning: fields({ type: any, id: id('rs_'), summary: list(fields({ type: word('summary_text'), text: str }, ['type', 'text'])),
      content: nullable(list(fields({ type: word('reasoning_text'), text: str }, ['type', 'text']))), encrypted_content: nullable(str), status }, ['summary']),
    item_reference: fields({ type: any, id: str }, ['id']),
  })(v, path);
};

const schema = (v, path) => { const why = notASchema(v); if (why) r.bad(path, why); };
const tool = by('type', {
  function: fields({ type: any, name: name64, description: nullable(str), parameters: nullable(schema), strict: nullable(bool), output_schema: any, defer_loading: any, allowed_callers: any }, ['name', 'parameters']),
  custom: fields({ type: any, name: name64, description: str, format: any, defer_loading: any }, ['name']),
  web_search: fields({ type: any, search_context_size: any, user_location: any, filters: any, external_web_access: any }),
  web_search_preview: fields({ type: any, search_context_size: any, user_location: any }),
  local_shell: fields({ type: any }),
});
const choice = either(word('none', 'auto', 'required'), by('type', {
  function: fields({ type: any, name: str }, ['name']), custom: fields({ type: any, name: str }, ['name']),
  allowed_tools: fields({ type: any, mode: word('auto', 'required'), tools: list(any, 1) }, ['mode', 'tools']), web_search: fields({ type: any }),
}));
const body = fields({
  model: str, input: either(text(1), list(item, 1)), instructions: nullable(str), previous_response_id: nullable(str), conversation: nullable(any), store: nullable(bool),
  background: nullable(bool), stream: nullable(bool), stream_options: nullable(fields({ include_obfuscation: bool })), max_output_tokens: nullable(int(16)), max_tool_calls: nullable(int(1)),
  temperature: nullable(num(0, 2)), top_p: nullable(num(0, 1)), top_logprobs: nullable(int(0, 20)),
  reasoning: nullable(fields({ effort: nullable(word('none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max')), summary: nullable(word('auto', 'concise', 'detailed')),
    generate_summary: nullable(any), mode: nullable(word('standard', 'pro')), context: nullable(word('auto', 'current_turn', 'all_turns')) })),
  text: fields({ format: by('type', { text: fields({ type: any }), json_object: fields({ type: any }),
    json_schema: fields({ type: any, name: name64, schema, strict: nullable(bool), description: str }, ['name', 'schema']) }), verbosity: nullable(word('low', 'medium', 'high')) }),
  tools: list(tool, 0, 128), tool_choice: choice, parallel_tool_calls: nullable(bool),
  include: nullable(list(word('reasoning.encrypted_content', 'message.output_text.logprobs', 'file_search_call.results', 'web_search_call.results', 'web_search_call.action.sources',
    'code_interpreter_call.outputs', 'message.input_image.image_url', 'computer_call_output.output.image_url'))),
  truncation: nullable(word('auto', 'disabled')), context_management: any, metadata: nullable(map(text(0, 512), 16)), safety_identifier: text(1, 64), user: str,
  service_tier: nullable(word('auto', 'default', 'flex', 'scale', 'priority')), prompt_cache_key: text(0, 512), prompt_cache_options: any, prompt_cache_retention: nullable(word('in_memory', '24h')),
  moderation: any, prompt: nullable(any),
}, ['model', 'input']);

const bad = (message, param, code = null, status = 400) => new Refusal(status, message, { type: 'invalid_request_error', param, code });
const stored = new Map();
// What this account issued, and so can decrypt.
const issued = new Set();
const seal = (id) => { const s = `gAAAA${token('sealed', id)}`; issued.add(s); return s; };

// References and stored reasoning are put in the place of their ids.
function resolve(items) {
  return items.map((it, i) => {
    if (it.type === 'item_reference' && !stored.has(it.id)) throw bad(`Item with id '${it.id}' not found.`, `input[${i}].id`, null, 404);
    return it.type === 'item_reference' ? stored.get(it.id) : it;
  });
}

function checkItems(items) {
  const calls = new Map(), answered = new Set();
  items.forEach((it, i) => {
    if (it.type === 'reasoning') {
      if (it.encrypted_content == null && !stored.has(it.id)) throw bad(`Item with id '${it.id}' not found. Items are not persisted when 'store' is set to false.`, `input[${i}].id`, null, 404);
      if (it.encrypted_content != null && !issued.has(it.encrypted_content)) throw bad('The encrypted content could not be verified.', `input[${i}].encrypted_content`, 'invalid_encrypted_content');
      const next = items[i + 1];
      if (!next || next.type === 'reasoning' || next.role === 'user') throw bad(`Item '${it.id}' of type 'reasoning' was provided without its required following item.`, 'input');
    }
    if (it.type === 'function_call' || it.type === 'custom_tool_call') {
      if (calls.has(it.call_id)) throw bad(`Duplicate call_id '${it.call_id}'.`, `input[${i}].call_id`);
      calls.set(it.call_id, i);
    }
    if (it.type === 'function_call_output' || it.type === 'custom_tool_call_output') {
      if (!calls.has(it.call_id)) throw bad(`No tool call found for function call output with call_id ${it.call_id}.`, 'input');
      if (answered.has(it.call_id)) throw bad(`Duplicate output for call_id ${it.call_id}.`, 'input');
      answered.add(it.call_id);
    }
  });
  for (const id of calls.keys()) if (!answered.has(id)) throw bad(`No tool output found for function call ${id}.`, 'input');
}

function check(b) {
  body(b, '');
  if (!/^(gpt-|o[134])/.test(b.model)) throw bad(`The requested model '${b.model}' does not exist.`, 'model', 'model_not_found');
  if (Array.isArray(b.input)) checkItems(b.input = resolve(b.input));
  if (b.previous_response_id) throw bad(`Previous response with id '${b.previous_response_id}' not found.`, 'previous_response_id', 'previous_response_not_found');
  if (b.stream_options && !b.stream) throw bad("The 'stream_options' parameter is only allowed when 'stream' is enabled.", 'stream_options');
  if (b.text?.format?.type === 'json_object' && !/json/i.test(JSON.stringify(b.input))) throw bad("Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'.", 'input');
  if (/-pro/.test(b.model))                                   // a reasoning model: sampling is its own
    for (const p of ['temperature', 'top_p']) if (b[p] != null && b[p] !== 1) throw bad(`Unsupported parameter: '${p}' is not supported with this model.`, p, 'unsupported_parameter');
  const names = (b.tools ?? []).map((t) => t.name ?? t.type);
  for (const [i, t] of (b.tools ?? []).entries()) {
    if (names.indexOf(names[i]) !== i) throw bad(`Duplicate tool name '${names[i]}'.`, `tools[${i}].name`);
    const why = t.type === 'function' && t.strict !== false && notStrict(t.parameters ?? { type: 'object', properties: {}, additionalProperties: false, required: [] });
    if (why) throw bad(`Invalid schema for function '${t.name}': ${why}.`, `tools[${i}].parameters`, 'invalid_function_parameters');
  }
  if (b.tool_choice?.name && !names.includes(b.tool_choice.name)) throw bad(`Tool choice '${b.tool_choice.name}' not found in 'tools' parameter.`, 'tool_choice');
  const f = b.text?.format, why = f?.type === 'json_schema' && f.strict && notStrict(f.schema);
  if (why) throw bad(`Invalid schema for response_format '${f.name}': ${why}.`, 'text.format.schema', 'invalid_json_schema');
}

// ---- what was asked, in no dialect ----

const media = (url) => { const m = /^data:([^;]+);base64,(.*)$/s.exec(url); return m ? { type: m[1], data: m[2] } : { url }; };
function part(p) {
  switch (p.type) {
  case 'input_text': case 'output_text': return { text: p.text };
  case 'refusal': return { refusal: p.refusal };
  case 'input_image': return { image: p.file_id ? { id: p.file_id } : { ...media(p.image_url), detail: p.detail } };
  case 'input_file': return { file: p.file_id ? { id: p.file_id } : { ...(p.file_url ? { url: p.file_url } : media(p.file_data)), name: p.filename } };
  default: return { other: p };
  }
}
const parts = (content) => (typeof content === 'string' ? (content ? [{ text: content }] : []) : content.map(part));

function seenTurns(b) {
  const system = b.instructions ? [b.instructions] : [], turns = [];
  let last = null;
  const put = (role, items) => { if (last?.role === role) last.items.push(...items); else turns.push(last = { role, items }); };
  for (const it of typeof b.input === 'string' ? [{ role: 'user', content: b.input }] : b.input) {
    if (it.role === 'system' || it.role === 'developer') { if (!last) system.push(...parts(it.content).map((p) => p.text)); else put('system', parts(it.content)); }
    else if (it.role) put(it.role, parts(it.content));
    else if (it.type === 'reasoning') put('assistant', [{ reasoning: it.summary.map((s) => s.text).join('\n\n'), signed: true }]);
    else if (/_output$/.test(it.type)) {
      const said = typeof it.output === 'string' ? [{ text: it.output }] : it.output.map(part);
      put('user', [{ result: { id: it.call_id, text: said.map((p) => p.text ?? '').join(''), media: said.filter((p) => p.image || p.file) } }]);
    } else put('assistant', [{ call: { id: it.call_id, name: it.name, args: it.arguments ?? it.input, custom: it.type === 'custom_tool_call' } }]);
  }
  return { system, turns };
}

function choiceOf(c) {
  if (c === undefined) return undefined;
  if (typeof c === 'string') return { mode: { none: 'none', auto: 'auto', required: 'any' }[c] };
  if (c.type === 'allowed_tools') return { mode: 'allowed', any: c.mode === 'required', names: c.tools.map((t) => t.name) };
  return { mode: 'named', names: [c.name ?? c.type] };
}

export function seen(b) {
  const f = b.text?.format;
  return {
    ...seenTurns(b), model: b.model, stream: !!b.stream,
    tools: b.tools?.map((t) => ({ name: t.name ?? t.type, custom: t.type === 'custom' || undefined, server: !t.name || undefined, description: t.description ?? undefined, schema: t.parameters ?? undefined, strict: t.strict })),
    choice: choiceOf(b.tool_choice), parallel: b.parallel_tool_calls, max: b.max_output_tokens, temperature: b.temperature, topP: b.top_p, topLogprobs: b.top_logprobs,
    logprobs: b.include?.includes('message.output_text.logprobs') || undefined, effort: b.reasoning?.effort, summary: b.reasoning?.summary, verbosity: b.text?.verbosity,
    user: b.safety_identifier ?? b.user, metadata: b.metadata, tier: b.service_tier, cacheKey: b.prompt_cache_key, store: b.store, include: b.include,
    format: f && { type: f.type === 'json_schema' ? 'schema' : f.type === 'json_object' ? 'json' : 'text', schema: f.schema, name: f.name },
  };
}

// ---- the answer ----

export function usageOf(u) {
  const input = u.fresh + u.read + u.write5m + u.write1h;
  return { input_tokens: input, input_tokens_details: { cached_tokens: u.read, cache_write_tokens: u.write5m + u.write1h }, output_tokens: u.out + u.reasoning,
    output_tokens_details: { reasoning_tokens: u.reasoning }, total_tokens: input + u.out + u.reasoning };
}

function items(scene, b, key) {
  const out = [], encrypted = b.include?.includes('reasoning.encrypted_content');
  let message = null, n = 0;
  for (const p of scene.choices[0].parts) {
    const of = (prefix) => `${prefix}_${token(prefix, key, n++)}`;
    if (p.text !== undefined || p.refusal !== undefined) {
      if (!message) out.push(message = { id: of('msg'), type: 'message', status: 'completed', role: 'assistant', content: [] });
      message.content.push(p.text !== undefined ? { type: 'output_text', text: p.text, annotations: [], logprobs: logprobs(scene, b) } : { type: 'refusal', refusal: p.refusal });
    } else if (p.cite) message.content.at(-1).annotations.push({ type: 'url_citation', url: p.cite.url, title: p.cite.title, start_index: p.cite.from, end_index: p.cite.to });
    else {
      message = null;
      if (p.reasoning !== undefined) {
        const summary = b.reasoning?.summary ? [{ type: 'summary_text', text: p.reasoning }] : [];
        const rs = of('rs');
        out.push({ id: rs, type: 'reasoning', summary, ...(encrypted ? { encrypted_content: seal(rs) } : {}) });
      } else if (p.redacted !== undefined) {
        const rs = of('rs');
        out.push({ id: rs, type: 'reasoning', summary: [], ...(encrypted ? { encrypted_content: seal(rs) } : {}) });
      }
      if (p.custom) out.push({ id: of('ctc'), type: 'custom_tool_call', status: 'completed', call_id: `call_${token('call', key, n)}`, name: p.custom, input: p.input });
      if (p.call) out.push({ id: of('fc'), type: 'function_call', status: 'completed', call_id: `call_${token('call', key, n)}`, name: p.call, arguments: p.args });
    }
  }
  if (b.store !== false) for (const it of out) stored.set(it.id, it);
  return out;
}

const logprobs = (scene, b) => (scene.logprobs && b.include?.includes('message.output_text.logprobs')
  ? scene.logprobs.map(([t, p, top]) => ({ token: t, logprob: p, bytes: [...Buffer.from(t)], top_logprobs: top.map(([x, q]) => ({ token: x, logprob: q, bytes: [...Buffer.from(x)] })) })) : []);

function response(scene, b, id, output, done) {
  const finish = scene.choices[0].finish;
  const reason = { length: 'max_output_tokens', window: 'max_output_tokens', filter: 'content_filter' }[finish];
  return { id, object: 'response', created_at: 1764000000, status: done ? (reason ? 'incomplete' : 'completed') : 'in_progress', background: false, error: null,
    incomplete_details: done && reason ? { reason } : null, instructions: b.instructions ?? null, max_output_tokens: b.max_output_tokens ?? null, model: `${b.model}-2026-04-23`, output,
    parallel_tool_calls: b.parallel_tool_calls ?? true, previous_response_id: null, prompt_cache_key: b.prompt_cache_key ?? null, reasoning: { effort: b.reasoning?.effort ?? null, summary: b.reasoning?.summary ?? null },
    safety_identifier: null, service_tier: 'default', store: b.store ?? true, temperature: 1, text: { format: b.text?.format ?? { type: 'text' }, verbosity: 'medium' }, tool_choice: b.tool_choice ?? 'auto',
    tools: b.tools ?? [], top_logprobs: 0, top_p: 1, truncation: 'disabled', usage: done ? usageOf(scene.usage) : null, user: null, metadata: b.metadata ?? {} };
}

function* messageEvents(it, k, scene) {
  for (const [c, p] of it.content.entries()) {
    const at = { item_id: it.id, output_index: k, content_index: c };
    if (p.type === 'refusal') {
      yield ['response.content_part.added', { ...at, part: { type: 'refusal', refusal: '' } }];
      for (const t of pieces(p.refusal, scene.piece ?? 5)) yield ['response.refusal.delta', { ...at, delta: t }];
      yield ['response.refusal.done', { ...at, refusal: p.refusal }];
    } else {
      yield ['response.content_part.added', { ...at, part: { type: 'output_text', text: '', annotations: [], logprobs: [] } }];
      const list = p.logprobs.length ? p.logprobs.map((l) => [l.token, [l]]) : pieces(p.text, scene.piece ?? 5).map((t) => [t, []]);
      for (const [delta, l] of list) yield ['response.output_text.delta', { ...at, delta, logprobs: l, obfuscation: 'xxxx' }];
      for (const [i, annotation] of p.annotations.entries()) yield ['response.output_text.annotation.added', { ...at, annotation_index: i, annotation }];
      yield ['response.output_text.done', { ...at, text: p.text, logprobs: p.logprobs }];
    }
    yield ['response.content_part.done', { ...at, part: p }];
  }
}

function* itemEvents(it, k, scene) {
  const at = { item_id: it.id, output_index: k };
  if (it.type === 'message') {
    yield ['response.output_item.added', { output_index: k, item: { ...it, status: 'in_progress', content: [] } }];
    yield* messageEvents(it, k, scene);
  } else if (it.type === 'reasoning') {
    yield ['response.output_item.added', { output_index: k, item: { ...it, summary: [] } }];
    for (const [i, s] of it.summary.entries()) {
      yield ['response.reasoning_summary_part.added', { ...at, summary_index: i, part: { type: 'summary_text', text: '' } }];
      for (const t of pieces(s.text, scene.piece ?? 5)) yield ['response.reasoning_summary_text.delta', { ...at, summary_index: i, delta: t }];
      yield ['response.reasoning_summary_text.done', { ...at, summary_index: i, text: s.text }];
      yield ['response.reasoning_summary_part.done', { ...at, summary_index: i, part: s }];
    }
  } else if (it.type === 'custom_tool_call') {
    yield ['response.output_item.added', { output_index: k, item: { ...it, status: 'in_progress', input: '' } }];
    for (const t of pieces(it.input, scene.args ?? 3)) yield ['response.custom_tool_call_input.delta', { ...at, delta: t }];
    yield ['response.custom_tool_call_input.done', { ...at, input: it.input }];
  } else {
    yield ['response.output_item.added', { output_index: k, item: { ...it, status: 'in_progress', arguments: '' } }];
    for (const t of pieces(it.arguments, scene.args ?? 3)) yield ['response.function_call_arguments.delta', { ...at, delta: t }];
    yield ['response.function_call_arguments.done', { ...at, name: it.name, arguments: it.arguments }];
  }
  yield ['response.output_item.done', { output_index: k, item: it }];
}

function events(scene, b, id) {
  const output = items(scene, b, id), list = [];
  list.push(['response.created', { response: response(scene, b, id, [], false) }], ['response.in_progress', { response: response(scene, b, id, [], false) }]);
  output.forEach((it, k) => list.push(...itemEvents(it, k, scene)));
  const last = response(scene, b, id, output, true);
  list.push([`response.${last.status}`, { response: last }]);
  return list.map(([type, o], n) => event(type, { type, sequence_number: n, ...o }));
}
const event = (type, o) => `event: ${type}\ndata: ${JSON.stringify(o)}\n\n`;

export const shape = chatShape;

export async function handle(call) {
  const b = call.body;
  check(b);
  call.seen = seen(b);
  const scene = call.scene = sceneOf(call.seen.turns, 'openai'), id = `resp_${token(call.raw, call.n)}`;
  if (scene.error && !(scene.error.after > 0 && b.stream)) {
    const e = errorOf(scene.error.kind);
    if (scene.error.seconds) e.more.headers = { 'retry-after': String(scene.error.seconds) };
    throw e;
  }
  if (!b.stream) return send(call, 200, headersOf(), response(scene, b, id, items(scene, b, id), true));
  let list = events(scene, b, id);
  if (scene.error) {
    const e = errorOf(scene.error.kind), n = scene.error.after + 2;
    list = [...list.slice(0, n), event('response.failed', { type: 'response.failed', sequence_number: n,
      response: { ...response(scene, b, id, [], false), status: 'failed', error: { code: 'server_error', message: e.message } } })];
  }
  return stream(call, headersOf(), list, scene);
}
