// run.mjs - starts a house, then the tests in a second node whose trust (NODE_EXTRA_CA_CERTS is read at start), base URL
// and key are those of the house: so the SDK in them is as a user has it, `new OpenAI()` without a single option.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const holder = spawn('python3', [path.join(here, '../flow/hold.py')], { stdio: ['pipe', 'pipe', 'inherit'] });
let text = '', started = false;

holder.on('exit', (code) => { if (!started) { console.error('the house did not stand'); process.exit(code || 1); } });
holder.stdout.on('data', (d) => {
  text += d;
  if (started || !text.includes('\n')) return;
  started = true;
  const house = JSON.parse(text);
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: house.ca, OPENAI_BASE_URL: house.url, OPENAI_API_KEY: house.key,
    MOCK_URL: house.mock };
  const tests = spawn(process.execPath, ['--test', '--test-reporter=tap', path.join(here, 'openai.test.mjs')], { env, stdio: 'inherit' });
  tests.on('exit', (code) => { holder.on('exit', (h) => process.exit(code || h)); holder.stdin.end(); });
});
