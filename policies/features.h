/* features.h - what a policy may look at: hard facts that the gateway knows, soft scores read from the text.
 *
 * The gateway clears the struct with features_init, fills in the facts from head, key and body, feeds the text that
 * the user wrote to features_text piece by piece, and closes with features_finish. Spans and arrays are borrowed and
 * live as long as the request. Nothing here allocates. The scores are cheap and crude on purpose (one pass, no
 * patterns): a person can see them with `tollgate explain`, test them, and override them by header or tag. */
#ifndef TOLLGATE_POLICIES_FEATURES_H
#define TOLLGATE_POLICIES_FEATURES_H

#include "base/http1.h"
#include "base/span.h"
#include "pricing/estimate.h"

/* Callers' dialects as a policy's `dialect` atom and the ledger's column spell them. */
#define FEATURE_DIALECTS "openai", "responses", "completions", "embeddings", "anthropic", "gemini"

/* What `{"feature": NAME, "at_least" | "at_most" | "is": X}` may name; feature_name gives the spelling. */
enum feature {
    FEATURE_PROMPT_TOKENS,         /* the gateway's best estimate of the whole prompt */
    FEATURE_MAX_TOKENS,            /* the cap that the caller asked for, 0 when none */
    FEATURE_TURNS,                 /* messages of the user */
    FEATURE_MESSAGES,              /* messages of all roles */
    FEATURE_TOOLS,                 /* tools offered */
    FEATURE_IMAGES,                /* pictures in the prompt */
    FEATURE_JSON_MODE,             /* 1 when JSON or a JSON schema is asked for */
    FEATURE_STREAM,                /* 1 when the answer is to be streamed */
    FEATURE_FILES,                 /* distinct file names, attachments and fenced blocks without a name */
    FEATURE_CODE,                  /* 0..1: how much of the text is program code */
    FEATURE_MATH,                  /* 0..1: how much of it is mathematics */
    FEATURE_COUNT
};

struct feature_tag { struct span name, value; };    /* of x-tollgate-tag: name=value */

/* What was asked for, as far as a check on the answer must know it. */
struct asked {
    bool json;                     /* response_format json_object or json_schema */
    struct span schema;            /* the JSON Schema that the answer shall fit, scanned; SPAN_NONE: none */
    const struct span *tools;      /* names of the tools offered, unescaped */
    const struct span *tool_schemas;    /* of their arguments, likewise; SPAN_NONE: not said. NULL: of none */
    size_t n_tools;
    int64_t max_tokens;            /* the caller's own cap on the answer, 0 when none was named */
    bool stops;                    /* the caller named stop sequences: an answer may end anywhere */
};

#define FEATURE_FILES_MAX 64       /* distinct names told apart; more count as this many */
#define FEATURE_TEXT_MAX 131072    /* bytes of text looked at; the rest changes no score */

/* Running counts of features_text; private. */
struct feature_scan {
    uint64_t bytes, words;
    uint64_t code_bytes;           /* of lines that are code */
    uint64_t math_weight;          /* in halves */
    uint32_t files[FEATURE_FILES_MAX];    /* digests of names */
    uint32_t n_files, n_unnamed;   /* unnamed: attachments and fenced blocks without a name */
    bool file_on_last_line;        /* names the fenced block that follows it */
};

struct features {
    struct span dialect;           /* one of FEATURE_DIALECTS */
    struct span model;             /* as the caller asked; empty counts as "auto" */
    struct span route_asked;       /* x-tollgate-route; SPAN_NONE when absent */
    struct span team;              /* of the key; SPAN_NONE with "auth": "none" */
    struct span key;               /* the key's name */
    const struct http1_header *headers;
    size_t n_headers;
    const struct feature_tag *tags;
    size_t n_tags;
    unsigned modalities;           /* what the prompt holds: bits of enum book_modality, BOOK_TEXT included */
    struct asked asked;
    bool stream;
    struct estimate_parts parts;   /* of the prompt: each model's bounds on its tokens follow from it */
    /* What else the worst case of an attempt depends on (struct price_bounds). */
    int64_t choices;               /* `n`; 0 counts as 1 */
    int64_t searches;
    struct span service_tier;      /* as asked */
    bool cache_5m, cache_1h;       /* cache marks of that life are in the prompt */
    int64_t max_cost_nano;         /* x-tollgate-max-cost-usd; -1 when absent */
    int64_t deadline_ms;           /* x-tollgate-deadline-ms, from the arrival; -1 when absent */
    double value[FEATURE_COUNT];   /* turns is the gateway's; features_finish fills in the rest */
    struct feature_scan scan;
};

void features_init(struct features *f);
/* One piece of text that the user wrote: a whole content string or text part, unescaped. Linear, about 3 ns a
 * byte (measured). */
void features_text(struct features *f, struct span text);
/* A file or picture that the user attached under this name (empty: without one). */
void features_file(struct features *f, struct span name);
/* Computes the scores and the facts that follow from other fields. Call it once, last. */
void features_finish(struct features *f);

/* "prompt_tokens", ...; FEATURE_COUNT when there is no such feature. */
const char *feature_name(enum feature id);
enum feature feature_find(struct span name);
/* "image" of BOOK_IMAGE, for one bit; book_modality is the way back. */
const char *feature_modality_name(unsigned bit);

#endif
