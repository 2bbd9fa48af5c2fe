/* dialect.c - the table of dialects, and what all of them share when they write for a provider. */
#include "gateway/dialects/dialect.h"

#include <stdio.h>

#include "gateway/dialects/anthropic.h"
#include "gateway/dialects/completions.h"
#include "gateway/dialects/embeddings.h"
#include "gateway/dialects/gemini.h"
#include "gateway/dialects/openai.h"
#include "gateway/dialects/responses.h"

const struct dialect *dialect_get(enum dialect_id id)
{
    static const struct dialect *const all[DIALECTS] = {
        [DIALECT_CHAT] = &openai_dialect,
        [DIALECT_RESPONSES] = &responses_dialect,
        [DIALECT_COMPLETIONS] = &completions_dialect,
        [DIALECT_EMBEDDINGS] = &embeddings_dialect,
        [DIALECT_ANTHROPIC] = &anthropic_dialect,
        [DIALECT_GEMINI] = &gemini_dialect,
    };

    return (unsigned)id < DIALECTS ? all[id] : NULL;
}

/* ---- notes ---- */

void notes_add(struct notes *n, const char *what, struct span field)
{
    const size_t used = strlen(n->text);
    const int more = snprintf(n->text + used, sizeof n->text - used, "%s%s=%.*s", used ? ", " : "", what, SPAN_FMT(field));

    n->n++;
    if (more < 0 || used + (size_t)more >= sizeof n->text)
        n->text[used] = '\0';
}

/* ---- foreign members ---- */

bool dialect_refuse(struct fault *f, const struct chat *chat, const struct dialect *to, const char *field, const char *why)
{
    static const char *const names[DIALECTS] = { "OpenAI Chat", "OpenAI Responses", "OpenAI Completions", "OpenAI Embeddings",
                                                 "Anthropic Messages", "Gemini" };

    return fault_bad(f, "unsupported_parameter", field, "'%s' cannot be translated from the %s dialect to %s: %s.", field,
                     names[chat->dialect], names[to->id], why);
}

bool dialect_check_foreign(const struct chat *chat, const struct dialect *to, struct fault *fault)
{
    for (const struct chat_foreign *f = chat->foreign; f; f = f->next) {
        char field[160];

        if (f->kind != FOREIGN_MEANS)
            continue;
        snprintf(field, sizeof field, "%.*s", SPAN_FMT(f->name));
        dialect_refuse(fault, chat, to, field, "it has no such thing, and without it the answer would mean something else");
        if (f->code)
            fault->code = f->code;
        return false;
    }
    return true;
}

void dialect_note_foreign(const struct chat *chat, struct notes *notes)
{
    for (const struct chat_foreign *f = chat->foreign; f; f = f->next)
        if (f->kind == FOREIGN_TUNES)
            notes_add(notes, "dropped", f->name);
}

int64_t target_cap(const struct chat *chat, const struct target *target)
{
    if (target->output_cap > 0 && (chat->max_tokens == 0 || target->output_cap < chat->max_tokens))
        return target->output_cap;
    return chat->max_tokens;
}

/* ---- tool names ---- */

static bool plain(struct span name, size_t most, bool letter_first, bool dots)
{
    if (name.n == 0 || name.n > most)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        const char c = name.p[i];
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        const bool more = (c >= '0' && c <= '9') || c == '-' || (dots && (c == '.' || c == ':'));

        if (!letter && (!more || (i == 0 && letter_first)))
            return false;
    }
    return true;
}

/* 32 bits of the name, so that names which differ only in what is replaced stay apart. */
static unsigned digest(struct span name)
{
    unsigned h = 2166136261u;    /* FNV-1a */

    for (size_t i = 0; i < name.n; i++)
        h = (h ^ (unsigned char)name.p[i]) * 16777619u;
    return h;
}

static struct span mangle(struct arena *arena, struct span name, size_t most)
{
    const size_t keep = most > 10 ? most - 10 : 0;
    char text[160];
    size_t n = 0;

    text[n++] = 'f';
    text[n++] = '_';
    for (size_t i = 0; i < name.n && n < keep && n < sizeof text - 16; i++) {
        const struct span one = { name.p + i, 1 };

        text[n++] = plain(one, 1, false, false) ? name.p[i] : '_';
    }
    return arena_printf(arena, "%.*s_%08x", (int)n, text, digest(name));
}

struct span names_out(struct names *names, struct arena *arena, struct span name, size_t most, bool letter_first, bool dots,
                      struct fault *fault)
{
    struct span theirs = name;

    for (size_t i = 0; i < names->n; i++)
        if (span_eq(names->list[i].ours, name))
            return names->list[i].theirs;
    if (!plain(name, most, letter_first, dots))
        theirs = mangle(arena, name, most);
    if (!theirs.p) {
        fault_set(fault, 503, "server_error", "overloaded", NULL, "The gateway is short of memory.");
        return SPAN_NONE;
    }
    for (size_t i = 0; i < names->n; i++)
        if (span_eq(names->list[i].theirs, theirs)) {
            fault_bad(fault, "invalid_value", "tools", "Two tools would have the same name '%.*s' at the provider.",
                      SPAN_FMT(theirs));
            return SPAN_NONE;
        }
    /* Full at 0, 16, 32, 64...: doubled each time, since the arena gives nothing back. */
    if (names->n == 0 || (names->n >= 16 && (names->n & (names->n - 1)) == 0)) {
        void *more = arena_zalloc_array(arena, names->n ? 2 * names->n : 16, sizeof names->list[0], _Alignof(struct span));

        if (!more) {
            fault_set(fault, 503, "server_error", "overloaded", NULL, "The gateway is short of memory.");
            return SPAN_NONE;
        }
        if (names->n)
            memcpy(more, names->list, names->n * sizeof names->list[0]);
        names->list = more;
    }
    names->list[names->n].ours = name;
    names->list[names->n].wrapped = false;
    names->list[names->n++].theirs = theirs;
    return theirs;
}

struct span names_back(const struct names *names, struct span theirs)
{
    for (size_t i = 0; names && i < names->n; i++)
        if (span_eq(names->list[i].theirs, theirs))
            return names->list[i].ours;
    return theirs;
}

void names_wrap(struct names *names, struct span ours)
{
    for (size_t i = 0; i < names->n; i++)
        if (span_eq(names->list[i].ours, ours))
            names->list[i].wrapped = true;
}

bool names_wrapped(const struct names *names, struct span theirs)
{
    for (size_t i = 0; names && i < names->n; i++)
        if (names->list[i].wrapped && span_eq(names->list[i].theirs, theirs))
            return true;
    return false;
}
