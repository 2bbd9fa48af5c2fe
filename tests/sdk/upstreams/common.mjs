// common.mjs - what the strict upstreams share: an HTTP server that records each call, a checker of JSON that refuses what is
// not listed, and a writer that cuts its bytes wherever it is told to.
//
// An upstream is { name, shape, handle }: `handle(call)` checks the call and answers, or throws a Refusal, which `shape` turns
// into that provider's error body. Every call is kept under the word "case:ID" of its prompt; refusals are counted.
import { createHash } from 'node:crypto';
import http from 'node:http';

// What the real provider would not take. `more` is the upstream's own (code, param, type...).
export class Refusal extends Error {
  constructor(status, message, more = {}) {
    super(message);
    this.status = status;
    this.more = more;
  }
}

export const hash = (...parts) => createHash('sha256').update(parts.join('\0')).digest();
export const token = (...parts) => hash(...parts).toString('hex').slice(0, 24);

// ---- the checker. A rule is (value, path) => void and throws. `path` is in the upstream's own words. ----

const show = (v) => { const s = JSON.stringify(v) ?? 'undefined'; return s.length > 60 ? s.slice(0, 60) + '...' : s; };

// Each dialect has its own words for a fault; `words` = { fault(path, message, kind) => Refusal, join(path, key) }.
// `kind` is one of unknown, missing, type, value.
export function rules(words) {
  const bad = (path, message, kind = 'value') => { throw words.fault(path, message, kind); };
  const is = (name, test) => (v, path) => { if (!test(v)) bad(path, `expected ${name}, got ${show(v)}`, 'type'); };
  const join = words.join ?? ((path, key) => (typeof key === 'number' ? `${path}[${key}]` : path ? `${path}.${key}` : key));

  const r = {
    bad,
    join,
    any: () => {},
    bool: is('a boolean', (v) => typeof v === 'boolean'),
    str: is('a string', (v) => typeof v === 'string'),
    object: is('an object', (v) => v !== null && typeof v === 'object' && !Array.isArray(v)),
    text: (least, most = Infinity) => (v, path) => {
      r.str(v, path);
      if (v.length < least || v.length > most) bad(path, `expected a string of ${least} to ${most} characters, got ${v.length}`);
    },
    match: (re) => (v, path) => { r.str(v, path); if (!re.test(v)) bad(path, `${show(v)} does not match ${re}`); },
    word: (...words) => (v, path) => { if (!words.includes(v)) bad(path, `${show(v)} is not one of ${words.join(', ')}`); },
    int: (least = -Infinity, most = Infinity) => (v, path) => {
      if (!Number.isInteger(v)) bad(path, `expected an integer, got ${show(v)}`, 'type');
      if (v < least || v > most) bad(path, `${v} is not within ${least} and ${most}`);
    },
    num: (least = -Infinity, most = Infinity) => (v, path) => {
      if (typeof v !== 'number') bad(path, `expected a number, got ${show(v)}`, 'type');
      if (v < least || v > most) bad(path, `${v} is not within ${least} and ${most}`);
    },
    nullable: (rule) => (v, path) => { if (v !== null) rule(v, path); },
    list: (rule, least = 0, most = Infinity) => (v, path) => {
      if (!Array.isArray(v)) bad(path, `expected an array, got ${show(v)}`, 'type');
      if (v.length < least || v.length > most) bad(path, `expected ${least} to ${most} items, got ${v.length}`);
      v.forEach((item, i) => rule(item, join(path, i)));
    },
    map: (rule, most = Infinity) => (v, path) => {
      r.object(v, path);
      if (Object.keys(v).length > most) bad(path, `more than ${most} members`);
      for (const k of Object.keys(v)) rule(v[k], join(path, k));
    },
    // The first rule that fits; the last one's fault is told.
    either: (...some) => (v, path) => {
      for (const rule of some.slice(0, -1)) {
        try { return rule(v, path); } catch (e) { if (!(e instanceof Refusal)) throw e; }
      }
      return some.at(-1)(v, path);
    },
    // Members that are not in `fields` are refused; names in `required` must be there. `open`: others are let pass.
    fields: (fields, required = [], open = false) => (v, path) => {
      r.object(v, path);
      for (const k of required) if (v[k] === undefined) bad(join(path, k), 'is required', 'missing');
      for (const k of Object.keys(v)) {
        const rule = Object.hasOwn(fields, k) ? fields[k] : null;
        if (rule) rule(v[k], join(path, k));
        else if (!open) bad(join(path, k), 'is not known', 'unknown');
      }
    },
    // By the value of a member: { text: rule, image: rule }.
    by: (member, kinds) => (v, path) => {
      r.object(v, path);
      if (v[member] === undefined) bad(join(path, member), 'is required', 'missing');
      if (!Object.hasOwn(kinds, v[member])) bad(join(path, member), `${show(v[member])} is not one of ${Object.keys(kinds).join(', ')}`);
      kinds[v[member]](v, path);
    },
    base64: (v, path) => {
      r.str(v, path);
      if (!v.length || v.length % 4 || !/^[A-Za-z0-9+/]*={0,2}$/.test(v)) bad(path, 'is not valid base64');
    },
    dataUri: (...types) => (v, path) => {
      r.str(v, path);
      const m = /^data:([a-z]+\/[a-z0-9.+-]+);base64,(.*)$/s.exec(v);
      if (!m || !types.includes(m[1])) bad(path, `${show(v)} is no data URI of ${types.join(', ')}`);
      r.base64(m[2], path);
    },
  };
  return r;
}

// ---- the server ----

export class Upstream {
  // `wire`: shape(refusal) => { status, headers, body }, handle(call) => void.
  constructor(name, wire) {
    this.name = name;
    this.wire = wire;
    this.calls = 0;
    this.refused = 0;
    this.aborted = 0;
    this.last = null;
    this.byCase = new Map();
    this.server = http.createServer((req, res) => this.#serve(req, res));
    this.server.keepAliveTimeout = 60000;
  }

  async start() {
    await new Promise((done) => this.server.listen(0, '127.0.0.1', done));
    this.port = this.server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
  }

  stop() { this.server.closeAllConnections(); this.server.close(); }

  // The calls of one case, oldest first.
  of(id) { return this.byCase.get(id) ?? []; }

  async #serve(req, res) {
    const chunks = [];
    try { for await (const c of req) chunks.push(c); } catch { return; }
    const raw = Buffer.concat(chunks).toString();
    const url = new URL(req.url, this.url);
    const call = { upstream: this, method: req.method, path: url.pathname, query: url.searchParams, headers: req.headers, raw, body: null,
      seen: null, refusal: null, res, done: false };
    res.socket?.setNoDelay(true);
    res.on('close', () => { if (!call.done) { this.aborted++; call.aborted = true; } });
    try {
      const id = /case:([^\s"\\]+)/.exec(raw)?.[1];
      this.calls++;
      this.last = call;
      call.n = id ? this.of(id).length : 0;
      if (id) this.byCase.set(id, [...this.of(id), call]);
      if (req.method === 'POST') {
        if (!/^application\/json\b/.test(req.headers['content-type'] ?? '')) throw new Refusal(415, 'content-type must be application/json');
        try { call.body = JSON.parse(raw); } catch (e) { throw new Refusal(400, `the body is not JSON: ${e.message}`); }
      }
      await this.wire.handle(call);
    } catch (e) {
      const refusal = e instanceof Refusal ? e : new Refusal(500, `the mock itself failed: ${e.stack}`);
      call.refusal = `${refusal.status} ${refusal.message}`;
      this.refused++;
      const { status, headers, body } = this.wire.shape(refusal);
      send(call, status, headers, body);
    }
  }
}

// A whole body. Strings go as they are.
export function send(call, status, headers, body) {
  const text = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  call.done = true;
  call.res.writeHead(status, { 'content-type': 'application/json', 'content-length': text.length, ...headers });
  call.res.end(text);
}

// A stream of events, each a string with its framing, under the scene's mischief:
//   tcp: write that many bytes at a time (an odd number cuts characters of UTF-8)   every: ms between events
//   cut: close after that many events   reset: the same with a RST   stall: fall silent after that many, for ever
//   gate: after that many wait until call.open() is called
export async function stream(call, headers, events, scene = {}) {
  const { res } = call;
  const turn = () => new Promise((done) => setImmediate(done));
  const put = async (bytes) => {
    if (res.destroyed) return;
    if (!res.write(bytes)) await new Promise((done) => { res.once('drain', done); res.once('close', done); });
  };

  res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache', ...headers });
  res.flushHeaders();
  let n = 0;
  for (const event of events) {
    if (n === scene.cut) { call.done = true; res.socket.end(); return; }
    if (n === scene.reset) { call.done = true; res.socket.resetAndDestroy(); return; }
    if (n === scene.stall) return;
    if (n === scene.gate) await new Promise((open) => { call.open = open; res.once('close', open); });
    n++;
    const bytes = Buffer.from(event);
    if (scene.tcp) {
      for (let i = 0; i < bytes.length; i += scene.tcp) { await put(bytes.subarray(i, i + scene.tcp)); await turn(); }
    } else {
      await put(bytes);
      if (scene.every) await new Promise((done) => setTimeout(done, scene.every));
    }
    if (res.destroyed) return;
  }
  call.done = true;
  res.end();
}

// Splits a text into pieces of `n` characters, code points kept whole.
export function pieces(text, n) {
  const points = [...text], out = [];
  for (let i = 0; i < points.length; i += n) out.push(points.slice(i, i + n).join(''));
  return out;
}
