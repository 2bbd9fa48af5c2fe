// pending.mjs - cases that may fail, because the gateway does not do it yet. The list only shrinks.
export const pending = /^(?!features\/.*\/(chat-chat|messages-anthropic|gemini-gemini|responses-responses)\/)/;
