// messages.mjs - a caller with @anthropic-ai/sdk, Messages (asks and results: chat.mjs).
import Anthropic from '@anthropic-ai/sdk';

export const name = 'messages';
export const client = (house, more = {}) => new Anthropic({ baseURL: house.url, apiKey: house.key, ...(house.maxRetries === undefined ? {} : { maxRetries: house.maxRetries }), ...more });

const mark = (i) => (i.cache ? { cache_control: { type: 'ephemeral', ...(i.cache === '1h' ? { ttl: '1h' } : {}) } } : {});
const source = (m) => (m.url ? { type: 'url', url: m.url } : m.id ? { type: 'file', file_id: m.id } : { type: 'base64', media_type: m.type, data: m.data });
function block(i) {
  if (i.text !== undefined) return { type: 'text', text: i.text, ...mark(i) };
  if (i.image) return { type: 'image', source: source(i.image), ...mark(i) };
  if (i.file) return { type: 'document', source: source(i.file), ...(i.file.name ? { title: i.file.name } : {}), ...mark(i) };
  if (i.call) return { type: 'tool_use', id: i.call.id, name: i.call.name, input: JSON.parse(i.call.args || '{}') };
  if (i.result) return { type: 'tool_result', tool_use_id: i.result.id, content: i.result.media ? [{ type: 'text', text: i.result.text }, ...i.result.media.map(block)] : i.result.text, ...(i.result.error ? { is_error: true } : {}), ...mark(i) };
  throw new Error(`no block: ${JSON.stringify(i)}`);
}
function turn(t) {
  const native = t.items.filter((i) => i.native).flatMap((i) => i.native);
  if (native.length) return { role: t.role, content: native };
  const results = t.items.filter((i) => i.result), rest = t.items.filter((i) => !i.result), all = [...results, ...rest];
  return { role: t.role, content: all.length === 1 && all[0].text !== undefined && !all[0].cache ? all[0].text : all.map(block) };
}

const choiceOf = (c, parallel) => ({ ...({ none: { type: 'none' }, auto: { type: 'auto' }, any: { type: 'any' } }[c?.mode] ?? (c ? { type: 'tool', name: c.names[0] } : { type: 'auto' })), ...(parallel === false ? { disable_parallel_tool_use: true } : {}) });

export function build(ask) {
  const set = (k, v) => (v === undefined ? {} : { [k]: v });
  const system = [ask.system ?? []].flat();
  const thinking = ask.budget ? { type: 'enabled', budget_tokens: ask.budget } : ask.effort === 'none' ? { type: 'disabled' } : ask.effort || ask.thoughts ? { type: 'adaptive' } : undefined;
  const f = ask.format, config = { ...(ask.effort && ask.effort !== 'none' ? { effort: ask.effort } : {}), ...(f?.type === 'schema' ? { format: { type: 'json_schema', schema: f.schema } } : {}) };
  return {
    model: ask.model, max_tokens: ask.max ?? 4096,
    ...set('system', system.length === 0 ? undefined : system.length === 1 && !system[0].cache ? system[0].text ?? system[0] : system.map((s) => block(s.text ? s : { text: s }))),
    messages: ask.turns.map(turn), ...set('tools', ask.tools?.map((t) => ({ name: t.name, ...set('description', t.description), input_schema: t.schema ?? { type: 'object', properties: {} }, ...set('strict', t.strict), ...mark(t) }))),
    ...(ask.choice || ask.parallel === false ? { tool_choice: choiceOf(ask.choice, ask.parallel) } : {}), ...set('temperature', ask.temperature), ...set('top_p', ask.topP), ...set('top_k', ask.topK), ...set('stop_sequences', ask.stop),
    ...set('thinking', thinking), ...(Object.keys(config).length ? { output_config: config } : {}), ...set('metadata', ask.user && { user_id: ask.user }), ...set('service_tier', ask.tier), ...ask.extra,
  };
}

const counts = (u) => ({ fresh: u.input_tokens, read: u.cache_read_input_tokens ?? 0, write: u.cache_creation_input_tokens ?? 0, out: u.output_tokens, reasoning: u.output_tokens_details?.thinking_tokens ?? 0 });

function result(m) {
  const of = (type) => m.content.filter((b) => b.type === type), calls = of('tool_use');
  return {
    text: of('text').map((b) => b.text).join(''), reasoning: of('thinking').map((b) => b.thinking).join(''), refusal: m.stop_reason === 'refusal' ? of('text').map((b) => b.text).join('') : null, signed: of('thinking').some((b) => b.signature),
    redacted: of('redacted_thinking').length, finish: { end_turn: 'stop', tool_use: 'calls', max_tokens: 'length', stop_sequence: 'sequence', refusal: 'refusal', model_context_window_exceeded: 'length' }[m.stop_reason] ?? m.stop_reason, stop: m.stop_sequence,
    calls: calls.map((c) => ({ id: c.id, name: c.name, args: JSON.stringify(c.input) })), cites: of('text').flatMap((b) => b.citations ?? []), logprobs: null, choices: [of('text').map((b) => b.text).join('')],
    usage: counts(m.usage), model: m.model, id: m.id, raw: m, kinds: m.content.map((b) => b.type), native: m.content.map(({ parsed_output, ...b }) => b),
  };
}

export async function plain(house, params, headers = {}) {
  const { data, request_id } = await client(house).messages.create(params, { headers }).withResponse();
  return { ...result(data), requestId: request_id };
}

export async function stream(house, params, headers = {}) {
  const s = client(house).messages.stream(params, { headers });
  let text = '';
  s.on('text', (t) => { text += t; });
  const r = result(await s.finalMessage());
  if (text !== r.text) throw new Error(`the deltas said ${JSON.stringify(text)}, the end ${JSON.stringify(r.text)}`);
  return { ...r, requestId: s.request_id };
}

export const fault = (e) => ({ status: e.status, message: e.error?.error?.message ?? e.message, type: e.error?.error?.type, known: e instanceof Anthropic.APIError });
