// grammar.mjs - the bytes of an answer, read without any SDK: is the order of events what each dialect lays down, are the JSON
// texts whole, does the cost come where it should? SDKs are lenient; other clients are not.
import assert from 'node:assert/strict';

// [{ event, data (parsed), comment }] of a text/event-stream.
export function events(raw) {
  const out = [];
  assert.ok(!raw.includes('\uFFFD'), 'a character was cut');
  assert.ok(raw === '' || /\r?\n\r?\n$/.test(raw), 'the last event is not closed');
  for (const block of raw.split(/\r?\n\r?\n/).slice(0, -1)) {
    const e = {};
    for (const line of block.split(/\r?\n/)) {
      if (line.startsWith(':')) e.comment = line.slice(1).trim();
      else if (line.startsWith('event:')) e.event = line.slice(6).trim();
      else if (line.startsWith('data:')) e.text = (e.text === undefined ? '' : `${e.text}\n`) + line.slice(5).replace(/^ /, '');
      else assert.fail(`no line of an event stream: ${JSON.stringify(line)}`);
    }
    if (e.text !== undefined) e.data = e.text === '[DONE]' ? '[DONE]' : JSON.parse(e.text);
    out.push(e);
  }
  return out;
}

const isCost = (e) => /^x-tollgate-cost-usd=/.test(e.comment ?? '');

function chat(list) {
  const data = list.filter((e) => e.data), done = data.at(-1);
  assert.equal(done?.data, '[DONE]', 'the end is not [DONE]');
  assert.ok(list.every((e) => !e.event), 'a named event');
  assert.ok(isCost(list[list.indexOf(done) - 1] ?? {}), 'the cost is not right before [DONE]');
  const chunks = data.slice(0, -1).map((e) => e.data), first = chunks[0];
  const finished = new Set(), begun = new Set(), calls = new Map();
  chunks.forEach((c, i) => {
    assert.equal(c.object, 'chat.completion.chunk');
    for (const k of ['id', 'model', 'created']) assert.equal(c[k], first[k], `${k} changes within the stream`);
    if (!c.choices.length) { assert.equal(i, chunks.length - 1, 'a chunk without choices before the end'); assert.ok(c.usage); }
    for (const { index, delta, finish_reason: reason } of c.choices) {
      assert.ok(!finished.has(index), `choice ${index} goes on behind its finish_reason`);
      if (!begun.has(index)) { assert.equal(delta.role, 'assistant', 'the first delta has no role'); begun.add(index); }
      for (const t of delta.tool_calls ?? []) {
        const key = `${index}.${t.index}`;
        assert.equal(typeof t.index, 'number', 'a tool call without index');
        if (!calls.has(key)) { assert.ok(t.id && t.function?.name || t.custom?.name, 'a call begins without id or name'); assert.equal(t.index, [...calls.keys()].filter((x) => x.startsWith(`${index}.`)).length, 'indexes of calls jump'); calls.set(key, ''); }
        calls.set(key, calls.get(key) + (t.function?.arguments ?? ''));
      }
      if (reason) finished.add(index);
    }
  });
  assert.deepEqual([...finished].sort(), [...begun].sort(), 'a choice has no finish_reason');
}

function messages(list) {
  const named = list.filter((e) => e.data);
  for (const e of named) assert.equal(e.event, e.data.type, 'event and type differ');
  const seq = named.map((e) => e.data).filter((d) => d.type !== 'ping');
  assert.equal(seq[0].type, 'message_start');
  assert.equal(seq.at(-1).type, 'message_stop', 'the end is not message_stop');
  assert.ok(isCost(list[list.indexOf(named.at(-1)) - 1] ?? {}), 'the cost is not right before message_stop');
  const m = seq[0].message;
  assert.deepEqual([m.type, m.role, m.content, m.stop_reason], ['message', 'assistant', [], null]);
  assert.ok(m.usage && Number.isInteger(m.usage.input_tokens) && Number.isInteger(m.usage.output_tokens), 'message_start without usage');
  let open = -1, next = 0, kind = null, ended = false, json = '';
  for (const d of seq.slice(1, -1)) {
    switch (d.type) {
    case 'content_block_start':
      assert.ok(open < 0, 'two blocks are open'); assert.ok(!ended, 'a block behind message_delta'); assert.equal(d.index, next++, 'indexes of blocks jump'); open = d.index; kind = d.content_block.type; json = '';
      if (kind === 'tool_use') { assert.match(d.content_block.id, /^[A-Za-z0-9_-]+$/); assert.deepEqual(d.content_block.input, {}); }
      break;
    case 'content_block_delta':
      assert.equal(d.index, open, 'a delta of a closed block');
      assert.ok({ text: ['text_delta', 'citations_delta'], tool_use: ['input_json_delta'], thinking: ['thinking_delta', 'signature_delta'], server_tool_use: ['input_json_delta'] }[kind]?.includes(d.delta.type), `${d.delta.type} in a ${kind} block`);
      if (d.delta.partial_json) json += d.delta.partial_json;
      break;
    case 'content_block_stop': assert.equal(d.index, open, 'stops a block that is not open'); if (json) JSON.parse(json); open = -1; break;
    case 'message_delta': assert.ok(open < 0, 'message_delta within a block'); assert.ok(d.usage && Number.isInteger(d.usage.output_tokens)); assert.ok(d.delta.stop_reason); ended = true; break;
    default: assert.fail(`no event of this dialect: ${d.type}`);
    }
  }
  assert.ok(ended, 'no message_delta');
}

function responses(list) {
  const named = list.filter((e) => e.data && e.data !== '[DONE]'), seq = named.map((e) => e.data);
  for (const e of named) assert.equal(e.event, e.data.type, 'event and type differ');
  assert.deepEqual(seq.slice(0, 2).map((d) => d.type), ['response.created', 'response.in_progress']);
  const last = seq.at(-1);
  assert.match(last.type, /^response\.(completed|incomplete|failed)$/, 'the end is no terminal event');
  assert.ok(isCost(list[list.indexOf(named.at(-1)) - 1] ?? {}), 'the cost is not right before the terminal event');
  const open = new Map(), done = [];
  seq.forEach((d, i) => {
    assert.equal(d.sequence_number, i, 'sequence_number jumps');
    if (d.response) assert.equal(d.response.id, seq[0].response.id, 'the id changes');
    if (d.type === 'response.output_item.added') { assert.equal(d.output_index, open.size, 'output_index jumps'); open.set(d.output_index, { id: d.item.id, type: d.item.type, parts: new Map(), args: '' }); assert.ok(d.item.id, 'an item without id'); return; }
    if (d.output_index === undefined) return;
    const it = open.get(d.output_index);
    assert.ok(it, `${d.type} of an item that was not added`);
    if (d.item_id) assert.equal(d.item_id, it.id, 'item_id is not stable');
    if (d.type === 'response.content_part.added') { assert.equal(d.content_index, it.parts.size); it.parts.set(d.content_index, ''); }
    if (d.type === 'response.output_text.delta') { assert.ok(it.parts.has(d.content_index), 'text of a part that was not added'); it.parts.set(d.content_index, it.parts.get(d.content_index) + d.delta); assert.ok(Array.isArray(d.logprobs), 'logprobs is no list'); }
    if (d.type === 'response.output_text.done') assert.equal(d.text, it.parts.get(d.content_index), 'the text is not its deltas');
    if (d.type === 'response.function_call_arguments.delta') it.args += d.delta;
    if (d.type === 'response.function_call_arguments.done') { assert.equal(d.arguments, it.args, 'the arguments are not their deltas'); JSON.parse(d.arguments); }
    if (d.type === 'response.output_item.done') { assert.equal(d.item.id, it.id); assert.equal(d.item.type, it.type); done.push(d.item); }
  });
  if (last.type !== 'response.failed') assert.deepEqual(last.response.output, done, 'the last response is not the sum of its items');
  response(last.response);
}

function response(r) {
  for (const k of ['id', 'object', 'created_at', 'status', 'error', 'incomplete_details', 'instructions', 'metadata', 'model', 'output', 'parallel_tool_calls', 'temperature', 'tool_choice', 'tools', 'top_p'])
    assert.ok(k in r, `the response has no ${k}`);
  assert.equal(r.object, 'response');
  if (r.usage) for (const k of ['input_tokens_details', 'output_tokens_details']) assert.ok(r.usage[k], `usage without ${k}`);
}

function gemini(list) {
  const data = list.filter((e) => e.data);
  assert.ok(list.every((e) => !e.event), 'a named event');
  // A relayed chunk that says the answer is over waits for the row, and so comes behind the cost; chunks of our own do not.
  const cost = list.findIndex(isCost), behind = list[cost + 1];
  assert.ok(cost >= 0 && (!behind || behind.data?.candidates?.every((c) => c.finishReason)), 'the cost is neither last nor right before the last chunk');
  assert.ok(data.length, 'nothing came');
  const last = data.at(-1).data;
  assert.ok(last.candidates?.every((c) => c.finishReason), 'the last chunk has no finishReason');
  assert.ok(last.usageMetadata, 'the last chunk has no usage');
  for (const { data: d } of data) for (const c of d.candidates ?? []) for (const p of c.content?.parts ?? []) assert.equal(['text', 'functionCall', 'inlineData', 'executableCode', 'codeExecutionResult'].filter((k) => p[k] !== undefined).length, 1, `a part without one data member: ${JSON.stringify(p)}`);
}

const streams = { chat, messages, responses, gemini };
const wholes = {
  chat: (d) => { assert.equal(d.object, 'chat.completion'); assert.match(String(d.created), /^\d+$/); for (const c of d.choices) { assert.ok('content' in c.message); assert.ok('refusal' in c.message); assert.ok('logprobs' in c); assert.ok(c.finish_reason); } assert.ok(d.usage); },
  messages: (d) => { assert.equal(d.type, 'message'); assert.equal(d.role, 'assistant'); assert.ok(d.stop_reason); assert.ok('stop_sequence' in d); for (const b of d.content) if (b.type === 'text') assert.ok(b.text.length, 'an empty text block'); },
  responses: response,
  gemini: (d) => { assert.ok(d.candidates?.length); assert.ok(d.candidates.every((c) => c.finishReason && c.content?.role === 'model')); assert.ok(d.usageMetadata); },
};

export function checkGrammar(caller, exchange, stream) {
  if (stream) {
    assert.match(exchange.headers.get('content-type'), /^text\/event-stream/);
    streams[caller](events(exchange.raw));
  } else {
    assert.match(exchange.headers.get('content-type'), /^application\/json/);
    wholes[caller](JSON.parse(exchange.raw));
  }
}
