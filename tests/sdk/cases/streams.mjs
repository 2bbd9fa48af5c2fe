// streams.mjs - streams flow: the caller has the first words while the provider still holds the rest back. And what a stream is
// in bytes does not depend on how the provider's bytes were cut.
import assert from 'node:assert/strict';

import { events } from '../grammar.mjs';
import { upstreams } from '../house.mjs';
import { callers, targets } from '../matrix.mjs';
import { MODEL_WORDS } from '../upstreams/scenes.mjs';

// The pieces of text as they come, for each SDK's plain stream.
async function* texts(caller, house, params) {
  const client = callers[caller].client(house);
  switch (caller) {
  case 'chat': for await (const c of await client.chat.completions.create({ ...params, stream: true })) yield c.choices[0]?.delta?.content ?? ''; break;
  case 'responses': for await (const e of await client.responses.create({ ...params, stream: true })) if (e.type === 'response.output_text.delta') yield e.delta; break;
  case 'messages': for await (const e of await client.messages.create({ ...params, stream: true })) if (e.delta?.type === 'text_delta') yield e.delta.text; break;
  default: for await (const c of await client.models.generateContentStream(params)) yield c.candidates?.[0]?.content?.parts?.map((p) => p.text ?? '').join('') ?? '';
  }
}

export function streams(group, house) {
  group('streams', (add) => {
    for (const caller of Object.keys(callers)) for (const key of Object.keys(targets)) {
      const t = targets[key], ask = (ctx, scene) => callers[caller].build({ model: `${t.provider}/${t.plain}`, turns: [{ role: 'user', items: [{ text: ctx.say(scene) }] }] });
      add(`flow/${caller}-${key}`, async (ctx) => {
        let text = '', opened = false;
        for await (const piece of texts(caller, house, ask(ctx, 'gated'))) {
          text += piece;
          const [call] = upstreams[t.upstream].of(ctx.id);
          if (!text || opened) continue;
          assert.equal(call.done, false, 'the provider had ended before the caller saw a word');
          for (let i = 0; i < 200 && !call.open; i++) await new Promise((r) => setTimeout(r, 5));
          call.open();
          opened = true;
        }
        assert.equal(text, MODEL_WORDS.repeat(3));
        assert.ok(opened, 'nothing came until all had come');
      });
      add(`one byte at a time/${caller}-${key}`, async (ctx) => {
        const said = [];
        for (const scene of ['toolodd', 'toolone']) {
          const params = callers[caller].build({ model: `${t.provider}/${t.plain}`, tools: [{ name: 'weather', schema: { type: 'object' } }], turns: [{ role: 'user', items: [{ text: ctx.say(scene) }] }] });
          for await (const piece of texts(caller, house, params)) void piece;
          const list = events(ctx.last.raw).filter((e) => e.data && e.data !== '[DONE]' && e.data.type !== 'ping').map((e) => JSON.stringify(e.data).replace(/"(responseId|id|call_id)":"[^"]*"/g, '').replace(/(req|resp|msg|fc|rs|call|toolu|chatcmpl)_[0-9A-Za-z_-]+/g, 'ID').replace(/"(created|created_at|completed_at)":\d+/g, ''));
          said.push(list.join('\n'));
        }
        assert.equal(said[1], said[0], 'the cut shows');
      });
    }
  });
}
