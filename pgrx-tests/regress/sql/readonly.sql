-- Nothing is ever written to a source, and what tries says so.
\getenv port PGPORT
CREATE SCHEMA readonly;
SET search_path = readonly;
\c source
CREATE SCHEMA readonly;
CREATE TABLE readonly.t (id int PRIMARY KEY, name text);
INSERT INTO readonly.t VALUES (1, 'one'), (2, 'two');
\c regression
SET search_path = readonly;
\getenv password SOURCE_PASSWORD
CREATE SERVER readonly FOREIGN DATA WRAPPER replica_fdw OPTIONS (host '127.0.0.1', port :'port', dbname 'source', unclassified 'clear');
CREATE USER MAPPING FOR PUBLIC SERVER readonly OPTIONS (user 'postgres', password :'password');
IMPORT FOREIGN SCHEMA readonly FROM SERVER readonly INTO readonly;
CREATE TABLE here (id int, name text);
INSERT INTO here VALUES (1, 'here');

INSERT INTO t VALUES (3, 'three');
INSERT INTO t DEFAULT VALUES;
INSERT INTO t VALUES (1, 'x') ON CONFLICT DO NOTHING;
UPDATE t SET name = 'x' WHERE id = 1;
DELETE FROM t;
MERGE INTO t USING here ON here.id = t.id WHEN MATCHED THEN UPDATE SET name = here.name;
TRUNCATE t;
COPY t FROM '/dev/null';
SELECT * FROM t FOR UPDATE;
SELECT * FROM t FOR NO KEY UPDATE;
SELECT * FROM t FOR SHARE;
SELECT * FROM t FOR KEY SHARE SKIP LOCKED;
SELECT * FROM t JOIN here USING (id) FOR UPDATE;
EXPLAIN (COSTS OFF) UPDATE t SET name = 'x';
WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone;
CREATE TRIGGER never BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();

-- Through a merged table.
CREATE TABLE merged (site text, id int, name text) PARTITION BY LIST (site);
CREATE FOREIGN TABLE merged_a (site text OPTIONS (constant 'a'), id int, name text)
  SERVER readonly OPTIONS (table_name 't');
ALTER TABLE merged ATTACH PARTITION merged_a FOR VALUES IN ('a');
INSERT INTO merged VALUES ('a', 3, 'three');
UPDATE merged SET name = 'x' WHERE site = 'a';
DELETE FROM merged;
TRUNCATE merged;

-- Locking other tables, and writing what was read, are fine.
SELECT t.id, here.name FROM t JOIN here USING (id) FOR UPDATE OF here;
INSERT INTO here SELECT id + 10, name FROM t RETURNING *;
UPDATE here SET name = t.name FROM t WHERE t.id = here.id RETURNING here.*;
SELECT is_insertable_into FROM information_schema.tables WHERE table_schema = 'readonly' AND table_name = 't';

-- The source's session itself cannot write: here a view there tries.
\c source
CREATE FUNCTION readonly.writes() RETURNS int LANGUAGE plpgsql AS $$ BEGIN DELETE FROM readonly.t; RETURN 1; END $$;
CREATE VIEW readonly.sly AS SELECT readonly.writes() AS n;
\c regression
SET search_path = readonly;
IMPORT FOREIGN SCHEMA readonly LIMIT TO (sly) FROM SERVER readonly INTO readonly;
SELECT * FROM sly;
SELECT count(*) FROM t;

SET client_min_messages = warning;
DROP SCHEMA readonly CASCADE;
DROP SERVER readonly CASCADE;
\c source
SET client_min_messages = warning;
DROP SCHEMA readonly CASCADE;
