// gemini.mjs - a caller with @google/genai, generateContent (asks and results: chat.mjs).
import { GoogleGenAI } from '@google/genai';

export const name = 'gemini';
export const client = (house, more = {}) => new GoogleGenAI({ apiKey: house.key, httpOptions: { baseUrl: house.url }, ...more });

const blob = (m) => (m.url ? { fileData: { fileUri: m.url, mimeType: m.type ?? 'image/png' } } : { inlineData: { mimeType: m.type, data: m.data } });
function part(i, names) {
  if (i.text !== undefined) return { text: i.text };
  if (i.call) return { functionCall: { ...(i.call.id ? { id: i.call.id } : {}), name: i.call.name, args: JSON.parse(i.call.args || '{}') } };
  if (i.result) return { functionResponse: { id: i.result.id, name: i.result.name ?? names.get(i.result.id), response: { [i.result.error ? 'error' : 'output']: i.result.text } } };
  return blob(i.image ?? i.file ?? i.audio);
}

const MODES = { none: 'NONE', auto: 'AUTO', any: 'ANY', named: 'ANY' };

export function build(ask) {
  const set = (k, v) => (v === undefined ? {} : { [k]: v });
  const names = new Map(), f = ask.format;
  for (const t of ask.turns) for (const i of t.items) { if (i.call) names.set(i.call.id, i.call.name); for (const p of i.native ?? []) if (p.functionCall) names.set(p.functionCall.id, p.functionCall.name); }
  const contents = ask.turns.map((t) => ({ role: t.role === 'assistant' ? 'model' : 'user', parts: t.items.flatMap((i) => i.native ?? [part(i, names)]) }));
  const level = ask.effort && ask.effort !== 'none' ? { thinkingLevel: ask.effort.toUpperCase() } : {};
  const config = {
    ...set('systemInstruction', ask.system && { parts: [ask.system].flat().map((s) => ({ text: s.text ?? s })) }),
    ...set('tools', ask.tools && [{ functionDeclarations: ask.tools.map((t) => ({ name: t.name, ...set('description', t.description), ...(t.openapi ? { parameters: t.openapi } : set('parametersJsonSchema', t.schema)) })) }]),
    ...set('toolConfig', ask.choice && { functionCallingConfig: { mode: MODES[ask.choice.mode] ?? (ask.choice.any ? 'ANY' : 'VALIDATED'), ...set('allowedFunctionNames', ask.choice.names) } }),
    ...set('maxOutputTokens', ask.max), ...set('temperature', ask.temperature), ...set('topP', ask.topP), ...set('topK', ask.topK), ...set('presencePenalty', ask.presence), ...set('frequencyPenalty', ask.frequency), ...set('seed', ask.seed),
    ...set('stopSequences', ask.stop), ...set('responseLogprobs', ask.logprobs), ...set('logprobs', ask.topLogprobs), ...set('candidateCount', ask.n),
    ...(f ? { responseMimeType: 'application/json', ...(f.openapi ? { responseSchema: f.openapi } : set('responseJsonSchema', f.schema)) } : {}),
    ...(ask.effort || ask.budget !== undefined || ask.thoughts ? { thinkingConfig: { ...level, ...set('thinkingBudget', ask.effort === 'none' ? 0 : ask.budget), ...(ask.thoughts ? { includeThoughts: true } : {}) } } : {}),
    ...ask.extra,
  };
  return { model: ask.model, contents, config };
}

const counts = (u = {}) => ({ fresh: (u.promptTokenCount ?? 0) - (u.cachedContentTokenCount ?? 0), read: u.cachedContentTokenCount ?? 0, out: u.candidatesTokenCount ?? 0, reasoning: u.thoughtsTokenCount ?? 0, total: u.totalTokenCount, exclusive: true });

// `chunks`: one response, or those of a stream; parts are joined as they come.
function result(chunks) {
  const lanes = [];
  for (const c of chunks) for (const k of c.candidates ?? []) {
    const lane = lanes[k.index ?? 0] ??= { parts: [] };
    lane.parts.push(...(k.content?.parts ?? []));
    if (k.finishReason) lane.finish = k.finishReason;
    if (k.groundingMetadata) lane.grounding = k.groundingMetadata;
    if (k.logprobsResult) (lane.logprobs ??= []).push(...k.logprobsResult.chosenCandidates.map((t, i) => ({ token: t.token, logprob: t.logProbability, top_logprobs: k.logprobsResult.topCandidates?.[i]?.candidates ?? [] })));
  }
  const said = (l) => l.parts.filter((p) => p.text !== undefined && !p.thought).map((p) => p.text).join('');
  const first = lanes[0] ?? { parts: [] }, calls = first.parts.filter((p) => p.functionCall), last = chunks.at(-1);
  return {
    text: said(first), reasoning: first.parts.filter((p) => p.thought).map((p) => p.text).join(''), refusal: null, signed: first.parts.some((p) => p.thoughtSignature),
    finish: { STOP: calls.length ? 'calls' : 'stop', MAX_TOKENS: 'length', SAFETY: 'filter', PROHIBITED_CONTENT: 'filter' }[first.finish] ?? first.finish, calls: calls.map((p) => ({ id: p.functionCall.id, name: p.functionCall.name, args: JSON.stringify(p.functionCall.args ?? {}) })),
    cites: (first.grounding?.groundingChunks ?? []).map((c) => ({ url: c.web.uri, title: c.web.title })), logprobs: first.logprobs ?? null, choices: lanes.map(said), usage: counts(last.usageMetadata), model: last.modelVersion, id: last.responseId, raw: last,
    native: first.parts.filter((p) => p.text !== '' || p.thoughtSignature),
  };
}

const withHeaders = (params, headers) => (Object.keys(headers).length ? { ...params, config: { ...params.config, httpOptions: { headers } } } : params);

export async function plain(house, params, headers = {}) {
  const r = await client(house).models.generateContent(withHeaders(params, headers));
  return { ...result([r]), requestId: r.sdkHttpResponse?.headers?.['x-request-id'] };
}

export async function stream(house, params, headers = {}) {
  const chunks = [];
  for await (const c of await client(house).models.generateContentStream(withHeaders(params, headers))) chunks.push(c);
  return result(chunks);
}

export function fault(e) {
  let body = {};
  try { body = JSON.parse(e.message).error ?? {}; } catch { /* its own words */ }
  return { status: e.status, message: body.message ?? e.message, type: body.status, known: e.name === 'ApiError' };
}
