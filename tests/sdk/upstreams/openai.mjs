// openai.mjs - the server of OpenAI: its key, its paths, and behind them openai_chat.mjs and openai_responses.mjs; also the
// legacy completions and embeddings, which a gateway passes.
import { Refusal, Upstream, send } from './common.mjs';
import * as chat from './openai_chat.mjs';
import * as responses from './openai_responses.mjs';

export const KEY = 'sk-openai-test-key';

function checkKey(headers) {
  if (headers.authorization !== `Bearer ${KEY}`) throw new Refusal(401, 'Incorrect API key provided.', { code: 'invalid_api_key' });
  for (const h of ['x-api-key', 'x-goog-api-key', 'anthropic-version']) if (headers[h]) throw new Refusal(400, `the header ${h} is none of ours`);
}

function completions(call) {
  const b = call.body;
  call.seen = { model: b.model, turns: [] };
  const usage = { prompt_tokens: 5, completion_tokens: 4, total_tokens: 9 };
  const choice = (text, finish_reason) => ({ text, index: 0, logprobs: null, finish_reason });
  const base = { id: 'cmpl-1', object: 'text_completion', created: 1764000000, model: b.model };
  if (!b.stream) return send(call, 200, chat.headersOf(), { ...base, choices: [choice(' upon a time', 'stop')], usage });
  const list = [' upon', ' a', ' time'].map((t, i) => ({ ...base, choices: [choice(t, i === 2 ? 'stop' : null)] }));
  if (b.stream_options?.include_usage) list.push({ ...base, choices: [], usage });
  call.res.writeHead(200, { 'content-type': 'text/event-stream' });
  call.done = true;
  call.res.end([...list.map(chat.data), chat.data('[DONE]')].join(''));
}

function embeddings(call) {
  const b = call.body, inputs = Array.isArray(b.input) && typeof b.input[0] !== 'number' ? b.input : [b.input];
  const vector = [0.1, -0.25, 0.5];
  call.seen = { model: b.model, turns: [] };
  const embedding = b.encoding_format === 'base64' ? Buffer.from(Float32Array.from(vector).buffer).toString('base64') : vector;
  send(call, 200, chat.headersOf(), { object: 'list', model: b.model, data: inputs.map((_, index) => ({ object: 'embedding', index, embedding })), usage: { prompt_tokens: 8, total_tokens: 8 } });
}

export const openai = () => new Upstream('openai', {
  shape: chat.shape,
  handle(call) {
    checkKey(call.headers);
    const path = `${call.method} ${call.path}`;
    switch (path) {
    case 'POST /v1/chat/completions': return chat.handle(call);
    case 'POST /v1/responses': return responses.handle(call);
    case 'POST /v1/completions': return completions(call);
    case 'POST /v1/embeddings': return embeddings(call);
    default: throw new Refusal(404, `Invalid URL (${path})`, { code: null });
    }
  },
});
