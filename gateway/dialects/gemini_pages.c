/* gemini_pages.c - the small documents of the Gemini dialect: lists of models, counts (wire/gemini-generate sections 9, 12). */
#include "base/jwrite.h"
#include "gateway/dialects/gemini.h"

#define PAGE_MODELS_MAX 1000u    /* Google's own bound */

void gemini_write_model(const struct gemini_model *m, struct buf *out)
{
    struct buf name;

    buf_init(&name, 4096);
    buf_add_str(&name, "models/");
    buf_add_span(&name, m->name);
    jw_object(out, NULL);
    jw_string(out, "name", buf_span(&name));
    jw_string(out, "version", SPAN_LIT("1"));
    jw_string(out, "displayName", m->title.n ? m->title : m->name);
    if (m->context > 0)
        jw_int(out, "inputTokenLimit", m->context);
    if (m->max_output > 0)
        jw_int(out, "outputTokenLimit", m->max_output);
    jw_json(out, "supportedGenerationMethods", SPAN_LIT("[\"generateContent\",\"countTokens\"]"));
    jw_close(out, '}');
    buf_free(&name);
}

bool gemini_write_models(const struct gemini_model *models, size_t n, const struct gemini_page *page, struct buf *out)
{
    const size_t most = page->size <= 0 ? n : page->size < PAGE_MODELS_MAX ? (size_t)page->size : PAGE_MODELS_MAX;
    size_t from = 0, to;

    if (page->token.n) {
        while (from < n && !span_eq(models[from].name, page->token))
            from++;
        if (from++ == n)
            return false;
    }
    to = n - from < most ? n : from + most;
    jw_object(out, NULL);
    jw_array(out, "models");
    for (size_t i = from; i < to; i++)
        gemini_write_model(&models[i], out);
    jw_close(out, ']');
    if (to < n)
        jw_string(out, "nextPageToken", models[to - 1].name);
    jw_close(out, '}');
    return true;
}

void gemini_write_count(int64_t tokens, struct buf *out)
{
    jw_object(out, NULL);
    jw_int(out, "totalTokens", tokens);
    jw_close(out, '}');
}
