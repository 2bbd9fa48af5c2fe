/* estimate.h - bytes -> bounds on prompt tokens, before anybody has counted them.
 *
 * Upper bound, for reservations. A byte-level BPE (all models in the book) never makes more tokens than the text has
 * bytes, so tokens <= bytes, plus what the chat template puts around it. Template text is the provider's and not
 * published everywhere: the constants below are generous assumptions. What a provider reports above the bound is
 * charged as reported and flagged (DESIGN section 5). The bound is never above the model's context: a longer prompt is refused
 * upstream.
 * Typical estimate, for features and display: a token is four bytes.
 * Exact integer arithmetic, rounded up; saturates, never overflows. Pure. */
#ifndef TOLLGATE_PRICING_ESTIMATE_H
#define TOLLGATE_PRICING_ESTIMATE_H

#include "pricing/book.h"

#define ESTIMATE_REQUEST_TOKENS 512     /* begin marks, the assistant's opening, a provider's own tool preamble
                                         * (Anthropic documents up to 346) */
#define ESTIMATE_MESSAGE_TOKENS 16      /* role marks and separators around one message or tool result */
#define ESTIMATE_TOOL_TOKENS 64         /* marks around one tool definition */
#define ESTIMATE_TOOL_BYTES 3           /* a tool's JSON may be written anew with blanks and \u escapes: x3 at most */
#define ESTIMATE_IMAGE_TOKENS 16384     /* one image, any size; far above the documented maxima */
#define ESTIMATE_AUDIO_BYTES 25         /* of audio as it is sent, for one token. Models make 10 (OpenAI) to 32 tokens (Gemini) of a
                                         * second; the thriftiest coding in use, MP3 and Opus at 8 kbit/s, has 1000 bytes in
                                         * it, so 31 bytes a token; usual ones have a hundred times that */
#define ESTIMATE_BYTES_A_TOKEN 4
#define ESTIMATE_TYPICAL_MESSAGE 4
#define ESTIMATE_TYPICAL_IMAGE 1024
#define ESTIMATE_TYPICAL_AUDIO 500      /* bytes a token: MP3 at 128 kbit/s */

struct estimate_parts {
    int64_t text_bytes;      /* UTF-8 after JSON unescaping: all roles, tool calls and results, names, schemas of
                              * response_format; not tools, not inline media */
    int64_t tool_bytes;      /* of the tools array as sent */
    int64_t messages;        /* messages and tool results */
    int64_t tools;
    int64_t images;          /* inline or by URL */
    int64_t audio_bytes;     /* inline, without its base64 */
    bool unbounded;          /* audio by name, video, files, or history kept upstream: anything whose tokens do not show */
};

int64_t estimate_prompt_upper(const struct book_model *m, const struct estimate_parts *p);
int64_t estimate_prompt_typical(const struct book_model *m, const struct estimate_parts *p);
/* The most tokens that one choice may have: `asked` (<= 0: the caller named none), at most the model's max_output. */
int64_t estimate_output_upper(const struct book_model *m, int64_t asked);

#endif
