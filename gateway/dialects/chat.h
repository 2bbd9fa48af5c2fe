/* chat.h - the neutral form: what a caller asks, whatever dialect it spoke. Every dialect reads its requests into it
 * (its parse) and writes its requests from it (its write_request), so that N dialects cost N files and never N x N.
 *
 * Conventions.
 *  - A span named *_raw, and every `text` and `data`, is the body of a JSON string exactly as the caller wrote it, escapes
 *    untouched: it may be put between quotes in any other body without being read. Other spans of names and ids (tool
 *    names, call ids, media types) have their escapes undone, since they are compared; write them with buf_add_json.
 *  - A span named *_json is a whole JSON value as written, valid by the pre-scan. Numbers stay text: 2^53 + 1 survives.
 *  - SPAN_NONE is "the caller did not say". Everything points into the body or the arena, and lives as long as the request.
 *  - Same dialect on both sides does not go through this form: the body passes by spans (dialect.h, pass_request). What is
 *    gathered here then serves the policy's features, the bounds of the cost, and the checks.
 *
 * Source: wire/translation sections 1 to 5. */
#ifndef TOLLGATE_GATEWAY_CHAT_H
#define TOLLGATE_GATEWAY_CHAT_H

#include "base/arena.h"
#include "base/span.h"

/* In the order of FEATURE_DIALECTS (policies/features.h). */
enum dialect_id {
    DIALECT_CHAT,              /* OpenAI Chat Completions, and every host compatible with it */
    DIALECT_RESPONSES,         /* OpenAI Responses */
    DIALECT_COMPLETIONS,       /* OpenAI's legacy Completions: passes to hosts of the OpenAI dialect, never translated */
    DIALECT_EMBEDDINGS,        /* likewise */
    DIALECT_ANTHROPIC,         /* Anthropic Messages */
    DIALECT_GEMINI,            /* Gemini generateContent */
    DIALECTS
};

/* Who issued an opaque text (a signature, encrypted reasoning): only models of the same family can read it. */
enum family { FAMILY_NONE, FAMILY_OPENAI, FAMILY_ANTHROPIC, FAMILY_GEMINI, FAMILY_DEEPSEEK };

enum tri { TRI_UNSET, TRI_NO, TRI_YES };

/* ---- turns and their items ---- */

enum chat_role {
    ROLE_SYSTEM,               /* instructions; those before the first other turn are *the* instructions */
    ROLE_USER,                 /* tool results too */
    ROLE_ASSISTANT,
};

enum item_kind {
    ITEM_TEXT,                 /* text */
    ITEM_REFUSAL,              /* text: an assistant's refusal in OpenAI's own member */
    ITEM_IMAGE, ITEM_AUDIO, ITEM_FILE,    /* media. FILE: PDFs and other documents */
    ITEM_CALL,                 /* call: the assistant calls a tool */
    ITEM_RESULT,               /* result: what the tool said */
    ITEM_REASONING,            /* reasoning: visible thinking, its signature, or an opaque block alone */
    ITEM_FOREIGN,              /* json: an item of its dialect alone (server tools...); written by that dialect, refused by others */
};

enum cache_mark { CACHE_NONE, CACHE_5M, CACHE_1H };

enum media_source { MEDIA_BYTES /* base64 */, MEDIA_URL, MEDIA_FILE_ID, MEDIA_TEXT /* a document given as plain text */ };

struct chat_media {
    enum media_source source;
    struct span type;          /* "image/png", "application/pdf", "audio/wav"; SPAN_NONE when only the URL knows */
    struct span data;          /* raw: base64, URL, id or text */
    struct span name_raw;      /* file name or title */
    struct span detail;        /* low, high, auto...: how closely to look at a picture */
};

/* Arguments stay as the caller wrote them, so that a long history of calls is neither copied nor read where it only passes:
 * chat_arguments gives the text. One of the two is SPAN_NONE. */
struct chat_call {
    struct span id, name;
    struct span arguments_raw;     /* C, R: the body of the string that holds the JSON text (with `custom`: the free text) */
    struct span arguments_json;    /* A, G: the JSON value as written */
    bool custom;                   /* OpenAI's custom tools */
};

struct chat_result {
    struct span id;            /* of the call */
    struct span name;          /* of the tool, where the dialect says it or the call is in the history */
    struct chat_item *parts, *last_part;    /* texts and media; NULL: empty */
    bool is_error;
    bool custom;
    struct span object_json;   /* Gemini's `response` as it came, when it was more than {output|error: text}; else SPAN_NONE */
};

struct chat_item {
    enum item_kind kind;
    enum cache_mark cache;     /* the prefix up to here is worth caching */
    struct span text;          /* raw. TEXT, REFUSAL; REASONING: the visible thinking (may be empty) */
    struct span opaque_raw;    /* signature, encrypted_content, thoughtSignature, redacted data; SPAN_NONE */
    enum family family;        /* who issued opaque_raw */
    bool redacted;             /* REASONING: there is nothing but opaque_raw */
    struct span id;            /* REASONING: its item id in Responses; SPAN_NONE */
    struct span json;          /* FOREIGN: the whole item. CALL: Gemini's part, when it came without a signature. TEXT: its citations or annotations when there are any */
    union {
        struct chat_media media;
        struct chat_call call;
        struct chat_result result;
    };
    struct chat_item *next;
};

struct chat_turn {
    enum chat_role role;
    bool developer;            /* SYSTEM: it was called `developer` */
    struct span name_raw;      /* a participant's name */
    struct chat_item *items, *last;
    struct chat_turn *next;
};

/* ---- tools ---- */

enum tool_kind {
    TOOL_FUNCTION,
    TOOL_CUSTOM,               /* takes free text; format_json may say which */
    TOOL_SERVER,               /* runs at the provider (web search...): json alone, for its own dialect */
};

struct chat_tool {
    enum tool_kind kind;
    struct span name;          /* SERVER: its type */
    struct span space, bare;   /* Responses: a function of a namespace, whose name above is both of them in one; else SPAN_NONE */
    struct span description_raw;
    struct span schema_json;   /* of the arguments; SPAN_NONE: it takes none */
    enum tri strict;
    struct span format_json;   /* CUSTOM */
    struct span json;          /* the whole tool as written */
    enum cache_mark cache;
};

enum tool_choice { CHOICE_UNSET, CHOICE_NONE, CHOICE_AUTO, CHOICE_ANY, CHOICE_NAMED, CHOICE_ALLOWED };

/* ---- the rest ---- */

enum chat_format { FORMAT_TEXT, FORMAT_JSON, FORMAT_SCHEMA };

enum effort {
    EFFORT_UNSET,              /* send nothing */
    EFFORT_OFF, EFFORT_MINIMAL, EFFORT_LOW, EFFORT_MEDIUM, EFFORT_HIGH, EFFORT_XHIGH, EFFORT_MAX,
    EFFORT_BUDGET,             /* budget tokens, as A and G count */
    EFFORT_DYNAMIC,            /* the model decides: A adaptive, G budget -1 */
};

/* A member of the caller's body that its dialect alone has, or that nobody knows. */
enum foreign_kind {
    FOREIGN_TUNES,             /* another dialect leaves it out with a warning */
    FOREIGN_MEANS,             /* another dialect refuses the request: it would answer something else */
    FOREIGN_SILENT,            /* left out without a word: it changes neither answer nor price */
};
struct chat_foreign {
    struct span name;          /* its path in the caller's spelling: "generationConfig.speechConfig" */
    enum foreign_kind kind;
    const char *code;          /* MEANS: of the fault, where it has one of its own; NULL: unsupported_parameter. Static */
    struct chat_foreign *next;
};

#define CHAT_TOOLS_MAX 512
#define CHAT_STOPS_MAX 16

struct chat {
    enum dialect_id dialect;
    struct span body;                  /* the text as it came, pre-scanned */
    struct span model;                 /* as asked, escapes undone */
    bool counting;                     /* a count is asked for, not an answer (count_tokens): what only an answer needs, such as
                                        * Anthropic's max_tokens, may be missing. Set before parse, like Gemini's model */
    bool stream;
    bool usage_asked;                  /* Chat: stream_options.include_usage. Elsewhere usage always comes */
    bool stream_array;                 /* Gemini without alt=sse: one JSON array, piece by piece */

    struct chat_turn *turns, *last_turn;
    struct chat_tool *tools;           /* [n_tools], TOOL_SERVER ones included */
    size_t n_tools;
    enum tool_choice choice;
    struct span *choice_names;         /* NAMED: one; ALLOWED: those */
    size_t n_choice_names;
    bool choice_any;                   /* ALLOWED: one of them must be called */
    enum tri parallel;                 /* several calls in one turn */

    int64_t max_tokens;                /* the caller's own cap on the answer, in whatever spelling; 0: none */
    int64_t n;                         /* choices, 1 when not said */
    struct span temperature_json, top_p_json, top_k_json, presence_json, frequency_json, seed_json, logit_bias_json;
    struct span stops_raw[CHAT_STOPS_MAX];
    size_t n_stops;
    bool logprobs;
    int64_t top_logprobs;              /* -1: not said */

    enum chat_format format;
    struct span schema_json, schema_name_raw, schema_description_raw;
    enum tri schema_strict;

    enum effort effort;
    int64_t budget;                    /* EFFORT_BUDGET */
    enum tri show_reasoning;           /* G includeThoughts, R reasoning.summary, A display; C: a header or DeepSeek's keys */
    struct span verbosity_raw;
    struct span user_raw;              /* an end user's id, in whatever spelling */
    struct span metadata_json;
    struct span service_tier;          /* as asked, escapes undone; SPAN_NONE */
    struct span cache_key_raw;         /* prompt_cache_key */
    struct chat_foreign *foreign, *last_foreign;

    /* Headers of the request that go on to a provider of the same dialect; copies. */
    struct span anthropic_version, anthropic_beta;

    /* Facts for features and bounds, counted by parse (chat_add_* count what they can). */
    size_t n_messages, n_user_turns;
    size_t text_bytes;                 /* of messages and of a response schema, as written (escapes only add); not of media */
    size_t audio_bytes;                /* of audio that is in the body, without its base64. 0 with n_audio: it does not show */
    size_t tool_bytes;                 /* of the tools, as written */
    size_t n_images, n_audio, n_files; /* parts that are no text */
    bool cache_5m, cache_1h;           /* marks of that life are in the prompt: a write premium may come */
    bool unbounded;                    /* parts of the prompt are not in the body (previous_response_id, file ids): its tokens
                                        * are bounded by the window alone */
    int64_t searches;                  /* of a server tool, at most; 0: none asked */

    /* For pass_request: private to the dialect that parsed. */
    void *places;
};

/* ---- building it: chat.c. All return NULL or false when the arena is full. ---- */

void chat_init(struct chat *chat, enum dialect_id dialect, struct span body);
struct chat_turn *chat_add_turn(struct chat *chat, struct arena *arena, enum chat_role role);
/* Zeroed but for its kind; counted among the chat's images, audio and files. */
struct chat_item *chat_add_item(struct chat *chat, struct chat_turn *turn, struct arena *arena, enum item_kind kind);
/* A part of a tool result, in order. */
struct chat_item *chat_add_part(struct chat *chat, struct chat_item *result, struct arena *arena, enum item_kind kind);
bool chat_add_foreign(struct chat *chat, struct arena *arena, struct span name, enum foreign_kind kind);

/* ---- reading it ---- */

const struct chat_tool *chat_find_tool(const struct chat *chat, struct span name);
/* The call that a result answers; NULL: an orphan. */
const struct chat_call *chat_find_call(const struct chat *chat, struct span id);
/* Is the history in order: each result has its call before it, each call is answered once, by one result, before the
 * next assistant turn? False: `fault` names the id. `field` is the caller's word for the place ("messages"). Results without
 * a name get that of their call. n log n. */
struct fault;
bool chat_check_results(struct chat *chat, const char *field, struct fault *fault);
/* The JSON text of a call's arguments (custom: the free text), escapes undone: in the arena when it has any. Empty when there
 * is none; SPAN_NONE without memory. */
struct span chat_arguments(const struct chat_call *call, struct arena *arena);
/* Is a call's argument text one JSON object (pre-scanned within the usual limits)? Empty text counts as {}, custom text as
 * right. */
bool chat_arguments_ok(const struct chat_call *call);
/* The unescaped text of a raw string: in the arena when it has escapes, else itself. SPAN_NONE without memory. */
struct span chat_text(struct arena *arena, struct span raw);
const char *family_name(enum family f);    /* "anthropic"; static */

#endif
