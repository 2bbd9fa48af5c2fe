// deepseek.mjs - DeepSeek's POST /chat/completions: OpenAI's form with rules of its own. Thinks unless told not to; while it
// thinks, an assistant message with tool calls must bring its reasoning_content back, and no tool can be forced. No JSON Schema,
// no `developer`, functions alone. Empty lines come before a whole answer, comments before a stream, usage twice.
import { Refusal, Upstream, rules } from './common.mjs';
import * as chat from './openai_chat.mjs';

export const KEY = 'sk-deepseek-test-key';

const r = rules({ fault: (path, message, kind) => new Refusal(kind === 'value' ? 422 : 400, `Failed to deserialize the JSON body into the target type: ${path}: ${message}`, { type: 'invalid_request_error', param: null, code: 'invalid_request_error' }) });
const { any, bool, str, int, num, list, word, nullable, either, fields, by, map } = r;

const textPart = fields({ type: any, text: str }, ['text']);
const userPart = by('type', { text: textPart, image_url: fields({ type: any, image_url: fields({ url: str, detail: any }, ['url']) }, ['image_url']) });
const call = by('type', { function: fields({ id: str, type: any, index: any, function: fields({ name: chat.name64, arguments: str }, ['name', 'arguments']) }, ['id', 'function']) });
const message = by('role', {
  system: fields({ role: any, content: either(str, list(textPart, 1)), name: str }, ['content']),
  user: fields({ role: any, content: either(str, list(userPart, 1)), name: str }, ['content']),
  assistant: fields({ role: any, content: nullable(either(str, list(textPart, 1))), tool_calls: nullable(list(call, 1)), reasoning_content: nullable(str), prefix: bool, name: str }, [], true),
  tool: fields({ role: any, content: either(str, list(textPart, 1)), tool_call_id: str }, ['content', 'tool_call_id'], true),
});
const tool = by('type', { function: fields({ type: any, function: fields({ name: chat.name64, description: str, parameters: r.object, strict: nullable(bool) }, ['name']) }, ['function']) });
// What it does not know it ignores, but what it knows it does not support it refuses.
const body = fields({
  model: word('deepseek-v4-flash', 'deepseek-v4-pro', 'deepseek-flash'), messages: list(message, 1), stream: nullable(bool), stream_options: nullable(fields({ include_usage: bool }, [], true)),
  max_tokens: nullable(int(1, 393216)), temperature: nullable(num(0, 2)), top_p: nullable(num(0, 1)), stop: nullable(either(str, list(str, 0, 16))), presence_penalty: nullable(num(-2, 2)), frequency_penalty: nullable(num(-2, 2)),
  logprobs: nullable(bool), top_logprobs: nullable(int(0, 20)), response_format: nullable(by('type', { text: fields({ type: any }), json_object: fields({ type: any }) })), tools: nullable(list(tool, 0, 128)),
  tool_choice: nullable(either(word('none', 'auto', 'required'), by('type', { function: fields({ type: any, function: fields({ name: str }, ['name']) }, ['function']) }))),
  thinking: nullable(fields({ type: word('enabled', 'disabled') }, ['type'], true)), reasoning_effort: nullable(word('minimal', 'low', 'medium', 'high', 'xhigh', 'max')), user_id: str, n: nullable(int(1, 1)), logit_bias: nullable(map(any, 0)),
}, ['model', 'messages'], true);

const bad = (message, status = 400) => new Refusal(status, message, { type: 'invalid_request_error', param: null, code: 'invalid_request_error' });

function check(b) {
  body(b, '');
  const thinks = b.thinking?.type !== 'disabled', pro = b.model === 'deepseek-v4-pro';
  let open = new Set();
  for (const k of ['max_completion_tokens', 'seed', 'parallel_tool_calls', 'service_tier', 'store', 'metadata', 'prediction', 'modalities'])
    if (b[k] !== undefined) throw bad(`${k}: is not supported`);       // DeepSeek ignores these; sent, they would mislead
  b.messages.forEach((m, i) => {
    if (m.role === 'tool') { if (!open.delete(m.tool_call_id)) throw bad("Messages with role 'tool' must be a response to a preceding message with 'tool_calls'"); return; }
    if (open.size) throw bad("An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. (insufficient tool messages following tool_calls message)");
    open = new Set(m.tool_calls?.map((c) => c.id));
    if (thinks && m.tool_calls && typeof m.reasoning_content !== 'string') throw bad(`The \`reasoning_content\` in the thinking mode must be passed back to the API. (message ${i})`);
    if (pro && Array.isArray(m.content) && m.content.some((p) => p.type === 'image_url')) throw bad('This model does not take images.');
  });
  if (open.size) throw bad('insufficient tool messages following tool_calls message');
  if (thinks && b.tool_choice && !['auto', 'none'].includes(b.tool_choice)) throw bad('Thinking mode does not support this tool_choice');
  if (b.response_format?.type === 'json_object' && !/json/i.test(JSON.stringify(b.messages))) throw bad("Prompt must contain the word 'json' in some form to use 'response_format' of type 'json_object'.");
  if (b.stream_options && !b.stream) throw bad('stream_options should be set along with stream = true');
}

export function usageOf(u) {
  const prompt = u.fresh + u.read + u.write5m + u.write1h;
  return { prompt_tokens: prompt, completion_tokens: u.out + u.reasoning, total_tokens: prompt + u.out + u.reasoning, prompt_tokens_details: { cached_tokens: u.read },
    completion_tokens_details: { reasoning_tokens: u.reasoning }, prompt_cache_hit_tokens: u.read, prompt_cache_miss_tokens: prompt - u.read };
}

const errors = {
  bad: [400, 'invalid_request_error', 'The server had a reason of its own to refuse this.'], context: [400, 'invalid_request_error', "This model's maximum context length is 1048576 tokens. However, you requested 2000000 tokens."],
  auth: [401, 'authentication_error', 'Authentication Fails (no such user)'], credit: [402, 'unknown_error', 'Insufficient Balance'], forbidden: [403, 'permission_error', 'Forbidden'],
  rate: [429, 'rate_limit_error', 'Too many requests.'], server: [500, 'server_error', 'Server error'], overloaded: [503, 'service_unavailable_error', 'Service is too busy.'],
};
const errorOf = (kind) => new Refusal(errors[kind][0], errors[kind][2], { type: errors[kind][1], code: errors[kind][1] });

export const deepseek = () => new Upstream('deepseek', {
  shape: chat.shape,
  handle(call) {
    if (call.headers.authorization !== `Bearer ${KEY}`) throw new Refusal(401, 'Authentication Fails', { type: 'authentication_error' });
    if (call.method !== 'POST' || !/^\/(v1\/)?chat\/completions$/.test(call.path)) throw new Refusal(404, 'Not Found');
    const b = call.body;
    check(b);
    call.seen = { ...chat.seen(b), thinking: b.thinking?.type, user: b.user_id };
    return chat.answer(call, { reasoning: b.thinking?.type === 'disabled' ? null : 'reasoning_content', usage: usageOf, errorOf, model: b.model, headers: () => ({ 'x-ds-trace-id': 'trace' }), blank: '\n\n\n', before: [': keep-alive\n\n', ': keep-alive\n\n'] });
  },
});
