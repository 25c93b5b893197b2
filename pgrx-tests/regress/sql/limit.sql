-- LIMIT, OFFSET and ORDER BY go to the source only where nothing in between drops, adds or reorders
-- rows.
\getenv port PGPORT
\getenv password SOURCE_PASSWORD
\c source
CREATE SCHEMA limits;
CREATE TABLE limits.t (id int PRIMARY KEY, k int, name text, n numeric);
INSERT INTO limits.t SELECT i, i % 3, 'name ' || i, i / 2.0 FROM generate_series(1, 1000) i;
CREATE INDEX ON limits.t (k);
ANALYZE limits.t;
\c regression
CREATE SCHEMA limits;
SET search_path = limits;
CREATE SERVER limits FOREIGN DATA WRAPPER replica_fdw OPTIONS (host '127.0.0.1', port :'port', dbname 'source', unclassified 'clear');
CREATE USER MAPPING FOR PUBLIC SERVER limits OPTIONS (user 'postgres', password :'password');
IMPORT FOREIGN SCHEMA limits FROM SERVER limits INTO limits;
CREATE FUNCTION local(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 > 5; END';

-- Both go.
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t LIMIT 3;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t ORDER BY id LIMIT 3;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t ORDER BY k DESC NULLS LAST, id LIMIT 3 OFFSET 2;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t WHERE k = 1 ORDER BY n, id FETCH FIRST ROW ONLY;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t ORDER BY id OFFSET 990;
EXPLAIN (VERBOSE, COSTS OFF) SELECT upper(name) FROM t ORDER BY name LIMIT 3;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t ORDER BY abs(k), id LIMIT 3;
PREPARE page(int, int) AS SELECT id FROM t ORDER BY id LIMIT $1 OFFSET $2;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE page(3, 2);
EXECUTE page(3, 2);
EXECUTE page(NULL, 998);
EXECUTE page(-1, 0);
RESET plan_cache_mode;

-- A condition that stays here keeps the limit here.
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t WHERE local(id) LIMIT 3;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t WHERE random() >= 0 LIMIT 3;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t WHERE local(id) ORDER BY id LIMIT 3;
SELECT id FROM t WHERE local(id) ORDER BY id LIMIT 3;

-- So does what comes between the rows and the limit.
EXPLAIN (VERBOSE, COSTS OFF) SELECT DISTINCT k FROM t LIMIT 2;
EXPLAIN (VERBOSE, COSTS OFF) SELECT k, max(name) FROM t GROUP BY k LIMIT 2;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id, row_number() OVER (ORDER BY local(id), id) FROM t LIMIT 2;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id, generate_series(1, 2) FROM t LIMIT 3;
SELECT id, generate_series(1, 2) AS g FROM t ORDER BY id LIMIT 3;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t ORDER BY k FETCH FIRST 1 ROW WITH TIES;
SELECT count(*) FROM (SELECT id FROM t ORDER BY k FETCH FIRST 1 ROW WITH TIES) x;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t ORDER BY local(id), id LIMIT 3;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t ORDER BY random() LIMIT 3;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t UNION ALL SELECT k FROM t LIMIT 3;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t WHERE id IN (SELECT k FROM t WHERE local(k)) LIMIT 3;

-- In a sub-query.
EXPLAIN (VERBOSE, COSTS OFF) SELECT sum(id) FROM (SELECT id FROM t ORDER BY id LIMIT 3) x WHERE local(id);
SELECT sum(id) FROM (SELECT id FROM t ORDER BY id DESC LIMIT 3) x WHERE local(id);

-- Nothing is read where nothing can be found.
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t WHERE false ORDER BY id LIMIT 3;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t WHERE NULL::bool LIMIT 3;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t ORDER BY id LIMIT 0;
SELECT id FROM t ORDER BY id LIMIT 0;

-- Collations: bytewise order can be had at any source, the order of another provider cannot.
EXPLAIN (VERBOSE, COSTS OFF) SELECT name FROM t ORDER BY name COLLATE "C" LIMIT 2;
EXPLAIN (VERBOSE, COSTS OFF) SELECT name FROM t ORDER BY name COLLATE "und-x-icu" LIMIT 2;

SET client_min_messages = warning;
DROP SCHEMA limits CASCADE;
DROP SERVER limits CASCADE;
\c source
SET client_min_messages = warning;
DROP SCHEMA limits CASCADE;
