-- The first version of a ledger. Braces stand for the name of its schema.
--
-- Instants are microseconds since the Unix epoch; the views show them as timestamps. Texts are
-- compared by their bytes. Version is what the last write of a row left there: no two writes leave
-- the same.

CREATE TABLE {ledger}.schema_version (version integer NOT NULL, migrated_at timestamptz NOT NULL);

-- An account of everybody changes with every batch: its page has room for the next version of it,
-- so that no index changes, and old versions go when the page is read.
CREATE TABLE {ledger}.accounts (
    scope text COLLATE "C" NOT NULL,
    unit text COLLATE "C" NOT NULL,
    period text COLLATE "C" NOT NULL,
    start_us bigint NOT NULL,
    "limit" bigint,
    settled bigint NOT NULL,
    held bigint NOT NULL,
    carried bigint NOT NULL,
    version text COLLATE "C" NOT NULL,
    PRIMARY KEY (scope, unit, period, start_us)
) WITH (
    fillfactor = 50, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.1,
    autovacuum_vacuum_cost_delay = 0
);

CREATE TABLE {ledger}.rates (
    scope text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    mark_us bigint NOT NULL,
    count bigint NOT NULL,
    version text COLLATE "C" NOT NULL,
    PRIMARY KEY (scope, name)
) WITH (
    fillfactor = 50, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.1,
    autovacuum_vacuum_cost_delay = 0
);

-- Open calls. All rows leave soon, so the table is small, and is vacuumed often.
CREATE TABLE {ledger}.holds (
    id text COLLATE "C" PRIMARY KEY,
    request_id text NOT NULL,
    principal text NOT NULL,
    profile text NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    state text NOT NULL,
    outcome text,
    created_at_us bigint NOT NULL,
    expires_at_us bigint NOT NULL,
    closed_at_us bigint,
    output_cap_tokens bigint NOT NULL,
    input_tokens bigint,
    output_tokens bigint,
    cached_input_tokens bigint,
    cache_write_tokens bigint,
    reasoning_tokens bigint,
    cost_nano_usd bigint,
    estimated boolean NOT NULL,
    lines jsonb NOT NULL,
    version text COLLATE "C" NOT NULL
) WITH (
    autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX holds_by_expiry ON {ledger}.holds (expires_at_us);

-- Closed calls, with the same columns.
CREATE TABLE {ledger}.journal (LIKE {ledger}.holds, PRIMARY KEY (id));
CREATE INDEX journal_by_closing ON {ledger}.journal (closed_at_us);
CREATE INDEX journal_by_creation ON {ledger}.journal (created_at_us);

CREATE VIEW {ledger}.calls AS
SELECT
    to_timestamp(created_at_us / 1e6) AS created_at, to_timestamp(closed_at_us / 1e6) AS closed_at,
    principal, profile, provider, model, state, outcome, input_tokens, output_tokens,
    cost_nano_usd / 1e9 AS cost_usd, estimated, request_id, id
FROM (SELECT * FROM {ledger}.journal UNION ALL SELECT * FROM {ledger}.holds) AS call;

CREATE VIEW {ledger}.balances AS
SELECT
    scope, unit, period, to_timestamp(start_us / 1e6) AS "start", "limit", settled, held,
    greatest(0, "limit"::numeric - settled - held) AS remaining
FROM {ledger}.accounts;

-- Rows as the JSON of the values that they are in a program.
CREATE FUNCTION {ledger}.account_json({ledger}.accounts) RETURNS json
LANGUAGE sql IMMUTABLE RETURN json_build_object(
    'key', json_build_object(
        'scope', $1.scope, 'unit', $1.unit, 'period', $1.period, 'start', $1.start_us
    ),
    'limit', $1."limit", 'settled', $1.settled, 'held', $1.held, 'carried', $1.carried
);

CREATE FUNCTION {ledger}.hold_json({ledger}.holds) RETURNS json
LANGUAGE sql IMMUTABLE RETURN json_build_object(
    'id', $1.id, 'request_id', $1.request_id, 'principal', $1.principal, 'profile', $1.profile,
    'provider', $1.provider, 'model', $1.model, 'lines', $1.lines,
    'output_cap', $1.output_cap_tokens, 'created_at', $1.created_at_us,
    'expires_at', $1.expires_at_us, 'state', $1.state, 'closed_at', $1.closed_at_us,
    'usage', CASE WHEN $1.input_tokens IS NOT NULL THEN json_build_object(
        'input_tokens', $1.input_tokens, 'output_tokens', $1.output_tokens,
        'cached_input_tokens', $1.cached_input_tokens,
        'cache_write_tokens', $1.cache_write_tokens, 'reasoning_tokens', $1.reasoning_tokens
    ) END,
    'cost_nano_usd', $1.cost_nano_usd, 'estimated', $1.estimated, 'outcome', $1.outcome
);

CREATE FUNCTION {ledger}.as_hold({ledger}.journal) RETURNS {ledger}.holds
LANGUAGE sql IMMUTABLE RETURN ROW($1.*)::{ledger}.holds;
