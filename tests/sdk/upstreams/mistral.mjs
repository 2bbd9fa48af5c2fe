// mistral.mjs - a host like Mistral: OpenAI's form, validated to the letter. A field that it does not know is a 422 with
// `detail`; tool call ids have nine letters or digits; a forced call is `any`; the last turn is a user's or a tool's; usage comes
// on the last chunk unasked.
import { Refusal, Upstream, rules, token } from './common.mjs';
import * as chat from './openai_chat.mjs';

export const KEY = 'mistral-test-key';

const types = { unknown: 'extra_forbidden', missing: 'missing', type: 'type_error', value: 'value_error' };
const r = rules({ fault: (path, message, kind) => new Refusal(422, `${path}: ${message}`, { detail: [{ type: types[kind], loc: ['body', ...path.split(/[.[\]]+/).filter(Boolean)], msg: kind === 'unknown' ? 'Extra inputs are not permitted' : message }] }) });
const { any, bool, str, int, num, list, word, nullable, either, fields, by, match } = r;

const id = match(/^[a-zA-Z0-9]{9}$/);
const textPart = fields({ type: any, text: str }, ['text']);
const userPart = by('type', { text: textPart, image_url: fields({ type: any, image_url: either(str, fields({ url: str, detail: any }, ['url'])) }, ['image_url']),
  document_url: fields({ type: any, document_url: str, document_name: str }, ['document_url']), input_audio: fields({ type: any, input_audio: any }) });
const thinking = fields({ type: any, thinking: list(textPart), closed: bool }, ['thinking']);
const call = fields({ id, type: word('function'), index: int(0), function: fields({ name: chat.name64, arguments: either(str, r.object) }, ['name', 'arguments']) }, ['function']);
const message = by('role', {
  system: fields({ role: any, content: either(str, list(textPart, 1)) }, ['content']),
  user: fields({ role: any, content: either(str, list(userPart, 1)) }, ['content']),
  assistant: fields({ role: any, content: nullable(either(str, list(by('type', { text: textPart, thinking })))), tool_calls: nullable(list(call)), prefix: bool }),
  tool: fields({ role: any, content: either(str, list(textPart, 1)), tool_call_id: id, name: str }, ['content', 'tool_call_id']),
});
const tool = fields({ type: word('function'), function: fields({ name: chat.name64, description: str, parameters: r.object, strict: bool }, ['name', 'parameters']) }, ['function']);
const body = fields({
  model: word('mistral-large-2512', 'mistral-small-2603'), messages: list(message, 1), stream: bool, max_tokens: nullable(int(0)), temperature: nullable(num(0, 1.5)), top_p: num(0, 1), stop: either(str, list(str)),
  random_seed: nullable(int(0)), response_format: by('type', { text: fields({ type: any }), json_object: fields({ type: any }),
    json_schema: fields({ type: any, json_schema: fields({ name: chat.name64, schema: r.object, strict: bool, description: nullable(str) }, ['name', 'schema']) }, ['json_schema']) }),
  tools: nullable(list(tool)), tool_choice: either(word('auto', 'none', 'any', 'required'), fields({ type: word('function'), function: fields({ name: str }, ['name']) }, ['function'])), presence_penalty: num(-2, 2), frequency_penalty: num(-2, 2),
  n: nullable(int(1)), prediction: nullable(any), parallel_tool_calls: bool, prompt_mode: nullable(word('reasoning')), reasoning_effort: nullable(word('high', 'none')), safe_prompt: bool, metadata: nullable(any), prompt_cache_key: nullable(str), guardrails: any,
}, ['model', 'messages']);

const bad = (message) => new Refusal(400, message, { code: '3230', type: 'invalid_request_message_order' });

function check(b) {
  body(b, '');
  if (b.reasoning_effort && b.model !== 'mistral-small-2603') throw bad('reasoning_effort is not supported by this model');
  let open = new Set(), last = null;
  for (const m of b.messages) {
    if (m.role === 'tool') { if (!open.delete(m.tool_call_id)) throw bad('Unexpected tool call id in tool results'); last = m; continue; }
    if (open.size) throw bad('Not the same number of function calls and responses');
    if (m.role === 'assistant' && !m.tool_calls?.length && (m.content == null || m.content.length === 0)) throw bad('Assistant message must have either content or tool_calls, but not none.');
    open = new Set(m.tool_calls?.map((c) => c.id));
    last = m;
  }
  if (open.size) throw bad('Not the same number of function calls and responses');
  if (!['user', 'tool'].includes(last.role) && !last.prefix) throw bad(`Expected last role User or Tool (or Assistant with prefix True) for serving but got ${last.role}`);
}

const usageOf = (u) => { const prompt = u.fresh + u.read + u.write5m + u.write1h; return { prompt_tokens: prompt, completion_tokens: u.out + u.reasoning, total_tokens: prompt + u.out + u.reasoning, num_cached_tokens: u.read }; };
const flat = { bad: [400, 'The server had a reason of its own to refuse this.'], context: [400, 'Prompt contains 300000 tokens and 0 draft tokens, too large for model with 262144 maximum context length'], auth: [401, 'Unauthorized'],
  credit: [402, 'Payment required'], forbidden: [403, 'Forbidden'], rate: [429, 'Requests rate limit exceeded'], server: [500, 'Internal server error'], overloaded: [503, 'Service unavailable.'] };
const errorOf = (kind) => new Refusal(flat[kind][0], flat[kind][1], { type: `${kind}_error`, code: '1000' });
const shape = (e) => ({ status: e.status, headers: e.more.headers ?? {}, body: e.more.detail ? { detail: e.more.detail } : { object: 'error', message: e.message, type: e.more.type ?? 'invalid_request_error', param: null, code: e.more.code ?? '1000' } });

export const mistral = () => new Upstream('mistral', {
  shape,
  handle(c) {
    if (c.headers.authorization !== `Bearer ${KEY}`) throw new Refusal(401, 'Unauthorized');
    if (c.method !== 'POST' || c.path !== '/v1/chat/completions') throw new Refusal(404, 'Not Found');
    check(c.body);
    // Its thoughts are blocks of an array; they are left out of what was said.
    const plain = { ...c.body, messages: c.body.messages.map((m) => (m.role === 'assistant' && Array.isArray(m.content) ? { ...m, content: m.content.filter((p) => p.type === 'text') } : m)) };
    c.seen = chat.seen(plain);
    return chat.answer(c, { ids: (p, i, key) => token('mistral', key, i).slice(0, 9), usage: usageOf, errorOf, shape, model: c.body.model, usageOnLast: true, wholeCalls: true, blocks: c.body.reasoning_effort === 'high', headers: () => ({ 'x-ratelimit-limit-req-minute': '60' }),
      finish: (f) => (f === 'window' ? 'model_length' : chat.finishOf(f)) });
  },
});
