// house.mjs - the real gateway over the strict upstreams: config, prices and policy written, `tollgate serve` started, stopped
// and its exit looked at. The folder was made by `tollgate init` (run.mjs), whose CA this process trusts.
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

import * as anthropic from './upstreams/anthropic.mjs';
import * as deepseek from './upstreams/deepseek.mjs';
import * as gemini from './upstreams/gemini.mjs';
import * as mistral from './upstreams/mistral.mjs';
import * as openai from './upstreams/openai.mjs';

export const upstreams = { openai: openai.openai(), anthropic: anthropic.anthropic(), google: gemini.gemini(), deepseek: deepseek.deepseek(), mistral: mistral.mistral() };
const keys = { openai: openai.KEY, anthropic: anthropic.KEY, google: gemini.KEY, deepseek: deepseek.KEY, mistral: mistral.KEY };

// USD per million tokens: in, out, read, write for 5 minutes, write for an hour.
export const rates = {
  'openai/gpt-4.1': ['2', '8', '0.5'], 'openai/gpt-5.5': ['5', '30', '0.5'], 'openai/gpt-5.5-pro': ['30', '180', null],
  'openai/text-embedding-3-small': ['0.02', '0', null], 'openai/gpt-3.5-turbo-instruct': ['1.5', '2', null],
  'anthropic/claude-opus-4-7': ['5', '25', '0.5', '6.25', '10'], 'anthropic/claude-sonnet-4-5': ['3', '15', '0.3', '3.75', '6'],
  'google/gemini-3.1-pro-preview': ['2', '12', '0.2'], 'google/gemini-2.5-flash': ['0.3', '2.5', '0.03'],
  'deepseek/deepseek-v4-flash': ['0.14', '0.28', '0.0028'], 'mistral/mistral-large-2512': ['0.5', '1.5', '0.05'], 'mistral/mistral-small-2603': ['0.15', '0.6', '0.015'],
};

// Providers that are made to fail have names of their own, for a gateway remembers failures.
const TWINS = ['err-', 'rate-'];

function book() {
  const models = {};
  const chatonly = Object.entries(rates).filter(([n]) => /^openai\/gpt-[45]/.test(n) && !n.endsWith('-pro')).map(([n, r]) => [n.replace('openai/', 'chatonly/'), r]);
  const all = [...Object.entries(rates), ...chatonly].flatMap(([name, r]) => [name, ...TWINS.map((t) => t + name)].map((n) => [n, r]));
  for (const [name, [input, output, read, w5, w1]] of all) {
    const v = { from: '2020-01-01T00:00:00Z', source: 'made for a test', input, output };
    if (read) v.cache_read = read;
    if (w5) Object.assign(v, { cache_write_5m: w5, cache_write_1h: w1 });
    models[name] = { context: 400000, max_output: name.includes('2.5-flash') ? 8192 : 32000, modalities: ['text', 'image', 'file', 'audio'], versions: [v] };
  }
  return { book: 'test', read_on: new Date().toISOString().slice(0, 10), models };
}

const CHECKS = ['complete', 'not_empty', 'not_refused', 'valid_json', 'valid_tool_calls'];
const policy = {
  name: 'sdk', limits: { time_ms: 30000, attempts: 7 },
  routes: [
    { name: 'escalate', when: { header: 'x-route', is: 'escalate' }, steps: [{ model: 'openai/gpt-4.1', checks: CHECKS }, { model: 'anthropic/claude-sonnet-4-5', checks: CHECKS }, { model: 'google/gemini-3.1-pro-preview' }] },
    { name: 'around', when: { header: 'x-route', is: 'around' }, stream: 'hold', steps: [{ model: 'google/gemini-3.1-pro-preview' }, { model: 'deepseek/deepseek-v4-flash' }, { model: 'anthropic/claude-opus-4-7' }] },
    { name: 'default', steps: [{ model: 'openai/gpt-4.1' }] },
  ],
};

export class House {
  constructor(dir) {
    this.dir = dir;
    this.key = fs.readFileSync(path.join(dir, 'key.txt'), 'utf8').trim();
    this.binary = path.join(process.env.top_builddir, 'tollgate');
    this.output = '';
  }

  file(name) { return path.join(this.dir, name); }

  async start() {
    await Promise.all(Object.values(upstreams).map((u) => u.start()));
    const provider = (name, dialect, base, more = {}) => {
      process.env[`SDK_KEY_${name.toUpperCase()}`] = keys[name];
      return { dialect, base_url: upstreams[name].url + base, keys: [{ env: `SDK_KEY_${name.toUpperCase()}` }], ...more };
    };
    const config = {
      listen: [{ address: '127.0.0.1:0', tls: { certificate: 'cert.pem', key: 'key.pem' } }], workers: 2, ledger: { sqlite: 'tollgate.db' }, prices: 'prices.json', policy: 'policy.json',
      providers: {
        openai: provider('openai', 'openai', '/v1', { quirks: { server: 'openai' } }),
        chatonly: provider('openai', 'openai', '/v1', { quirks: { server: 'openai', responses: false } }),
        anthropic: provider('anthropic', 'anthropic', ''), google: provider('google', 'gemini', '/v1beta'), deepseek: provider('deepseek', 'deepseek', '/v1'),
        mistral: provider('mistral', 'openai', '/v1', { quirks: { server: 'mistral' } }),
      },
      limits: { body_bytes: 8 << 20, first_byte_ms: 3000, idle_ms: 1500, answer_ms: 5000 },
    };
    for (const [name, p] of Object.entries(config.providers)) for (const t of TWINS) config.providers[t + name] = p;
    for (const [name, data] of [['tollgate.json', config], ['prices.json', book()], ['policy.json', policy]]) fs.writeFileSync(this.file(name), JSON.stringify(data, null, 1));
    this.strictKey = JSON.parse(await this.run('keys', 'create', '--team', 'strict', '--name', 'sdk', '--strict', '--format', 'json')).key;
    this.server = spawn(this.binary, ['serve', '--config', this.file('tollgate.json')], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.ended = new Promise((done) => this.server.on('exit', (code, signal) => { this.dead = true; done(code ?? signal); }));
    await new Promise((done, failed) => {
      const heard = (d) => { this.output += d; const m = /listening on \S*?127\.0\.0\.1:(\d+)/.exec(this.output); if (m) { this.port = Number(m[1]); done(); } };
      this.server.stdout.on('data', heard);
      this.server.stderr.on('data', heard);
      this.ended.then((code) => failed(new Error(`the gateway ended with ${code}:\n${this.output}`)));
    });
    this.url = `https://127.0.0.1:${this.port}`;
  }

  // Null when it ended well.
  async stop() {
    this.server.kill('SIGTERM');
    const code = await this.ended;
    for (const u of Object.values(upstreams)) u.stop();
    if (code !== 0) return `the gateway ended with ${code}:\n${this.output.slice(-4000)}`;
    return /runtime error: |AddressSanitizer|LeakSanitizer/.test(this.output) ? this.output.slice(-8000) : null;
  }

  // A command of tollgate on this house's config.
  async run(...argv) {
    const { stdout } = await promisify(execFile)(this.binary, [...argv, '--config', this.file('tollgate.json')], { maxBuffer: 1 << 26 });
    return stdout;
  }
}

// Nano-dollars of disjoint counts, half up once: rates are pico-dollars a token.
export function costNano(model, u) {
  const [input, output, read, w5, w1] = rates[model];
  const pico = (s) => { const [a, b = ''] = s.split('.'); return BigInt(a + b.padEnd(6, '0')); };
  const sum = BigInt(u.fresh) * pico(input) + BigInt(u.read) * pico(read ?? input) + BigInt(u.write5m) * pico(w5 ?? input) + BigInt(u.write1h) * pico(w1 ?? input) + BigInt(u.out + u.reasoning) * pico(output);
  return (sum + 500n) / 1000n;
}
