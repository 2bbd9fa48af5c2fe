// inside_urls.mjs - a URL that points inside, in every field where one can stand and in 100 spellings. The gateway fetches nothing
// that a caller names: a canary listens on this machine and must see no connection. A URL may pass to a provider or be refused.
import assert from 'node:assert/strict';
import net from 'node:net';

import { weather } from './features.mjs';

function spellings(port) {
  const hosts = ['127.0.0.1', 'localhost', 'LOCALHOST', 'localhost.', '127.1', '127.0.1', '0', '0.0.0.0', '0x7f000001', '0x7f.0.0.1', '0177.0.0.1', '017700000001', '2130706433', '127.0.0.1.', '127.00.00.01', '127.255.255.254', '[::1]', '[0:0:0:0:0:0:0:1]', '[::]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]',
    '[0000::1]', '[::127.0.0.1]', '127。0。0。1', '１２７.0.0.1', '①②⑦.0.0.1', 'ⓛocalhost', '%31%32%37.0.0.1', 'localhost%00', 'localhost.localdomain', 'ip6-localhost', 'user@127.0.0.1', 'user:pass@127.0.0.1', 'example.com@127.0.0.1', '127.0.0.1#@example.com', '127.0.0.1\\@example.com', 'example.com\\@127.0.0.1', '169.254.169.254', '[fd00:ec2::254]', 'metadata.google.internal',
    '10.0.0.1', '192.168.1.1', '172.16.0.1', 'host.docker.internal', '[fe80::1%25eth0]', '127.0.0.1.nip.io', 'localtest.me', '0.0.0.0.0', '127.0.0.1%2f', '127.0.0.1%09'];
  const at = (h) => (/#|\\/.test(h) ? h.replace(/127\.0\.0\.1/, `127.0.0.1:${port}`) : `${h}:${port}`);
  const out = hosts.map((h) => `http://${at(h)}/x.png`);
  for (const s of ['https', 'HTTP', 'hTtP', 'ftp', 'gopher', 'dict', 'file', 'ldap', 'jar:http', 'view-source:http', 'ws', 'blob:http', 'feed', 'sftp', 'tftp', 'telnet', 'smb', 'unix', 'netdoc']) out.push(`${s}://127.0.0.1:${port}/x.png`);
  out.push(`//127.0.0.1:${port}/x.png`, `///127.0.0.1:${port}/x.png`, `http:/127.0.0.1:${port}/x`, `http:127.0.0.1:${port}/x`, `http:\\\\127.0.0.1:${port}\\x`, ` http://127.0.0.1:${port}/x`, `\thttp://127.0.0.1:${port}/x`, `http://127.0.0.1:${port}/x `, `http://127.0.0.1:${port}\r\nHost: x`, `http://127.0.0.1:${port}/\u0000`,
    `http://127.0.0.1:${port}?x`, `http://127.0.0.1:${port}#x`, `http://127.0.0.1:${port}/..;/`, `http://127.0.0.1:${port}//x`, `url:http://127.0.0.1:${port}/x`, `http://example.com/redirect?to=http://127.0.0.1:${port}/`, `http://127.0.0.1:0${port}/x`, `http://127.0.0.1:${port}@example.com/`, `http://[::1]:${port}/x?y=[`, `/x.png`, `x.png`,
    `data:text/html,<img src=http://127.0.0.1:${port}>`, `data:image/svg+xml;base64,${Buffer.from(`<svg><image href="http://127.0.0.1:${port}/"/></svg>`).toString('base64')}`, `javascript:fetch('http://127.0.0.1:${port}')`, `file:///proc/self/environ`, `file://localhost/etc/passwd`, `/proc/self/environ`, `\\\\127.0.0.1\\share`, `http://127.0.0.1:${port}/%2e%2e`, `http://127.0.0.1:${port}/\u202e`, `gs://127.0.0.1:${port}/x`, `s3://127.0.0.1:${port}/x`);
  return out;
}

const user = (content) => [{ role: 'user', content }];
const schema = (u) => ({ $schema: u, $id: u, type: 'object', properties: { a: { $ref: u } } });
// [path, body of a URL, headers of a URL]
const fields = {
  'chat image_url': ['chat', (u) => ({ messages: user([{ type: 'image_url', image_url: { url: u } }]) })],
  'chat file_data': ['chat', (u) => ({ messages: user([{ type: 'file', file: { filename: u, file_data: u } }]) })],
  'chat input_audio': ['chat', (u) => ({ messages: user([{ type: 'input_audio', input_audio: { data: u, format: 'wav' } }]) })],
  'chat schema': ['chat', (u) => ({ messages: user('json'), response_format: { type: 'json_schema', json_schema: { name: 'x', schema: schema(u) } } })],
  'chat tool schema': ['chat', (u) => ({ messages: user('scene:tool'), tools: [{ type: 'function', function: { name: 'weather', parameters: schema(u) } }] })],
  'chat model': ['chat', (u) => ({ model: u, messages: user('x') })],
  'chat texts': ['chat', (u) => ({ messages: user(u), user: u.slice(0, 60), metadata: { u: u.slice(0, 200) }, safety_identifier: u.slice(0, 60), web_search_options: { user_location: u } })],
  'responses input_image': ['responses', (u) => ({ input: user([{ type: 'input_image', image_url: u }]) })],
  'responses input_file': ['responses', (u) => ({ input: user([{ type: 'input_file', file_url: u, filename: 'x' }]) })],
  'responses tools': ['responses', (u) => ({ input: 'x', tools: [{ type: 'mcp', server_label: 'x', server_url: u }] })],
  'responses ids': ['responses', (u) => ({ input: 'x', previous_response_id: u, conversation: u, prompt: { id: u } })],
  'messages image': ['messages', (u) => ({ max_tokens: 9, messages: user([{ type: 'image', source: { type: 'url', url: u } }]) })],
  'messages document': ['messages', (u) => ({ max_tokens: 9, messages: user([{ type: 'document', source: { type: 'url', url: u } }]) })],
  'messages result': ['messages', (u) => ({ max_tokens: 9, tools: [{ name: 'f', input_schema: weather.schema }], messages: [...user('x'), { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'f', input: {} }] }, ...user([{ type: 'tool_result', tool_use_id: 'a', content: [{ type: 'image', source: { type: 'url', url: u } }] }])] })],
  'messages mcp': ['messages', (u) => ({ max_tokens: 9, messages: user('x'), mcp_servers: [{ type: 'url', url: u, name: 'x' }] })],
  'gemini fileData': ['gemini', (u) => ({ contents: [{ parts: [{ fileData: { mimeType: 'image/png', fileUri: u } }] }] })],
  'gemini cachedContent': ['gemini', (u) => ({ contents: [{ parts: [{ text: 'x' }] }], cachedContent: u })],
  'gemini schema': ['gemini', (u) => ({ contents: [{ parts: [{ text: 'json' }] }], generationConfig: { responseMimeType: 'application/json', responseJsonSchema: schema(u) } })],
  headers: ['chat', () => ({ messages: user('x') }), (u) => ({ 'x-forwarded-host': u, 'x-tollgate-route': u, 'x-original-url': u, 'x-tollgate-tag': `u=${u}`, 'openai-organization': u, referer: u, origin: u, 'x-tollgate-session': u, forwarded: `host="${u}"` })],
};
const paths = { chat: ['/v1/chat/completions'], responses: ['/v1/responses'], messages: ['/v1/messages'], gemini: ['/v1beta/models/claude-sonnet-4-5:generateContent', '/v1beta/models/gemini-2.5-flash:generateContent'] };
const models = ['openai/gpt-4.1', 'anthropic/claude-sonnet-4-5', 'google/gemini-2.5-flash'];

export function insideUrls(group, house) {
  let seen = 0, port = 0;
  const canary = net.createServer((s) => { seen++; s.destroy(); });
  const ready = new Promise((done) => canary.listen(0, '::', () => { port = canary.address().port; canary.unref(); done(); }));

  group('inside-urls', (add) => {
    for (const [name, [caller, body, headers]] of Object.entries(fields)) add(name, async () => {
      await ready;
      const all = spellings(port);
      assert.ok(all.length >= 100, String(all.length));
      for (const [i, u] of all.entries()) {
        const own = headers?.(u), clean = own && Object.fromEntries(Object.entries(own).map(([k, v]) => [k, v.replace(/[^\x21-\x7e]/g, '')]));
        const res = await fetch(house.url + paths[caller][i % paths[caller].length], { method: 'POST', headers: { authorization: `Bearer ${house.key}`, 'content-type': 'application/json', ...clean }, body: JSON.stringify({ ...(caller === 'gemini' ? {} : { model: models[i % models.length] }), ...body(u) }) });
        const text = await res.text();
        assert.ok([200, 400, 404].includes(res.status), `${JSON.stringify(u)}: ${res.status} ${text.slice(0, 300)}`);
        assert.doesNotMatch(text, /root:x:|tg_[0-9A-Za-z]{20}/, 'a file or a key in the answer');
      }
      assert.equal(seen, 0, 'somebody knocked at the canary');
    });
    add('the canary hears', async () => { await ready; await new Promise((done) => net.connect(port, '127.0.0.1', done).on('error', done)); await new Promise((r) => setTimeout(r, 20)); assert.equal(seen, 1); });
  }, { alone: true });
}
