// responses.mjs - a caller with the openai SDK, Responses (asks and results: chat.mjs).
import { client, fault as chatFault } from './chat.mjs';

export const name = 'responses';
export { client };

const uri = (m) => m.url ?? `data:${m.type};base64,${m.data}`;
const mark = (i) => (i.cache ? { prompt_cache_breakpoint: { mode: 'explicit' } } : {});
function part(i) {
  if (i.text !== undefined) return { type: 'input_text', text: i.text, ...mark(i) };
  if (i.image) return { type: 'input_image', image_url: uri(i.image), detail: i.image.detail ?? 'auto' };
  if (i.file) return { type: 'input_file', ...(i.file.id ? { file_id: i.file.id } : { filename: i.file.name ?? 'a.pdf', file_data: uri(i.file) }) };
  throw new Error(`no part: ${JSON.stringify(i)}`);
}

function turn(t) {
  const out = [], said = t.items.filter((i) => i.text !== undefined || i.image || i.file);
  for (const i of t.items) {
    if (i.native) out.push(...i.native);
    if (i.result) out.push({ type: 'function_call_output', call_id: i.result.id, output: i.result.media ? [{ type: 'input_text', text: i.result.text ?? '' }, ...i.result.media.map(part)] : (i.result.error ? 'Error: ' : '') + (i.result.text ?? '') });
  }
  if (said.length && t.role === 'assistant') out.push({ role: 'assistant', content: said.map((i) => i.text).join('') });
  else if (said.length) out.push({ role: t.role, content: said.length === 1 && said[0].text !== undefined && !said[0].cache ? said[0].text : said.map(part) });
  for (const i of t.items) if (i.call) out.push({ type: 'function_call', call_id: i.call.id, name: i.call.name, arguments: i.call.args });
  return out;
}

const choiceOf = (c) => ({ none: 'none', auto: 'auto', any: 'required' })[c.mode] ?? (c.mode === 'named' ? { type: 'function', name: c.names[0] }
  : { type: 'allowed_tools', mode: c.any ? 'required' : 'auto', tools: c.names.map((n) => ({ type: 'function', name: n })) });

export function build(ask) {
  const set = (k, v) => (v === undefined ? {} : { [k]: v });
  const f = ask.format, texts = [ask.system ?? []].flat().map((s) => s.text ?? s);
  const input = ask.turns.flatMap(turn);
  return {
    model: ask.model, store: false, input: ask.plainInput && input.length === 1 ? input[0].content : [...texts.slice(1).map((s) => ({ role: ask.developer ? 'developer' : 'system', content: s })), ...input],
    ...set('instructions', texts[0]),
    ...set('tools', ask.tools?.map((t) => ({ type: 'function', name: t.name, ...set('description', t.description), parameters: t.schema ?? null, strict: t.strict ?? false }))),
    ...set('tool_choice', ask.choice && choiceOf(ask.choice)), ...set('parallel_tool_calls', ask.parallel), ...set('max_output_tokens', ask.max), ...set('temperature', ask.temperature), ...set('top_p', ask.topP),
    ...set('top_logprobs', ask.topLogprobs), ...(ask.logprobs ? { include: ['message.output_text.logprobs'] } : {}),
    ...(ask.effort || ask.thoughts ? { reasoning: { ...set('effort', ask.effort), ...(ask.thoughts ? { summary: 'auto' } : {}) }, include: ['reasoning.encrypted_content'] } : {}),
    ...(f || ask.verbosity ? { text: { ...set('format', f && (f.type === 'json' ? { type: 'json_object' } : { type: 'json_schema', name: f.name ?? 'answer', schema: f.schema, strict: f.strict ?? true })), ...set('verbosity', ask.verbosity) } } : {}),
    ...set('user', ask.user), ...set('metadata', ask.metadata), ...set('service_tier', ask.tier), ...ask.extra,
  };
}

const counts = (u) => u && { fresh: u.input_tokens - u.input_tokens_details.cached_tokens, read: u.input_tokens_details.cached_tokens, out: u.output_tokens, reasoning: u.output_tokens_details.reasoning_tokens, total: u.total_tokens };

function result(r) {
  const of = (type) => r.output.filter((i) => i.type === type), parts = of('message').flatMap((m) => m.content), calls = [...of('function_call'), ...of('custom_tool_call')];
  const refusal = parts.find((p) => p.type === 'refusal')?.refusal ?? null, reason = r.incomplete_details?.reason;
  return {
    text: r.output_text ?? parts.filter((p) => p.type === 'output_text').map((p) => p.text).join(''), reasoning: of('reasoning').flatMap((i) => i.summary).map((s) => s.text).join(''), refusal,
    finish: r.status === 'incomplete' ? { max_output_tokens: 'length', content_filter: 'filter' }[reason] : r.status !== 'completed' ? r.status : refusal ? 'refusal' : calls.length ? 'calls' : 'stop',
    calls: calls.map((c) => ({ id: c.call_id, name: c.name, args: c.arguments ?? c.input })), cites: parts.flatMap((p) => p.annotations ?? []), logprobs: parts.flatMap((p) => p.logprobs ?? []),
    choices: [r.output_text], usage: counts(r.usage), model: r.model, id: r.id, raw: r, signed: of('reasoning').some((i) => i.encrypted_content),
    native: r.output.map(({ parsed_arguments, ...i }) => (i.type === 'message' ? { ...i, content: i.content.map(({ parsed, ...p }) => p) } : i)),
  };
}

export async function plain(house, params, headers = {}) {
  const { data, request_id } = await client(house).responses.create(params, { headers }).withResponse();
  return { ...result(data), requestId: request_id };
}

export async function stream(house, params, headers = {}) {
  const s = client(house).responses.stream(params, { headers });
  let text = '';
  s.on('response.output_text.delta', (e) => { text += e.delta; });
  const r = result(await s.finalResponse());
  if (text !== r.text) throw new Error(`the deltas said ${JSON.stringify(text)}, the end ${JSON.stringify(r.text)}`);
  return r;
}

export const fault = chatFault;
