// scenes.mjs - what a scripted provider answers, in no dialect: each upstream says it in its own. The last word "scene:NAME" in
// the conversation picks one; without any it is `hello`. A scene is an answer, or a function of the stage of a tool loop (how
// many rounds of results came behind that word) that returns one.
//
//   choices   [{ parts, finish, stop }]; `parts` alone stands for one choice. A part is one of
//             { text }  { reasoning }  { redacted }  { call, args }  { custom, input }  { refusal }  { cite: { url, title, from, to } }
//   finish    stop (default; `calls` where there are calls), length, sequence (with `stop`), filter, window
//   usage     disjoint counts: fresh, read, write5m, write1h, out (visible), reasoning
//   piece     characters of text in one event (5); args: characters of arguments in one event (3)
//   error     { kind, after, headers }: an error instead of an answer, or behind `after` events of a stream
//   tcp, every, cut, reset, stall, gate: common.mjs

export const MODEL_WORDS = 'The quick brown fox jumps over the lazy dog. ';
export const UNICODE = 'Grüße 🌍 — 日本語 👩‍🚀 "quoted" \\ back\nnew line\ttab é ﬁ 𝔘 end';
export const ODD_ARGS = '{"id":9007199254740993,"note":"é \\"q\\" \\\\ 日本","f":1.0,"deep":{"a":[1,2,{"b":null}]}}';

const lookup = { call: 'weather', args: '{"city":"Oslo"}' };
const usual = { fresh: 11, read: 0, write5m: 0, write1h: 0, out: 7, reasoning: 0 };

const scenes = {
  hello: { parts: [{ text: 'Hello there, friend.' }] },
  short: { parts: [{ text: 'Ok' }] },
  unicode: { parts: [{ text: UNICODE }], tcp: 7, piece: 3 },
  long: { parts: [{ text: MODEL_WORDS.repeat(40) }], usage: { out: 400 } },
  tool: { parts: [lookup] },
  tools: { parts: [{ text: 'Let me look.' }, lookup, { call: 'weather', args: '{"city":"Łódź"}' }, { call: 'now', args: '{}' }] },
  toolempty: { parts: [{ call: 'now', args: '{}' }] },
  toolodd: { parts: [{ call: 'weather', args: ODD_ARGS }], args: 1, tcp: 5 },
  toolone: { parts: [{ call: 'weather', args: ODD_ARGS }], args: 1, tcp: 1 },
  toolnamed: { parts: [{ call: 'now', args: '{}' }] },
  badargs: { parts: [{ call: 'weather', args: '{"city":' }] },
  think: { parts: [{ reasoning: 'First I weigh it. Then I decide.' }, { text: 'Forty-two.' }], usage: { out: 5, reasoning: 30 } },
  redacted: { parts: [{ redacted: 'opaque' }, { text: 'Forty-two.' }], usage: { out: 5, reasoning: 30 } },
  custom: { parts: [{ custom: 'apply_patch', input: '*** Begin Patch\n+"é" \\n\n*** End Patch' }] },
  json: { parts: [{ text: '{"name":"Ada","age":36}' }] },
  jsonbad: { parts: [{ text: '{"name":"Ada"}' }] },
  refusal: { parts: [{ refusal: 'I cannot help with that.' }] },
  cite: { parts: [{ text: 'Oslo is in Norway.' }, { cite: { url: 'https://example.com/oslo', title: 'Oslo', from: 0, to: 4 } }] },
  logprobs: { parts: [{ text: 'Hi you' }], logprobs: [['Hi', -0.1, [['Hi', -0.1], ['Yo', -2.5]]], [' you', -0.25, [[' you', -0.25], [' all', -1.5]]]] },
  choices: { choices: [{ parts: [{ text: 'First answer.' }] }, { parts: [{ text: 'Second one.' }] }] },
  length: { parts: [{ text: 'This is cut o' }], finish: 'length' },
  lengththink: { parts: [{ reasoning: 'I think until nothing is left' }], finish: 'length', usage: { out: 0, reasoning: 16 } },
  stop: { parts: [{ text: 'one two ' }], finish: 'sequence', stop: '###' },
  filter: { parts: [{ text: 'Well' }], finish: 'filter' },
  empty: { parts: [] },
  usage: { parts: [{ text: 'Counted.' }], usage: { fresh: 1000, read: 3072, write5m: 512, write1h: 256, out: 50, reasoning: 20 } },
  cached: { parts: [{ text: 'Counted.' }], usage: { fresh: 137, read: 2048, out: 3 } },

  // Three rounds: think and call; think and call twice; answer.
  loop: (stage) => [
    { parts: [{ reasoning: 'I need the weather in Oslo.' }, lookup], usage: { out: 9, reasoning: 12 } },
    { parts: [{ reasoning: 'Now Bergen, and the time.' }, { call: 'weather', args: '{"city":"Bergen"}' }, { call: 'now', args: '{}' }], usage: { fresh: 60, out: 14, reasoning: 8 } },
    { parts: [{ text: 'Oslo 12, Bergen 9 degrees.' }], usage: { fresh: 90, out: 10 } },
  ][Math.min(stage, 2)],
  // The same without thoughts, and text beside the calls.
  plainloop: (stage) => [
    { parts: [{ text: 'Looking.' }, lookup, { call: 'now', args: '{}' }] },
    { parts: [{ text: 'Oslo 12 degrees.' }], usage: { fresh: 40 } },
  ][Math.min(stage, 1)],
  // An agent's round: think, say, run; then done.
  agent: (stage) => [
    { parts: [{ reasoning: 'The list first.' }, { text: 'I list the files.' }, { call: 'shell', args: '{"command":["ls","-la"]}' }], usage: { fresh: 4000, read: 8192, out: 30, reasoning: 15 } },
    { parts: [{ reasoning: 'Now the patch.' }, { call: 'shell', args: '{"command":["cat","a.c"]}' }, { call: 'shell', args: '{"command":["cat","b.c"]}' }], usage: { fresh: 300, read: 12000, out: 40, reasoning: 9 } },
    { parts: [{ text: 'Done: two files.' }], usage: { fresh: 500, read: 12500, out: 12 } },
  ][Math.min(stage, 2)],
  jsonloop: (stage) => [{ parts: [lookup] }, { parts: [{ text: '{"name":"Ada","age":36}' }] }][Math.min(stage, 1)],

  bad: { error: { kind: 'bad' } },
  context: { error: { kind: 'context' } },
  auth: { error: { kind: 'auth' } },
  credit: { error: { kind: 'credit' } },
  forbidden: { error: { kind: 'forbidden' } },
  rate: { error: { kind: 'rate', after: 0, seconds: 7 } },
  server: { error: { kind: 'server' } },
  overloaded: { error: { kind: 'overloaded' } },
  late: { parts: [{ text: 'This begins well and then' }], error: { kind: 'overloaded', after: 4 } },
  cut: { parts: [{ text: 'This begins well and then' }], cut: 4 },
  reset: { parts: [{ text: 'This begins well and then' }], reset: 4 },
  stall: { parts: [{ text: 'This begins well and then' }], stall: 4 },
  slow: { parts: [{ text: 'Slow but sure.' }], every: 15 },
  gated: { parts: [{ text: MODEL_WORDS.repeat(3) }], gate: 7 },
  dawdle: { parts: [{ text: MODEL_WORDS.repeat(40) }], every: 20 },
};

// The last words of the conversation, and the rounds of results behind them. `turns`: the neutral turns of an upstream's `seen`;
// "scene.google:cut" is for that provider alone.
export function sceneOf(turns, provider) {
  let name = 'hello', stage = 0;
  for (const turn of turns) {
    const said = turn.role === 'user' ? turn.items.flatMap((i) => [...(i.text ?? '').matchAll(/scene(?:\.([a-z]+))?:([a-z0-9]+)/g)]) : [];
    const word = said.filter((m) => m[1] === provider).at(-1) ?? said.filter((m) => !m[1]).at(-1);
    if (word) { name = word[2]; stage = 0; }
    if (turn.items.some((i) => i.result)) stage++;
  }
  const found = Object.hasOwn(scenes, name) ? scenes[name] : scenes.hello;
  const scene = { ...(typeof found === 'function' ? found(stage) : found), name, stage };
  // Only OpenAI has custom tools; elsewhere they are functions of one string.
  if (provider !== 'openai' && scene.parts) scene.parts = scene.parts.map((p) => (p.custom ? { call: p.custom, args: JSON.stringify({ input: p.input }) } : p));
  if (!scene.choices) scene.choices = [{ parts: scene.parts ?? [], finish: scene.finish, stop: scene.stop }];
  for (const c of scene.choices) c.finish ??= c.parts.some((p) => p.call || p.custom) ? 'calls' : 'stop';
  scene.usage = { ...usual, ...scene.usage };
  return scene;
}

// A scene by name, as the tests look at it.
export const scene = (name, stage = 0, provider = 'openai') => sceneOf([{ role: 'user', items: [{ text: `scene:${name}` }] },
  ...Array(stage).fill({ role: 'user', items: [{ result: {} }] })], provider);
