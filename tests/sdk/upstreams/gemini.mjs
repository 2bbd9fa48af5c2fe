// gemini.mjs - POST /v1beta/models/M:generateContent, :streamGenerateContent, :countTokens as Google takes and answers them.
// Refuses what Google refuses: names it does not know (by the place, as its JSON parser says it), parts without one data member,
// calls and responses out of step, a first call of the current turn without its thought signature or with one that it did not
// issue for that call, keywords outside its schema dialects, thinking budget beside level, more than five stop sequences.
import { Refusal, Upstream, hash, pieces, rules, send, stream } from './common.mjs';
import { notGeminiJson, notOpenApi } from './schema.mjs';
import { sceneOf } from './scenes.mjs';

export const KEY = 'AIza-test-key';
export const SKIP = ['skip_thought_signature_validator', Buffer.from('skip_thought_signature_validator').toString('base64'), 'context_engineering_is_the_way_to_go'];

const bad = (message, status = 400, word = 'INVALID_ARGUMENT') => new Refusal(status, message, { status: word });
const r = rules({ fault: (path, message, kind) => bad(kind === 'unknown' ? `Invalid JSON payload received. Unknown name "${path.split('.').at(-1)}" at '${path.split('.').slice(0, -1).join('.')}': Cannot find field.`
  : `Invalid value at '${path}': ${message}`) });
const { any, bool, str, int, num, list, word, either, match, map } = r;

// Both spellings of every name are taken; what comes out is the first.
const snake = (k) => k.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);
const fields = (spec, required = []) => (v, path) => {
  r.object(v, path);
  for (const k of Object.keys(v)) { const camel = k.replace(/_([a-z])/g, (_, c) => c.toUpperCase()); if (camel !== k && Object.hasOwn(spec, camel) && v[camel] === undefined) { v[camel] = v[k]; delete v[k]; } }
  r.fields(spec, required)(v, path);
};
void snake;

const wholeNumber = either(match(/^-?\d+$/), int());
const base64 = (v, path) => { str(v, path); r.base64(v.replaceAll('-', '+').replaceAll('_', '/') + '='.repeat(v.includes('=') ? 0 : (4 - (v.length % 4)) % 4), path); };
const mime = match(/^[a-z]+\/[a-zA-Z0-9.+-]+$/);
const signature = either((v, path) => { if (!SKIP.includes(v)) r.bad(path, 'x'); }, base64);
const name = match(/^[A-Za-z_][A-Za-z0-9_.:-]{0,127}$/);
const DATA = ['text', 'inlineData', 'fileData', 'functionCall', 'functionResponse', 'executableCode', 'codeExecutionResult', 'toolCall', 'toolResponse'];
const inline = fields({ mimeType: mime, data: base64, displayName: any }, ['mimeType', 'data']);
const partFields = fields({
  text: str, inlineData: inline, fileData: fields({ mimeType: mime, fileUri: match(/^(https?|gs):\/\//), displayName: any }, ['fileUri']),
  functionCall: fields({ name, args: r.object, id: str }, ['name']),
  functionResponse: fields({ name, response: r.object, id: str, parts: list(fields({ inlineData: inline })), willContinue: bool, scheduling: any }, ['name', 'response']),
  executableCode: any, codeExecutionResult: any, toolCall: any, toolResponse: any, thought: bool, thoughtSignature: signature, videoMetadata: any, mediaResolution: any, partMetadata: any,
});
const part = (v, path) => {
  partFields(v, path);
  const n = DATA.filter((k) => v[k] !== undefined).length;
  if (n !== 1) r.bad(path, n ? 'oneof field \'data\' is already set' : 'required oneof field \'data\' must have one initialized field');
};
const content = fields({ role: word('user', 'model', 'function'), parts: list(part, 1) }, ['parts']);
const openApi = (v, path) => { r.object(v, path); const why = notOpenApi(v); if (why) throw bad(`Invalid JSON payload received. ${why.replace("at ''", `at '${path}'`)}`); };
const jsonSchema = (v, path) => { const why = notGeminiJson(v); if (why) r.bad(path, why); };
const declaration = fields({ name, description: str, parameters: openApi, parametersJsonSchema: jsonSchema, response: any, responseJsonSchema: any, behavior: any }, ['name']);
const tool = fields({ functionDeclarations: list(declaration, 0, 512), googleSearch: any, urlContext: any, codeExecution: any, googleMaps: any, fileSearch: any, computerUse: any, googleSearchRetrieval: any });
const thinkingConfig = fields({ includeThoughts: bool, thinkingBudget: int(-1, 32768), thinkingLevel: word('MINIMAL', 'LOW', 'MEDIUM', 'HIGH', 'minimal', 'low', 'medium', 'high') });
const generation = fields({
  temperature: num(0, 2), topP: num(0, 1), topK: num(1), candidateCount: int(1, 8), maxOutputTokens: int(1, 65536), stopSequences: list(str, 0, 5), seed: int(-2147483648, 2147483647), presencePenalty: num(-2, 2),
  frequencyPenalty: num(-2, 2), responseLogprobs: bool, logprobs: int(0, 20), responseMimeType: word('text/plain', 'application/json', 'text/x.enum'), responseSchema: openApi, responseJsonSchema: jsonSchema,
  responseModalities: list(word('TEXT', 'IMAGE', 'AUDIO')), mediaResolution: match(/^MEDIA_RESOLUTION_/), speechConfig: any, imageConfig: any, thinkingConfig, enableEnhancedCivicAnswers: bool,
});
const safety = fields({ category: match(/^HARM_CATEGORY_/), threshold: word('BLOCK_LOW_AND_ABOVE', 'BLOCK_MEDIUM_AND_ABOVE', 'BLOCK_ONLY_HIGH', 'BLOCK_NONE', 'OFF') }, ['category', 'threshold']);
const toolConfig = fields({ functionCallingConfig: fields({ mode: word('AUTO', 'ANY', 'NONE', 'VALIDATED', 'MODE_UNSPECIFIED'), allowedFunctionNames: list(str) }), retrievalConfig: any, includeServerSideToolInvocations: bool });
const request = { contents: list(content, 1), systemInstruction: fields({ role: str, parts: list(part, 1) }, ['parts']), tools: list(tool), toolConfig, safetySettings: list(safety), generationConfig: generation,
  cachedContent: match(/^cachedContents\//), serviceTier: word('unspecified', 'standard', 'flex', 'priority'), store: bool };
const body = fields(request, ['contents']);
void wholeNumber; void map;

const is3 = (model) => /^gemini-3/.test(model);
export const sign = (call) => Buffer.concat([Buffer.from('gemini'), hash('gemini', call.name, JSON.stringify(call.args ?? {}))]).toString('base64');
const textSignature = (text) => Buffer.concat([Buffer.from('gemini'), hash('gemini-text', text)]).toString('base64');

// ---- order and signatures ----

function checkOrder(b, model) {
  const merged = [];
  for (const c of b.contents) { const role = c.role === 'model' ? 'model' : 'user'; if (merged.at(-1)?.role === role) merged.at(-1).parts.push(...c.parts); else merged.push({ role, parts: [...c.parts] }); }
  if (merged[0].role !== 'user') throw bad('Please ensure that the conversation begins with a user turn.');
  merged.forEach((m, i) => {
    const calls = m.role === 'model' ? m.parts.filter((p) => p.functionCall) : [], responses = m.role === 'user' ? m.parts.filter((p) => p.functionResponse) : [];
    const before = merged[i - 1]?.role === 'model' ? merged[i - 1].parts.filter((p) => p.functionCall) : [];
    if (responses.length !== before.length) throw bad('Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.');
    responses.forEach((p, k) => { if (p.functionResponse.id !== undefined ? !before.some((q) => q.functionCall.id === p.functionResponse.id && q.functionCall.name === p.functionResponse.name) : p.functionResponse.name !== before[k].functionCall.name)
      throw bad(`Function response ${p.functionResponse.name} does not match any function call.`); });
    if (calls.length && i === merged.length - 1) throw bad('Please ensure that function call turn is immediately followed by a function response turn.');
    if (m.role === 'user' && m.parts.some((p) => p.thought)) throw bad('thought parts belong to the model');
  });
  if (is3(model)) checkSignatures(merged);
}

// The current turn begins with the last user content that holds something else than responses.
function checkSignatures(merged) {
  let start = merged.length - 1;
  while (start > 0 && !(merged[start].role === 'user' && merged[start].parts.some((p) => !p.functionResponse))) start--;
  merged.forEach((m, i) => {
    if (m.role !== 'model') return;
    const first = m.parts.find((p) => p.functionCall);
    if (first && i > start && first.thoughtSignature === undefined) throw bad(`Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing thought_signature may lead to degraded model performance. Additional data, function call \`default_api:${first.functionCall.name}\`, position ${i + 1}.`);
    for (const p of m.parts) {
      if (p.thoughtSignature === undefined || SKIP.includes(p.thoughtSignature)) continue;
      const ok = p.functionCall ? sign(p.functionCall) : textSignature(p.text ?? '');
      if (p.thoughtSignature !== ok && p.functionCall) throw bad('Corrupted thought signature.');
    }
  });
}

function check(b, model, streaming) {
  body(b, '');
  checkOrder(b, model);
  const g = b.generationConfig ?? {}, t = g.thinkingConfig ?? {};
  if (t.thinkingBudget !== undefined && t.thinkingLevel !== undefined) throw bad('You can only set only one of thinking budget and thinking level.');
  if (t.thinkingLevel !== undefined && !is3(model)) throw bad('Thinking level is not supported for this model.');
  if (t.thinkingLevel !== undefined && /minimal|medium/i.test(t.thinkingLevel) && /^gemini-3-pro/.test(model)) throw bad(`Thinking level ${t.thinkingLevel} is not supported for this model.`);
  if (t.thinkingBudget === 0 && (/pro/.test(model) || is3(model))) throw bad('Budget 0 is invalid. This model only works in thinking mode.');
  if (t.thinkingBudget > 0 && t.thinkingBudget < 128 && /2\.5-pro/.test(model)) throw bad(`The thinking budget ${t.thinkingBudget} is invalid. Please choose a value between 128 and 32768.`);
  if (t.thinkingBudget > 24576 && /flash/.test(model)) throw bad(`The thinking budget ${t.thinkingBudget} is invalid. Please choose a value between 0 and 24576.`);
  if (g.responseSchema && g.responseJsonSchema) throw bad('Only one of response_schema and response_json_schema may be set.');
  if ((g.responseSchema || g.responseJsonSchema) && g.responseMimeType !== 'application/json' && g.responseMimeType !== 'text/x.enum') throw bad('response_mime_type must be application/json when a response schema is set.');
  if (g.logprobs !== undefined && !g.responseLogprobs) throw bad('response_logprobs must be true when logprobs is set.');
  if (streaming && g.candidateCount > 1 && is3(model)) throw bad('Multiple candidates is not enabled for this model.');
  const names = (b.tools ?? []).flatMap((x) => x.functionDeclarations ?? []);
  for (const d of names) if (d.parameters && d.parametersJsonSchema) throw bad('parameters and parameters_json_schema are mutually exclusive.');
  if (new Set(names.map((d) => d.name)).size !== names.length) throw bad('Duplicate function declaration found.');
  const allowed = b.toolConfig?.functionCallingConfig?.allowedFunctionNames;
  if (allowed?.length && !/ANY|VALIDATED/.test(b.toolConfig.functionCallingConfig.mode)) throw bad('allowed_function_names should only be set when the function calling mode is ANY or VALIDATED.');
  for (const n of allowed ?? []) if (!names.some((d) => d.name === n)) throw bad(`allowed_function_names: '${n}' is not declared.`);
  if (b.cachedContent && (b.tools || b.systemInstruction || b.toolConfig)) throw bad('CachedContent can not be used with GenerateContent request setting system_instruction, tools or tool_config.');
}

// ---- what was asked, in no dialect ----

const kindOf = (type) => (type?.startsWith('image/') ? 'image' : type?.startsWith('audio/') ? 'audio' : 'file');
function itemOf(p, calls) {
  if (p.text !== undefined) return p.thought ? { reasoning: p.text } : { text: p.text };
  if (p.inlineData) return { [kindOf(p.inlineData.mimeType)]: { type: p.inlineData.mimeType, data: p.inlineData.data } };
  if (p.fileData) return { [kindOf(p.fileData.mimeType ?? 'image/')]: { url: p.fileData.fileUri, type: p.fileData.mimeType } };
  if (p.functionCall) return { call: { id: p.functionCall.id, name: p.functionCall.name, args: JSON.stringify(p.functionCall.args ?? {}) }, signature: p.thoughtSignature && (SKIP.includes(p.thoughtSignature) ? 'skip' : 'own') };
  if (p.functionResponse) {
    const f = p.functionResponse, text = typeof f.response.output === 'string' ? f.response.output : typeof f.response.error === 'string' ? f.response.error : JSON.stringify(f.response);
    return { result: { id: f.id ?? calls.find((c) => c.name === f.name)?.id, name: f.name, text, error: f.response.error !== undefined || undefined, media: (f.parts ?? []).map((q) => itemOf(q)) } };
  }
  return { other: p };
}

export function seen(b, model, streaming) {
  const turns = [], calls = [];
  for (const c of b.contents) {
    const role = c.role === 'model' ? 'assistant' : 'user', items = c.parts.map((p) => itemOf(p, calls));
    for (const i of items) if (i.call) calls.push(i.call);
    if (turns.at(-1)?.role === role) turns.at(-1).items.push(...items); else turns.push({ role, items });
  }
  const g = b.generationConfig ?? {}, f = b.toolConfig?.functionCallingConfig;
  const choice = f?.mode && (f.allowedFunctionNames?.length ? { mode: f.allowedFunctionNames.length === 1 && f.mode === 'ANY' ? 'named' : 'allowed', any: f.mode === 'ANY', names: f.allowedFunctionNames }
    : { mode: { AUTO: 'auto', ANY: 'any', NONE: 'none', VALIDATED: 'auto' }[f.mode] });
  const declared = (b.tools ?? []).flatMap((t) => t.functionDeclarations ?? []);
  return {
    system: b.systemInstruction?.parts.map((p) => p.text) ?? [], turns, model, stream: streaming, tools: b.tools && declared.map((d) => ({ name: d.name, description: d.description, schema: d.parametersJsonSchema ?? d.parameters, openapi: !!d.parameters })),
    server: b.tools?.some((t) => !t.functionDeclarations), choice, max: g.maxOutputTokens, temperature: g.temperature, topP: g.topP, topK: g.topK, presence: g.presencePenalty, frequency: g.frequencyPenalty, seed: g.seed, stop: g.stopSequences,
    n: g.candidateCount, logprobs: g.responseLogprobs, topLogprobs: g.logprobs, budget: g.thinkingConfig?.thinkingBudget, effort: g.thinkingConfig?.thinkingLevel?.toLowerCase(), thoughts: g.thinkingConfig?.includeThoughts,
    format: g.responseMimeType === 'application/json' ? { type: g.responseJsonSchema || g.responseSchema ? 'schema' : 'json', schema: g.responseJsonSchema ?? g.responseSchema } : undefined,
    safety: b.safetySettings, tier: b.serviceTier,
  };
}

// ---- the answer ----

export function usageOf(u) {
  const prompt = u.fresh + u.read + u.write5m + u.write1h, out = { promptTokenCount: prompt, totalTokenCount: prompt + u.out + u.reasoning, promptTokensDetails: [{ modality: 'TEXT', tokenCount: prompt }] };
  if (u.out) out.candidatesTokenCount = u.out;                 // zeros are left out
  if (u.read) out.cachedContentTokenCount = u.read;
  if (u.reasoning) out.thoughtsTokenCount = u.reasoning;
  return out;
}

const finishOf = (f) => ({ stop: 'STOP', calls: 'STOP', length: 'MAX_TOKENS', sequence: 'STOP', filter: 'SAFETY', window: 'MAX_TOKENS' })[f];

// Parts as texts of JSON, so that the arguments' own digits go out.
function parts(choice, b, model, key, size) {
  const out = [], shown = b.generationConfig?.thinkingConfig?.includeThoughts;
  let signed = false, n = 0;
  for (const p of choice.parts) {
    if (p.reasoning !== undefined && shown) for (const t of size ? pieces(p.reasoning, size) : [p.reasoning]) out.push(JSON.stringify({ text: t, thought: true }));
    const said = p.text ?? p.refusal;
    if (said !== undefined) for (const t of size ? pieces(said, size) : [said]) out.push(JSON.stringify({ text: t }));
    if (p.call) {
      const id = is3(model) ? `,"id":"${hash('id', key, n++).toString('hex').slice(0, 8)}"` : '', mark = is3(model) && !signed ? `,"thoughtSignature":"${sign({ name: p.call, args: JSON.parse(p.args) })}"` : '';
      signed = true;
      out.push(`{"functionCall":{"name":"${p.call}","args":${p.args}${id}}${mark}}`);
    }
  }
  return out;
}

const logprobsOf = (list) => ({ topCandidates: list.map(([, , top]) => ({ candidates: top.map(([token, logProbability]) => ({ token, tokenId: 1, logProbability })) })),
  chosenCandidates: list.map(([token, logProbability]) => ({ token, tokenId: 1, logProbability })) });

function candidate(c, index, list, scene, b, last) {
  const more = { index };
  const cites = c.parts.filter((p) => p.cite).map((p) => p.cite);
  if (last) more.finishReason = finishOf(c.finish);
  if (last && cites.length) more.groundingMetadata = { groundingChunks: cites.map((x) => ({ web: { uri: x.url, title: x.title } })),
    groundingSupports: cites.map((x, i) => ({ segment: { startIndex: x.from, endIndex: x.to, text: 'Oslo' }, groundingChunkIndices: [i] })) };
  if (last && scene.logprobs && b.generationConfig?.responseLogprobs) { more.logprobsResult = logprobsOf(scene.logprobs); more.avgLogprobs = -0.175; }
  const inner = JSON.stringify(more).slice(1);
  return `{"content":{"role":"model"${list.length ? `,"parts":[${list.join(',')}]` : ''}},${inner}`;
}

function document(cands, scene, model, key, usage) {
  return `{"candidates":[${cands.join(',')}],"usageMetadata":${JSON.stringify(usage)},"modelVersion":"${model}-001","responseId":"${hash(key).toString('base64url').slice(0, 22)}"}`;
}

const choicesOf = (scene, b) => scene.choices.slice(0, b.generationConfig?.candidateCount ?? 1);

function whole(scene, b, model, key) {
  return document(choicesOf(scene, b).map((c, i) => candidate(c, i, parts(c, b, model, key), scene, b, true)), scene, model, key, usageOf(scene.usage));
}

function chunks(scene, b, model, key) {
  const out = [], first = { promptTokenCount: usageOf(scene.usage).promptTokenCount, totalTokenCount: usageOf(scene.usage).promptTokenCount };
  choicesOf(scene, b).forEach((c, i) => {
    const list = parts(c, b, model, key, (scene.piece ?? 5) * 2);
    // Parallel calls come together in one chunk; the rest one by one.
    const texts = list.filter((p) => !p.startsWith('{"functionCall"')), calls = list.filter((p) => p.startsWith('{"functionCall"'));
    for (const p of texts) out.push(document([candidate(c, i, [p], scene, b, false)], scene, model, key, first));
    if (calls.length) out.push(document([candidate(c, i, calls, scene, b, false)], scene, model, key, first));
    out.push(document([candidate(c, i, ['{"text":""}'], scene, b, true)], scene, model, key, usageOf(scene.usage)));
  });
  return out;
}

const errors = {
  bad: [400, 'INVALID_ARGUMENT', 'The server had a reason of its own to refuse this.'],
  context: [400, 'INVALID_ARGUMENT', 'The input token count (2000000) exceeds the maximum number of tokens allowed (1048576).'],
  auth: [400, 'INVALID_ARGUMENT', 'API key not valid. Please pass a valid API key.', [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'API_KEY_INVALID', domain: 'googleapis.com' }]],
  credit: [429, 'RESOURCE_EXHAUSTED', 'You exceeded your current quota.', [{ '@type': 'type.googleapis.com/google.rpc.QuotaFailure', violations: [{ quotaMetric: 'generativelanguage.googleapis.com/generate_content_free_tier_requests', quotaId: 'GenerateRequestsPerDayPerProjectPerModel-FreeTier', quotaValue: '50' }] }]],
  forbidden: [403, 'PERMISSION_DENIED', 'Your API key lacks permission.'],
  rate: [429, 'RESOURCE_EXHAUSTED', 'Resource has been exhausted (e.g. check quota).', [{ '@type': 'type.googleapis.com/google.rpc.QuotaFailure', violations: [{ quotaId: 'GenerateRequestsPerMinutePerProjectPerModel' }] }, { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '6.5s' }]],
  server: [500, 'INTERNAL', 'An internal error has occurred.'],
  overloaded: [503, 'UNAVAILABLE', 'The model is overloaded. Please try again later.'],
};
const errorOf = (kind) => new Refusal(errors[kind][0], errors[kind][2], { status: errors[kind][1], details: errors[kind][3] });
const errorBody = (e) => ({ error: { code: e.status, message: e.message, status: e.more.status ?? 'INVALID_ARGUMENT', ...(e.more.details ? { details: e.more.details } : {}) } });

export const gemini = () => new Upstream('google', {
  shape: (e) => ({ status: e.status, headers: {}, body: errorBody(e) }),
  handle(call) {
    const m = /^\/v1beta\/models\/([A-Za-z0-9._-]+):(generateContent|streamGenerateContent|countTokens)$/.exec(call.path);
    if (call.headers['x-goog-api-key'] !== KEY) throw errorOf('auth');
    if (call.query.has('key')) throw bad('the key was sent twice');
    if (!m || call.method !== 'POST') throw bad(`Not found: ${call.path}`, 404, 'NOT_FOUND');
    const [, model, method] = m, b = call.body, streaming = method === 'streamGenerateContent';
    if (!/^gemini-(3\.1-pro-preview|2\.5-flash|2\.5-pro)$/.test(model)) throw bad(`models/${model} is not found for API version v1beta, or is not supported for ${method}.`, 404, 'NOT_FOUND');
    if (method === 'countTokens') {
      fields({ contents: list(content), generateContentRequest: fields({ model: str, ...request }, ['model', 'contents']) })(b, '');
      call.seen = seen(b.generateContentRequest ?? b, model, false);
      return send(call, 200, {}, { totalTokens: 1234, promptTokensDetails: [{ modality: 'TEXT', tokenCount: 1234 }] });
    }
    check(b, model, streaming);
    call.seen = seen(b, model, streaming);
    if (streaming && call.query.get('alt') !== 'sse') throw bad('this mock streams with alt=sse alone');
    const scene = call.scene = sceneOf(call.seen.turns, 'google'), key = `${call.raw}${call.n}`;
    if (scene.error && !(scene.error.after > 0 && streaming)) throw errorOf(scene.error.kind);
    if (scene.name === 'badargs') scene.choices = [{ parts: [], finish: 'stop' }];      // arguments are objects here: it cannot
    if (!streaming) return send(call, 200, {}, whole(scene, b, model, key));
    let out = chunks(scene, b, model, key).map((d) => `data: ${d}\r\n\r\n`);
    if (scene.error) out = [...out.slice(0, Math.min(scene.error.after, 2)), `data: ${JSON.stringify(errorBody(errorOf(scene.error.kind)))}\r\n\r\n`];
    // Its chunks are larger, so mischief comes earlier.
    return stream(call, {}, out, { ...scene, ...Object.fromEntries(['cut', 'reset', 'stall', 'gate'].filter((k) => scene[k]).map((k) => [k, 2])) });
  },
});
