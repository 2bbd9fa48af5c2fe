// schema.mjs - which JSON Schemas a provider takes: the strict mode of OpenAI and Anthropic, and Gemini's two dialects.

function walk(schema, path, visit) {
  if (schema === null || typeof schema !== 'object') return;
  if (Array.isArray(schema)) { schema.forEach((s, i) => walk(s, `${path}[${i}]`, visit)); return; }
  visit(schema, path);
  for (const k of ['items', 'not', 'if', 'then', 'else', 'additionalProperties', 'contains', 'propertyNames']) walk(schema[k], `${path}.${k}`, visit);
  for (const k of ['anyOf', 'oneOf', 'allOf', 'prefixItems']) walk(schema[k], `${path}.${k}`, visit);
  for (const k of ['properties', '$defs', 'definitions', 'patternProperties'])
    for (const [name, s] of Object.entries(schema[k] ?? {})) walk(s, `${path}.${k}.${name}`, visit);
}

const typed = (s, t) => s.type === t || (Array.isArray(s.type) && s.type.includes(t));

const jsonTypes = new Set(['string', 'number', 'integer', 'boolean', 'array', 'object', 'null']);

// Is it a JSON Schema at all (type names in lower case...)? The first fault as a string, else null.
export function notASchema(schema) {
  let fault = null;
  if (schema === null || typeof schema !== 'object' || Array.isArray(schema)) return 'a schema must be an object';
  walk(schema, '', (s, path) => {
    for (const t of [s.type ?? []].flat()) if (!jsonTypes.has(t)) fault ??= `${path}.type: '${t}' is not valid under any of the given schemas`;
    if (s.required !== undefined && !Array.isArray(s.required)) fault ??= `${path}.required: must be an array`;
  });
  return fault;
}

// OpenAI's strict mode: every object closed, every property required.
export function notStrict(schema) {
  let fault = notASchema(schema);
  if (!fault && !typed(schema, 'object')) fault = 'schema must be a JSON Schema of \'type: "object"\'';
  walk(schema, '', (s, path) => {
    if (typed(s, 'object') || s.properties) {
      if (s.additionalProperties !== false) fault ??= `In context=${path}, 'additionalProperties' is required to be supplied and to be false`;
      for (const name of Object.keys(s.properties ?? {}))
        if (!s.required?.includes(name)) fault ??= `In context=${path}, 'required' must include every key in properties; missing '${name}'`;
    }
    for (const k of ['allOf', 'not', 'if', 'then', 'else', 'patternProperties', 'dependentRequired', 'oneOf'])
      if (s[k] !== undefined) fault ??= `In context=${path}, '${k}' is not permitted`;
  });
  return fault;
}

// Anthropic's structured output: objects closed, no numeric or length bounds.
export function notAnthropicFormat(schema) {
  let fault = notASchema(schema);
  walk(schema, '', (s, path) => {
    if ((typed(s, 'object') || s.properties) && s.additionalProperties !== false)
      fault ??= `${path}: For 'object' type, 'additionalProperties' must be explicitly set to false`;
    for (const k of ['minimum', 'maximum', 'minLength', 'maxLength', 'multipleOf', 'oneOf', 'not', 'if'])
      if (s[k] !== undefined) fault ??= `${path}: property '${k}' is not supported`;
  });
  return fault;
}

const openapi = new Set(['type', 'format', 'title', 'description', 'nullable', 'enum', 'items', 'minItems', 'maxItems', 'minLength', 'maxLength',
  'minProperties', 'maxProperties', 'properties', 'required', 'propertyOrdering', 'anyOf', 'minimum', 'maximum', 'pattern', 'default', 'example']);
const openapiTypes = /^(STRING|NUMBER|INTEGER|BOOLEAN|ARRAY|OBJECT|NULL|TYPE_UNSPECIFIED)$/i;

// Gemini's `parameters` and `responseSchema`: a subset of OpenAPI, refused by keyword like any unknown name.
export function notOpenApi(schema) {
  let fault = null;
  walk(schema, '', (s, path) => {
    for (const k of Object.keys(s)) if (!openapi.has(k)) fault ??= `Unknown name "${k}" at '${path}': Cannot find field.`;
    if (s.type !== undefined && (typeof s.type !== 'string' || !openapiTypes.test(s.type))) fault ??= `Invalid value at '${path}.type'`;
    if (s.enum !== undefined && !s.enum.every((v) => typeof v === 'string')) fault ??= `Invalid value at '${path}.enum'`;
  });
  return fault;
}

const geminiJson = new Set(['$id', '$defs', '$ref', '$anchor', 'type', 'format', 'title', 'description', 'enum', 'items', 'prefixItems', 'minItems',
  'maxItems', 'minimum', 'maximum', 'minLength', 'maxLength', 'pattern', 'anyOf', 'oneOf', 'properties', 'additionalProperties', 'required',
  'propertyOrdering', '$schema', 'const', 'default']);

// Gemini's parametersJsonSchema and responseJsonSchema.
export function notGeminiJson(schema) {
  let fault = notASchema(schema);
  walk(schema, '', (s, path) => { for (const k of Object.keys(s)) if (!geminiJson.has(k)) fault ??= `${path}: keyword "${k}" is not supported`; });
  return fault;
}
