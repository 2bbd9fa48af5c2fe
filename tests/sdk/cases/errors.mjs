// errors.mjs - what becomes of a provider's failure: before the first byte, behind it, and of a stream that is cut, reset or
// falls silent. Each caller's SDK must throw its own kind of error, with the status and the words of its dialect; a half answer
// is never a whole one, and is charged.
import assert from 'node:assert/strict';

import { events } from '../grammar.mjs';
import { callers, ask, nano, targets, toldCost } from '../matrix.mjs';

// status, and the dialect's word for it: [C and R type, C and R code, A type, G status].
const WORDS = {
  bad: [400, 'invalid_request_error', undefined, 'invalid_request_error', 'INVALID_ARGUMENT'],
  context: [400, 'invalid_request_error', 'context_length_exceeded', 'invalid_request_error', 'INVALID_ARGUMENT'],
  auth: [502, 'server_error', 'upstream_credential', 'api_error', 'INTERNAL'],
  credit: [502, 'server_error', 'upstream_quota', 'api_error', 'INTERNAL'],
  forbidden: [502, 'server_error', 'upstream_credential', 'api_error', 'INTERNAL'],
  server: [502, 'server_error', undefined, 'api_error', 'UNAVAILABLE'],
  overloaded: [503, 'server_error', 'upstream_overloaded', 'overloaded_error', 'UNAVAILABLE'],
  rate: [429, undefined, undefined, 'rate_limit_error', 'RESOURCE_EXHAUSTED'],
};

export function checkFault(caller, fault, kind) {
  const [status, type, code, anthropic, google] = WORDS[kind];
  const want = caller === 'messages' && kind === 'overloaded' ? 529 : status;
  assert.equal(fault.status, want, `status; it said ${fault.message}`);
  if (caller === 'messages') assert.equal(fault.type, anthropic);
  else if (caller === 'gemini') assert.equal(fault.type, google);
  else { if (type) assert.equal(fault.type, type); if (code) assert.equal(fault.code, code); }
}

const prefix = (kind) => (kind === 'rate' ? 'rate-' : 'err-');

export function errors(group, house) {
  group('errors', (add) => {
    for (const kind of Object.keys(WORDS)) for (const caller of Object.keys(callers)) for (const key of Object.keys(targets)) for (const stream of kind === 'bad' || kind === 'overloaded' || kind === 'context' ? [false, true] : [key === 'gemini']) {
      const target = targets[key];
      add(`${kind}/${caller}-${key}/${stream ? 'stream' : 'plain'}`, async (ctx) => {
        const r = await ask({ house: quick(house) }, caller, { model: `${prefix(kind)}${target.provider}/${target.plain}`, turns: [{ role: 'user', items: [{ text: ctx.say(kind) }] }] }, { stream });
        assert.ok(r.fault, 'there was an answer');
        assert.ok(r.fault.known, `it is no error of the SDK's: ${r.error?.stack}`);
        checkFault(caller, r.fault, kind);
        const h = ctx.last.headers;
        assert.match(h.get('x-tollgate-request-id'), /^req_/);
        assert.doesNotMatch(ctx.last.raw, /sk-|AIza|test-key/, 'a part of a key');
        if (kind === 'rate') { assert.ok(Number(h.get('retry-after')) >= 1, 'Retry-After'); assert.equal(h.get('x-should-retry'), null); }
        else if (kind === 'overloaded') assert.ok(h.get('retry-after') || h.get('x-should-retry') === 'false', 'how to go on');
        else assert.equal(h.get('x-should-retry'), 'false');
        if (kind === 'context' && caller === 'messages') assert.match(r.fault.message, /prompt is too long/i, 'the words by which clients know it');
        if (kind !== 'rate') assert.equal(nano(toldCost(ctx.last) ?? '0'), 0n, 'a refusal was charged');
      });
    }
  });

  group('broken-streams', (add) => {
    for (const kind of ['late', 'cut', 'reset', 'stall']) for (const caller of Object.keys(callers)) for (const key of Object.keys(targets)) {
      const target = targets[key];
      add(`${kind}/${caller}-${key}`, async (ctx) => {
        let failed = null, result = null;
        try {
          const r = await ask({ house: quick(house) }, caller, { model: `err-${target.provider}/${target.plain}`, turns: [{ role: 'user', items: [{ text: ctx.say(kind) }] }] }, { stream: true });
          if (r.fault) failed = r.error; else result = r;
        } catch (e) { failed = e; }
        if (caller === 'responses' && result) assert.equal(result.finish, 'failed', 'a half answer was sold as a whole one');    // this SDK returns it
        else assert.ok(failed, `a half answer was sold as a whole one: ${JSON.stringify(result?.text)}`);
        const raw = ctx.last.raw, status = ctx.last.status;
        if (status === 200) {
          const list = events(raw), last = list.filter((e) => e.data).at(-1);
          if (caller === 'messages') { assert.equal(last.event, 'error'); assert.equal(last.data.type, 'error'); }
          else if (caller === 'responses') assert.match(last.event, /^(error|response\.failed)$/);
          else { assert.ok(last.data.error ?? list.filter((e) => e.data?.error).length, 'no error event'); assert.ok(!raw.includes('[DONE]') || caller === 'chat'); }
          assert.match(raw, /This/, 'the beginning did not pass');
          assert.notEqual(toldCost(ctx.last), null, 'no cost was told');
          assert.ok(nano(toldCost(ctx.last)) > 0n, 'what came was not charged');
        } else assert.ok([502, 503, 504, 529].includes(status), String(status));
      });
    }
  });
}

// SDKs try thrice by default; here one try is looked at.
function quick(house) { return { url: house.url, key: house.key, maxRetries: 0 }; }
