-- ledger-001.sql - the ledger's tables (DESIGN section 8). Run whole in one transaction; never edited once released:
-- a change is a further file. Times are UTC milliseconds since 1970, money is nano-dollars (1e-9 USD).
--
-- Rows of requests, attempts and reservations lie in the order of their ids, which carry their time: the tables are
-- their own index by time and grow at their end. They hold no prompts and no answers.
--
-- Checks of text are chains of OR: a list of three in IN (...) makes SQLite build a table for each row that is written.

CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value ANY
) STRICT, WITHOUT ROWID;

CREATE TABLE requests (
    id            TEXT    NOT NULL PRIMARY KEY,       -- what x-tollgate-request-id says
    at_ms         INTEGER NOT NULL,                   -- when its head was read
    key_id        TEXT    NOT NULL,
    team          TEXT    NOT NULL,
    route         TEXT    NOT NULL,
    dialect       TEXT    NOT NULL,
    model_asked   TEXT    NOT NULL,
    model         TEXT    NOT NULL,                   -- what answered, without its provider; '' when nothing did
    provider      TEXT    NOT NULL,
    stream        INTEGER NOT NULL CHECK (stream IN (0, 1)),
    status        INTEGER,                            -- what the caller got; NULL while it is under way
    attempts      INTEGER NOT NULL CHECK (attempts >= 0),
    cost_nano     INTEGER NOT NULL CHECK (cost_nano >= 0),
    first_byte_ms INTEGER,                            -- after at_ms
    total_ms      INTEGER,                            -- after at_ms
    tags          TEXT    NOT NULL,                   -- JSON: {"project":"x"}
    session       TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- What a killed process leaves behind is found here, not by reading the table.
CREATE INDEX requests_under_way ON requests (id) WHERE status IS NULL;

CREATE TABLE attempts (
    request_id     TEXT    NOT NULL,
    n              INTEGER NOT NULL CHECK (n >= 1),
    provider       TEXT    NOT NULL,
    model          TEXT    NOT NULL,
    model_returned TEXT    NOT NULL,
    started_ms     INTEGER NOT NULL,                  -- when its reservation was made: decides window and bucket
    ended_ms       INTEGER NOT NULL,
    status         INTEGER NOT NULL,                  -- of the provider's answer; 0: there was none
    verdict        TEXT    NOT NULL,
    input          INTEGER NOT NULL CHECK (input >= 0),
    cache_read     INTEGER NOT NULL CHECK (cache_read >= 0),
    cache_write_5m INTEGER NOT NULL CHECK (cache_write_5m >= 0),
    cache_write_1h INTEGER NOT NULL CHECK (cache_write_1h >= 0),
    output         INTEGER NOT NULL CHECK (output >= 0),
    reasoning      INTEGER NOT NULL CHECK (reasoning >= 0),
    extras         TEXT    NOT NULL,                  -- JSON: what else the price depends on
    usage_source   TEXT    NOT NULL CHECK (usage_source = 'reported' OR usage_source = 'partial' OR usage_source = 'estimated'),
    price_version  TEXT    NOT NULL,                  -- "<book's digest, 16 digits>@<from>"
    priced_ms      INTEGER NOT NULL,                  -- the moment it was priced at
    cost_nano      INTEGER NOT NULL CHECK (cost_nano >= 0),
    over_reserved  INTEGER NOT NULL CHECK (over_reserved IN (0, 1)),    -- reported above what was held
    PRIMARY KEY (request_id, n)
) STRICT, WITHOUT ROWID;

CREATE INDEX attempts_started ON attempts (started_ms);

CREATE TABLE reservations (
    request_id  TEXT    NOT NULL,
    n           INTEGER NOT NULL CHECK (n >= 1),
    scope       TEXT    NOT NULL,                     -- 'team:NAME', 'key:ID', or 'none': no budget, the crash record
    amount_nano INTEGER NOT NULL CHECK (amount_nano >= 0),
    state       TEXT    NOT NULL CHECK (state = 'open' OR state = 'settled' OR state = 'released' OR state = 'estimated'),
    opened_ms   INTEGER NOT NULL,
    closed_ms   INTEGER,
    bound       TEXT,                                 -- JSON: the attempt at its upper bound; NULL once closed
    PRIMARY KEY (request_id, n, scope)
) STRICT, WITHOUT ROWID;

CREATE TABLE teams (
    name       TEXT    NOT NULL PRIMARY KEY,
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    id         TEXT    NOT NULL PRIMARY KEY,
    team       TEXT    NOT NULL REFERENCES teams (name),
    name       TEXT    NOT NULL,
    digest     BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),    -- SHA-256; the key itself is nowhere
    created_ms INTEGER NOT NULL,
    rotated_ms INTEGER,
    revoked_ms INTEGER
) STRICT, WITHOUT ROWID;

-- A name may be used again once its key is revoked.
CREATE UNIQUE INDEX keys_named ON keys (team, name) WHERE revoked_ms IS NULL;

CREATE TABLE budgets (
    scope      TEXT    NOT NULL,                      -- 'team:NAME' or 'key:ID'
    period     TEXT    NOT NULL CHECK (period IN ('day', 'week', 'month', 'total')),
    limit_nano INTEGER NOT NULL CHECK (limit_nano >= 0),
    zone       TEXT    NOT NULL CHECK (zone = 'UTC'),
    set_ms     INTEGER NOT NULL,
    PRIMARY KEY (scope, period)
) STRICT, WITHOUT ROWID;

-- Every price book that was ever in use, whole, so that each row can be computed again.
CREATE TABLE prices (
    digest  TEXT    NOT NULL PRIMARY KEY CHECK (length(digest) = 64),  -- SHA-256 of the text
    used_ms INTEGER NOT NULL,                         -- first time
    text    TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- Marginals, summed in the transaction that writes the rows. Attempts count in the bucket of their started_ms,
-- requests in that of their at_ms, under the model that answered.
CREATE TABLE rollups (
    grain          TEXT    NOT NULL CHECK (grain = 'hour' OR grain = 'day' OR grain = 'month'),
    bucket         INTEGER NOT NULL,                  -- its first millisecond, UTC
    dimension      TEXT    NOT NULL,                  -- 'all', 'team', 'key', 'route', 'provider', 'tag:NAME'
    value          TEXT    NOT NULL,                  -- of the dimension; '' for 'all'
    model          TEXT    NOT NULL,
    requests       INTEGER NOT NULL,
    attempts       INTEGER NOT NULL,
    input          INTEGER NOT NULL,
    cache_read     INTEGER NOT NULL,
    cache_write    INTEGER NOT NULL,                  -- of both lives
    output         INTEGER NOT NULL,
    cost_nano      INTEGER NOT NULL,
    PRIMARY KEY (grain, bucket, dimension, value, model)    -- all that a commit adds to lies in three places
) STRICT, WITHOUT ROWID;

CREATE VIEW costs_daily AS
    SELECT date(bucket / 1000, 'unixepoch') AS day, value AS provider, model, requests, attempts,
           input, cache_read, cache_write, output, cost_nano
      FROM rollups WHERE grain = 'day' AND dimension = 'provider';

-- Requests that took more than one attempt: where they began, why that did not do, where they ended.
CREATE VIEW escalations AS
    SELECT r.id AS request_id, r.at_ms, r.team, r.route, r.attempts, f.provider AS first_provider, f.model AS first_model,
           f.verdict AS first_verdict, r.provider, r.model, r.status, f.cost_nano AS first_cost_nano, r.cost_nano
      FROM requests r JOIN attempts f ON f.request_id = r.id AND f.n = 1
     WHERE r.attempts > 1;
