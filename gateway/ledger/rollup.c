/* rollup.c - sums a batch in a small hash table, then adds it to three rows each.
 *
 * Owns the table and its statement. Does not decide what a bucket means to a report (report.c). */
#include "gateway/ledger/rollup.h"

#include <jansson.h>
#include <stdlib.h>

#include "gateway/ledger/db.h"
#include "gateway/ledger/utc.h"

struct cell {
    int64_t hour;                  /* first ms */
    struct span dimension, value, model;
    char *tag;                     /* owned copy behind dimension and value when they come from tags; NULL */
    int64_t requests, attempts, input, cache_read, cache_write, output, cost_nano;
};

struct rollup {
    sqlite3 *db;
    sqlite3_stmt *add, *new;
    struct cell *cells;
    size_t n, room;
    uint32_t *slots;               /* cell index + 1; twice as many as `room` */
};

/* Nearly always the row is there: to change it takes 1.2 us, to insert it and meet the conflict 1.5. */
static const char add_sql[] =
    "UPDATE rollups SET requests = requests + ?6, attempts = attempts + ?7, input = input + ?8, cache_read = cache_read + ?9,"
    " cache_write = cache_write + ?10, output = output + ?11, cost_nano = cost_nano + ?12"
    " WHERE grain = ?1 AND dimension = ?2 AND bucket = ?3 AND value = ?4 AND model = ?5";
static const char new_sql[] =
    "INSERT INTO rollups (grain, dimension, bucket, value, model, requests, attempts, input, cache_read, cache_write, output,"
    " cost_nano) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

struct rollup *rollup_new(sqlite3 *db)
{
    struct rollup *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->db = db;
    r->add = db_prepare(db, add_sql, NULL);
    r->new = db_prepare(db, new_sql, NULL);
    if (r->add && r->new)
        return r;
    rollup_free(r);
    return NULL;
}

void rollup_free(struct rollup *r)
{
    if (!r)
        return;
    rollup_clear(r);
    sqlite3_finalize(r->add);
    sqlite3_finalize(r->new);
    free(r->cells);
    free(r->slots);
    free(r);
}

void rollup_clear(struct rollup *r)
{
    for (size_t i = 0; i < r->n; i++)
        free(r->cells[i].tag);
    r->n = 0;
    if (r->slots)
        memset(r->slots, 0, r->room * 2 * sizeof *r->slots);
}

static size_t hash_span(size_t h, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (uint8_t)s.p[i]) * 16777619u;
    return h ^ s.n;
}

static size_t hash_of(int64_t hour, struct span dimension, struct span value, struct span model)
{
    return hash_span(hash_span(hash_span(2166136261u ^ (size_t)hour, dimension), value), model);
}

static bool grow(struct rollup *r)
{
    size_t room = r->room ? r->room * 2 : 64;
    struct cell *cells = realloc(r->cells, room * sizeof *cells);
    uint32_t *slots;

    if (!cells)
        return false;
    r->cells = cells;
    slots = calloc(room * 2, sizeof *slots);
    if (!slots)
        return false;
    free(r->slots);
    r->slots = slots;
    r->room = room;
    for (size_t i = 0; i < r->n; i++) {
        size_t at = hash_of(cells[i].hour, cells[i].dimension, cells[i].value, cells[i].model) & (room * 2 - 1);

        while (slots[at])
            at = (at + 1) & (room * 2 - 1);
        slots[at] = (uint32_t)i + 1;
    }
    return true;
}

/* The cell, zeroed when it is new; NULL without memory. */
static struct cell *cell_of(struct rollup *r, int64_t hour, struct span dimension, struct span value, struct span model)
{
    size_t at;

    if (r->n == r->room && !grow(r))
        return NULL;
    at = hash_of(hour, dimension, value, model) & (r->room * 2 - 1);
    for (; r->slots[at]; at = (at + 1) & (r->room * 2 - 1)) {
        struct cell *c = &r->cells[r->slots[at] - 1];

        if (c->hour == hour && span_eq(c->dimension, dimension) && span_eq(c->value, value) && span_eq(c->model, model))
            return c;
    }
    r->slots[at] = (uint32_t)++r->n;
    r->cells[r->n - 1] = (struct cell){ .hour = hour, .dimension = dimension, .value = value, .model = model };
    return &r->cells[r->n - 1];
}

static void cell_add(struct cell *c, const struct cell *sum)
{
    c->requests += sum->requests;
    c->attempts += sum->attempts;
    c->input += sum->input;
    c->cache_read += sum->cache_read;
    c->cache_write += sum->cache_write;
    c->output += sum->output;
    c->cost_nano += sum->cost_nano;
}

/* The cell of a tag; its texts are copied, for the tree that they come from is freed at once. */
static struct cell *tag_cell(struct rollup *r, int64_t hour, const char *name, const json_t *value, struct span model)
{
    size_t name_n = strlen(name), value_n = json_string_length(value);
    char *copy = malloc(4 + name_n + value_n + 1);
    struct cell *c;

    if (!copy)
        return NULL;
    memcpy(copy, "tag:", 4);
    memcpy(copy + 4, name, name_n);
    memcpy(copy + 4 + name_n, json_string_value(value), value_n);
    c = cell_of(r, hour, (struct span){ copy, 4 + name_n }, (struct span){ copy + 4 + name_n, value_n }, model);
    if (c && c->dimension.p == copy)
        c->tag = copy;
    else
        free(copy);
    return c;
}

static bool add_tags(struct rollup *r, struct span tags, int64_t hour, struct span model, const struct cell *sum)
{
    json_t *tree, *value;
    const char *name;
    bool ok = true;

    if (tags.n <= 2)               /* "" or {} */
        return true;
    tree = json_loadb(tags.p, tags.n, JSON_ALLOW_NUL, NULL);
    json_object_foreach(tree, name, value) {
        struct cell *c = json_is_string(value) ? tag_cell(r, hour, name, value, model) : NULL;

        ok = ok && (c || !json_is_string(value));
        if (c)
            cell_add(c, sum);
    }
    json_decref(tree);
    return ok;
}

/* `sum` into every dimension that the request has. */
static bool add_all(struct rollup *r, const struct row_request *q, int64_t at_ms, struct span provider, struct span model,
                    const struct cell *sum)
{
    const struct { struct span dimension, value; } dims[] = {
        { SPAN_LIT("all"), SPAN_NONE },      { SPAN_LIT("team"), q->team },         { SPAN_LIT("key"), q->key_id },
        { SPAN_LIT("route"), q->route },     { SPAN_LIT("provider"), provider },
    };
    int64_t hour = utc_floor(at_ms, UTC_HOUR_MS);

    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        struct cell *c = cell_of(r, hour, dims[i].dimension, dims[i].value, model);

        if (!c)
            return false;
        cell_add(c, sum);
    }
    return add_tags(r, q->tags, hour, model, sum);
}

bool rollup_add_attempt(struct rollup *r, const struct row_request *q, const struct row_attempt *a)
{
    const struct cell sum = {
        .attempts = 1,
        .input = a->usage.input,
        .cache_read = a->usage.cache_read,
        .cache_write = a->usage.cache_write_5m + a->usage.cache_write_1h,
        .output = a->usage.output,
        .cost_nano = a->cost_nano,
    };

    return add_all(r, q, a->started_ms, a->provider, a->model, &sum);
}

bool rollup_add_request(struct rollup *r, const struct row_request *q)
{
    const struct cell sum = { .requests = 1 };

    return add_all(r, q, q->at_ms, q->provider, q->model, &sum);
}

static int run(sqlite3_stmt *st, const struct cell *c, struct span grain, int64_t bucket)
{
    int rc;

    db_bind_span(st, 1, grain);
    db_bind_span(st, 2, c->dimension);
    sqlite3_bind_int64(st, 3, bucket);
    db_bind_span(st, 4, c->value);
    db_bind_span(st, 5, c->model);
    sqlite3_bind_int64(st, 6, c->requests);
    sqlite3_bind_int64(st, 7, c->attempts);
    sqlite3_bind_int64(st, 8, c->input);
    sqlite3_bind_int64(st, 9, c->cache_read);
    sqlite3_bind_int64(st, 10, c->cache_write);
    sqlite3_bind_int64(st, 11, c->output);
    sqlite3_bind_int64(st, 12, c->cost_nano);
    rc = sqlite3_step(st);
    sqlite3_reset(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int put(struct rollup *r, const struct cell *c, struct span grain, int64_t bucket)
{
    int rc = run(r->add, c, grain, bucket);

    return rc == SQLITE_OK && !sqlite3_changes(r->db) ? run(r->new, c, grain, bucket) : rc;
}

int rollup_flush(struct rollup *r)
{
    int rc = SQLITE_OK;

    for (size_t i = 0; i < r->n && rc == SQLITE_OK; i++) {
        const struct cell *c = &r->cells[i];

        rc = put(r, c, SPAN_LIT("hour"), c->hour);
        if (rc == SQLITE_OK)
            rc = put(r, c, SPAN_LIT("day"), utc_floor(c->hour, UTC_DAY_MS));
        if (rc == SQLITE_OK)
            rc = put(r, c, SPAN_LIT("month"), utc_month_start(c->hour));
    }
    sqlite3_clear_bindings(r->add);
    sqlite3_clear_bindings(r->new);
    return rc;
}

int rollup_prune(sqlite3 *db, int64_t now_ms)
{
    sqlite3_stmt *st = db_prepare(db, "DELETE FROM rollups WHERE grain = 'hour' AND bucket < ?1", NULL);
    int rc = SQLITE_NOMEM;

    if (!st)
        return rc;
    sqlite3_bind_int64(st, 1, utc_floor(now_ms, UTC_HOUR_MS) - ROLLUP_HOURS_MS);
    rc = sqlite3_step(st);
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}
