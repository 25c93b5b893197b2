-- What is sent to the source and what stays, one line an expression: "sent" is the remote condition,
-- "kept" the reason why the condition is checked here.
\getenv port PGPORT
\getenv password SOURCE_PASSWORD
\c source
CREATE SCHEMA pushdown;
CREATE TYPE pushdown.mood AS ENUM ('sad', 'ok');
CREATE TYPE pushdown.pair AS (a int, b text);
CREATE TABLE pushdown.t (
  id int PRIMARY KEY, b bool, i8 int8, f float8, n numeric(10,2), t text, v varchar(10), c char(3),
  by bytea, d date, ts timestamp, tz timestamptz, iv interval, u uuid, ip inet, j json, jb jsonb,
  bits bit(4), r int4range, a int[], ta text[], m pushdown.mood, p pushdown.pair, x xml, pt point);
\c regression
CREATE SCHEMA pushdown;
SET search_path = pushdown;
SET TimeZone = 'UTC';
CREATE SERVER pushdown FOREIGN DATA WRAPPER replica_fdw OPTIONS (host '127.0.0.1', port :'port', dbname 'source', unclassified 'clear');
CREATE USER MAPPING FOR PUBLIC SERVER pushdown OPTIONS (user 'postgres', password :'password');
IMPORT FOREIGN SCHEMA pushdown FROM SERVER pushdown INTO pushdown;
CREATE FUNCTION mine(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);

CREATE FUNCTION explain(condition text, OUT sent text, OUT kept text) LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t WHERE ' || condition LOOP
    sent := COALESCE(sent, substring(line FROM 'Remote SQL: .*? WHERE (.*)$'));
    kept := COALESCE(kept, substring(line FROM 'Local Filter Reason: (.*)'));
  END LOOP;
END $$;
\set show 'SELECT w.condition, e.* FROM unnest(ARRAY['
\set end ']) WITH ORDINALITY w(condition, n), LATERAL explain(w.condition) e ORDER BY w.n'

\pset format unaligned
\pset null ~
\pset footer off

\echo -- comparisons
:show 'id = 1', '1 < id', 'id <> 1', 'i8 = id', 'id = 2.5', 'f >= 0.1', 'f = ''NaN''', 'n = 1.10',
  't = ''it''''s''', 't = ''back\slash''', 'v = ''x''', 'c = ''x''', 'by = ''\x00ff''', 'd = ''2021-01-31''',
  'ts < ''2021-01-31 12:00''', 'tz >= ''2021-01-31 12:00+02''', 'iv = ''1 day''', 'u = ''00000000-0000-0000-0000-000000000000''',
  'ip << ''10.0.0.0/8''', 'bits = B''1010''', 'r @> 5', 'r && int4range(1, 3)', 'a = ''{1,2}''', 'a @> ''{1}''',
  'ta && ARRAY[''x'']', 'id BETWEEN 1 AND 5', 'id NOT BETWEEN SYMMETRIC 5 AND 1', 'id = -2147483648' :end;

\echo -- boolean, NULL, lists
:show 'b', 'NOT b', 'b IS TRUE', 'b IS NOT UNKNOWN', 'id = 1 OR t = ''x''', 'NOT (id = 1 OR id = 2)', 't IS NULL',
  't IS NOT NULL', 'm IS NULL', 'x IS NULL', 'p IS NULL', 'id IS DISTINCT FROM 1', 't IS NOT DISTINCT FROM NULL', 'id IN (1, 2, NULL)',
  'id NOT IN (1, 2)', 'id = ANY (''{1,2}'')', 't = ANY (ARRAY[t, ''x''])', 'id < ALL (a)', 'id > ANY (ARRAY[id, 1])' :end;

\echo -- patterns
:show 't LIKE ''a%''', 't NOT LIKE ''a\_%''', 't ILIKE ''É%''', 't LIKE ''a!%'' ESCAPE ''!''', 't ~ ''^a''', 't ~* ''É''', 't !~ ''x''',
  't SIMILAR TO ''(a|b)%''', 'starts_with(t, ''a'')', 'c LIKE ''a%''', 'by LIKE ''\x25''' :end;

\echo -- arithmetic, functions, casts
:show 'id + 1 > 5', '- id < 0', 'id % 2 = 0', 'f * 2 > 1', 'n / 2 > 1', 'iv * 2 > ''1 day''', 'd + 1 > ''2021-01-31''',
  'abs(id) = 1', 'length(t) > 3', 'lower(t) = ''a''', 'substr(t, 1, 2) = ''ab''', 'substring(t from 2) = ''b''', 'round(n, 1) = 1', 't || ''x'' = ''ax''',
  'md5(t) = ''x''', 'extract(year from d) = 2021', 'extract(year from ts) = 2021', 'date_trunc(''month'', ts) = ''2021-01-01''', 'id::text = ''1''',
  't::int = 1', 'n::int = 1', 'id::bool', 'f::text = ''0.1''', 'iv::text = ''1 day''', 'by::text = ''\x01''', 'pt::text = ''(0,1)''',
  'd::text = ''2021-01-31''', 'ts::date = ''2021-01-31''', 'v::char(2) = ''x''', 'a[1] = 1', 'a[1:2] = ''{1}''', 'cardinality(a) = 2', 'ARRAY[id, 2] = a' :end;

\echo -- conditional expressions
:show 'CASE WHEN id = 1 THEN t ELSE ''x'' END = ''x''', 'CASE id WHEN 1 THEN b ELSE false END', 'CASE t WHEN ''x'' THEN 1 END = 1',
  'COALESCE(t, ''x'') = ''x''', 'NULLIF(id, 1) = 2', 'GREATEST(id, i8) = 2', 'LEAST(n, 1) = 1', 'GREATEST(t, ''x'') = ''x''' :end;

\echo -- json
:show 'jb @> ''{"a": 1}''', 'jb ? ''a''', 'jb ->> ''a'' = ''x''', '(jb ->> ''a'')::int = 1', 'jb #>> ''{a,b}'' = ''x''', 'jb = ''{}''', 'jb < ''{}''',
  'jb[''a''] = ''1''', 'jb @? ''$.a''', 'jb @@ ''$.a > 1''', 'j ->> ''a'' = ''x''', 'jsonb_typeof(jb) = ''object''' :end;

\echo -- what does not change within a statement is computed here and sent as a value
:show 'tz > now() - interval ''30 days''', 'd <= current_date', 'id = length(current_user)', 'tz::date = current_date', 'date_trunc(''day'', tz) = ''2021-01-31''' :end;

\echo -- what stays
:show 'random() < 0.5', 'id > random()', 'mine(id)', 'id === 1', 't COLLATE "und-x-icu" < ''x''', 'm = ''sad''', 'm > ''sad''', 'p IS NOT NULL', 'x::text = ''x''',
  'x IS DOCUMENT', 't.* IS NOT NULL', 't.tableoid = 0', 'id IN (SELECT 1 WHERE mine(1))', '(id, t) = (1, ''x'')', '(id, i8) < (1, 2)', 'EXISTS (SELECT FROM generate_series(1, t.id))' :end;

\echo -- collation: bytewise comparisons go anywhere, others where both sides are known to collate alike
:show 't < ''x''', 't COLLATE "C" < ''x''', 't COLLATE "POSIX" >= ''x''', 'upper(t COLLATE "C") = ''X''', 't COLLATE "en-x-icu" = ''x''' :end;
ALTER FOREIGN TABLE t OPTIONS (SET remote_collation 'c/de_DE.UTF-8/de_DE.UTF-8//2.36');
:show 't < ''x''', 't = ''x''', 't LIKE ''x%''', 't ILIKE ''x%''', 't ~ ''x''', 'lower(t) = ''x''', 't COLLATE "C" < ''x''', 'jb < ''{}''', 'jb = ''{}''', 'ta < ''{x}''', 'ta = ''{x}''', 'GREATEST(jb, ''1'') = ''1''' :end;

\echo -- columns that are no columns there
CREATE FOREIGN TABLE special (site text OPTIONS (constant 'ai'), gone int OPTIONS (missing 'true'),
  id int, name text OPTIONS (column_name 't'), n text OPTIONS (remote_type 'numeric(10,2)'))
  SERVER pushdown OPTIONS (table_name 't');
EXPLAIN (VERBOSE, COSTS OFF) SELECT * FROM special WHERE site = 'ai' AND id = 1;
EXPLAIN (VERBOSE, COSTS OFF) SELECT site FROM special WHERE site = 'cd';
EXPLAIN (VERBOSE, COSTS OFF) SELECT name, n FROM special WHERE gone IS NULL AND name = 'x' AND n = '1.10';

\echo -- quoting
\c source
CREATE TABLE pushdown."We""ird 'name'" ("select" int, "a""b" text, "ö\" int);
INSERT INTO pushdown."We""ird 'name'" VALUES (1, 'x', 2);
\c regression
SET search_path = pushdown;
IMPORT FOREIGN SCHEMA pushdown LIMIT TO ("We""ird 'name'") FROM SERVER pushdown INTO pushdown;
EXPLAIN (VERBOSE, COSTS OFF) SELECT * FROM "We""ird 'name'" WHERE "select" = 1 AND "a""b" = 'x' ORDER BY "ö\";
SELECT * FROM "We""ird 'name'" WHERE "select" = 1 AND "a""b" = 'x' ORDER BY "ö\";

SET client_min_messages = warning;
DROP SCHEMA pushdown CASCADE;
DROP SERVER pushdown CASCADE;
\c source
SET client_min_messages = warning;
DROP SCHEMA pushdown CASCADE;
