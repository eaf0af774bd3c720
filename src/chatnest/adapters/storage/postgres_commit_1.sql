-- What a ledger asks of its server: the rows at some keys, and a compare-and-set of such rows.

-- A row that a commit names: the version that is expected of it, what is done with it, and its
-- values if it is written.
CREATE TYPE {ledger}.named_account AS (
    scope text COLLATE "C", unit text COLLATE "C", period text COLLATE "C", start_us bigint,
    expected text, action text, "limit" bigint, settled bigint, held bigint, carried bigint
);
CREATE TYPE {ledger}.named_rate AS (
    scope text COLLATE "C", name text COLLATE "C",
    expected text, action text, mark_us bigint, count bigint
);

-- The rows at the given keys that there are, each with its version, all as of one instant.
CREATE FUNCTION {ledger}.current_rows(accounts json, rates json, hold_ids text[]) RETURNS json
LANGUAGE sql STABLE AS $$
SELECT json_build_object(
    'accounts', (
        SELECT coalesce(json_agg(json_build_array({ledger}.account_json(stored), version)), '[]')
        FROM json_populate_recordset(NULL::{ledger}.named_account, accounts) AS named
        JOIN {ledger}.accounts AS stored USING (scope, unit, period, start_us)
    ),
    'rates', (
        SELECT coalesce(json_agg(json_build_array(
            json_build_object('scope', scope, 'name', name),
            json_build_object('mark', stored.mark_us, 'count', stored.count),
            version
        )), '[]')
        FROM json_populate_recordset(NULL::{ledger}.named_rate, rates) AS named
        JOIN {ledger}.rates AS stored USING (scope, name)
    ),
    'holds', (
        SELECT coalesce(json_agg(json_build_array({ledger}.hold_json(call), version)), '[]')
        FROM unnest(hold_ids) AS named (id)
        CROSS JOIN LATERAL (
            SELECT holds AS call, version FROM {ledger}.holds WHERE holds.id = named.id
            UNION ALL
            SELECT {ledger}.as_hold(journal), version
            FROM {ledger}.journal WHERE journal.id = named.id
        ) AS stored
    )
)
$$;

-- Writes rows if each named one has the version that is expected of it, or is missing where none
-- is. Returns NULL; or, where it is not so, the current rows, and then nothing is written.
--
-- expected_rows is how many of the named rows there should be. The action of an account or a rate
-- is 'write', 'forget' or 'keep'; one that should be missing is not kept. Of holds, claims has a
-- row for each id that should be missing; opened and closed are the others that are written; gone
-- are the ids that leave the table that they are, or are claimed, in. may_be_closed says that an
-- id which should be missing may well be in the journal; forgets, that there is such an action.
--
-- Nobody waits for anybody in a circle: all lock the rows that there are in the order of their
-- keys; then claim the keys without a row, in that order, by inserting one, which is taken away
-- again where none is to stay; and then write.
CREATE FUNCTION {ledger}.commit_rows(
    new_version text,
    expected_rows integer,
    accounts json,
    rates json,
    forgets boolean,
    hold_ids text[],
    hold_versions text[],
    may_be_closed boolean,
    claims json,
    opened json,
    closed json,
    gone text[]
) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    missing_rows CONSTANT integer :=
        json_array_length(accounts) + json_array_length(rates) + cardinality(hold_ids)
        - expected_rows;
    accounts_there integer;
    rates_there integer := 0;
    holds_there integer := 0;
    closed_there integer := 0;
    same integer;
    more integer := 0;
    claimed integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock_shared({turn});

    SELECT count(*), count(*) FILTER (WHERE version = expected) INTO accounts_there, same
    FROM (
        SELECT stored.version, named.expected
        FROM json_populate_recordset(NULL::{ledger}.named_account, accounts) AS named
        JOIN {ledger}.accounts AS stored USING (scope, unit, period, start_us)
        ORDER BY stored.scope, stored.unit, stored.period, stored.start_us
        FOR UPDATE OF stored
    ) AS locked;
    IF json_array_length(rates) > 0 THEN
        SELECT count(*), count(*) FILTER (WHERE version = expected) INTO rates_there, more
        FROM (
            SELECT stored.version, named.expected
            FROM json_populate_recordset(NULL::{ledger}.named_rate, rates) AS named
            JOIN {ledger}.rates AS stored USING (scope, name)
            ORDER BY stored.scope, stored.name
            FOR UPDATE OF stored
        ) AS locked;
        same := same + more;
    END IF;
    SELECT count(*), count(*) FILTER (WHERE version = expected) INTO holds_there, more
    FROM (
        SELECT stored.version, named.expected
        FROM unnest(hold_ids, hold_versions) AS named (id, expected)
        JOIN {ledger}.holds AS stored USING (id)
        ORDER BY stored.id
        FOR UPDATE OF stored
    ) AS locked;
    same := same + more;
    IF may_be_closed OR accounts_there + rates_there + holds_there < expected_rows THEN
        SELECT count(*), count(*) FILTER (WHERE version = expected) INTO closed_there, more
        FROM (
            SELECT stored.version, named.expected
            FROM unnest(hold_ids, hold_versions) AS named (id, expected)
            JOIN {ledger}.journal AS stored USING (id)
            ORDER BY stored.id
            FOR UPDATE OF stored
        ) AS locked;
        same := same + more;
    END IF;
    IF same < expected_rows
        OR accounts_there + rates_there + holds_there + closed_there > expected_rows
    THEN
        RETURN {ledger}.current_rows(accounts, rates, hold_ids);
    END IF;

    IF accounts_there < json_array_length(accounts) THEN
        INSERT INTO {ledger}.accounts
        SELECT scope, unit, period, start_us, "limit", settled, held, carried, new_version
        FROM json_populate_recordset(NULL::{ledger}.named_account, accounts)
        WHERE expected IS NULL
        ORDER BY scope, unit, period, start_us
        ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS more = ROW_COUNT;
        claimed := claimed + more;
    END IF;
    IF rates_there < json_array_length(rates) THEN
        INSERT INTO {ledger}.rates
        SELECT scope, name, mark_us, count, new_version
        FROM json_populate_recordset(NULL::{ledger}.named_rate, rates)
        WHERE expected IS NULL
        ORDER BY scope, name
        ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS more = ROW_COUNT;
        claimed := claimed + more;
    END IF;
    IF claims IS NOT NULL THEN
        INSERT INTO {ledger}.holds
        SELECT * FROM json_populate_recordset(NULL::{ledger}.holds, claims)
        ORDER BY id
        ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS more = ROW_COUNT;
        -- Whoever had an id before may have taken it to the journal meanwhile.
        SELECT claimed + more - count(*) INTO claimed
        FROM unnest(hold_ids, hold_versions) AS named (id, expected)
        JOIN {ledger}.journal AS stored USING (id)
        WHERE expected IS NULL;
    END IF;
    IF claimed < missing_rows THEN
        DELETE FROM {ledger}.accounts AS stored
        USING json_populate_recordset(NULL::{ledger}.named_account, accounts) AS named
        WHERE (stored.scope, stored.unit, stored.period, stored.start_us)
            = (named.scope, named.unit, named.period, named.start_us)
            AND stored.version = new_version;
        DELETE FROM {ledger}.rates AS stored
        USING json_populate_recordset(NULL::{ledger}.named_rate, rates) AS named
        WHERE (stored.scope, stored.name) = (named.scope, named.name)
            AND stored.version = new_version;
        DELETE FROM {ledger}.holds WHERE id = ANY (hold_ids) AND version = new_version;
        RETURN {ledger}.current_rows(accounts, rates, hold_ids);
    END IF;

    IF accounts_there > 0 THEN
        UPDATE {ledger}.accounts AS stored
        SET "limit" = named."limit", settled = named.settled, held = named.held,
            carried = named.carried, version = new_version
        FROM json_populate_recordset(NULL::{ledger}.named_account, accounts) AS named
        WHERE (stored.scope, stored.unit, stored.period, stored.start_us)
            = (named.scope, named.unit, named.period, named.start_us)
            AND named.action = 'write' AND named.expected IS NOT NULL;
    END IF;
    IF rates_there > 0 THEN
        UPDATE {ledger}.rates AS stored
        SET mark_us = named.mark_us, count = named.count, version = new_version
        FROM json_populate_recordset(NULL::{ledger}.named_rate, rates) AS named
        WHERE (stored.scope, stored.name) = (named.scope, named.name)
            AND named.action = 'write' AND named.expected IS NOT NULL;
    END IF;
    IF gone IS NOT NULL THEN
        DELETE FROM {ledger}.holds WHERE id = ANY (gone);
    END IF;
    IF closed_there > 0 THEN
        DELETE FROM {ledger}.journal WHERE id = ANY (gone);
    END IF;
    IF opened IS NOT NULL THEN
        INSERT INTO {ledger}.holds
        SELECT * FROM json_populate_recordset(NULL::{ledger}.holds, opened) ORDER BY id;
    END IF;
    IF closed IS NOT NULL THEN
        INSERT INTO {ledger}.journal
        SELECT * FROM json_populate_recordset(NULL::{ledger}.journal, closed);
    END IF;
    IF forgets THEN
        DELETE FROM {ledger}.accounts AS stored
        USING json_populate_recordset(NULL::{ledger}.named_account, accounts) AS named
        WHERE (stored.scope, stored.unit, stored.period, stored.start_us)
            = (named.scope, named.unit, named.period, named.start_us)
            AND named.action = 'forget';
        DELETE FROM {ledger}.rates AS stored
        USING json_populate_recordset(NULL::{ledger}.named_rate, rates) AS named
        WHERE (stored.scope, stored.name) = (named.scope, named.name)
            AND named.action = 'forget';
    END IF;
    RETURN NULL;
END
$$;
