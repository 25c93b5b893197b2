-- The foreign data wrapper for Postgres replicas.

CREATE FUNCTION warehouse.replica_fdw_handler() RETURNS fdw_handler
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'warehouse_replica_fdw_handler';
COMMENT ON FUNCTION warehouse.replica_fdw_handler() IS
  'Handler of the foreign data wrapper replica_fdw. Postgres calls it.';

CREATE FUNCTION warehouse.replica_fdw_validator(text[], oid) RETURNS void
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'warehouse_replica_fdw_validator';
COMMENT ON FUNCTION warehouse.replica_fdw_validator(text[], oid) IS
  'Checks the options of servers, user mappings, tables and columns of replica_fdw. Postgres calls it.';

CREATE FOREIGN DATA WRAPPER replica_fdw
  HANDLER warehouse.replica_fdw_handler VALIDATOR warehouse.replica_fdw_validator;
COMMENT ON FOREIGN DATA WRAPPER replica_fdw IS
  'Live, read-only tables over Postgres read replicas.';

-- IMPORT FOREIGN SCHEMA can create nothing but tables; comments and statistics follow at its end.
CREATE FUNCTION warehouse.complete_import() RETURNS event_trigger
  LANGUAGE c AS 'MODULE_PATHNAME', 'warehouse_complete_import';
COMMENT ON FUNCTION warehouse.complete_import() IS
  'Gives the tables of an IMPORT FOREIGN SCHEMA the comments and statistics of their source. An event trigger calls it.';

CREATE EVENT TRIGGER warehouse_complete_import ON ddl_command_end
  WHEN TAG IN ('IMPORT FOREIGN SCHEMA') EXECUTE FUNCTION warehouse.complete_import();
COMMENT ON EVENT TRIGGER warehouse_complete_import IS
  'Gives the tables of an IMPORT FOREIGN SCHEMA the comments and statistics of their source.';

-- The name of a type, qualified unless it is built in, whatever search_path says.
CREATE FUNCTION warehouse.type_name(type oid, typmod integer) RETURNS text
  LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
  AS 'SELECT format_type(type, typmod)';
COMMENT ON FUNCTION warehouse.type_name(oid, integer) IS
  'The name of a type in SQL, qualified unless it is built in, whatever search_path says.';

CREATE VIEW warehouse.sites AS
SELECT pn.nspname AS relation_schema, p.relname AS relation_name,
  site.option_value AS site, s.srvname AS server,
  remote_schema.option_value AS remote_schema, remote_table.option_value AS remote_table,
  c.oid::regclass AS partition, GREATEST(c.reltuples, 0)::bigint AS estimated_rows
FROM pg_catalog.pg_partitioned_table k
  JOIN pg_catalog.pg_class p ON p.oid = k.partrelid
  JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
  JOIN pg_catalog.pg_attribute pa ON pa.attrelid = p.oid AND pa.attnum = k.partattrs[0]
  JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid
  JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
  JOIN pg_catalog.pg_foreign_table f ON f.ftrelid = c.oid
  JOIN pg_catalog.pg_foreign_server s ON s.oid = f.ftserver
  JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw AND w.fdwname = 'replica_fdw'
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = pa.attname
  CROSS JOIN LATERAL (SELECT o.option_value FROM pg_catalog.pg_options_to_table(a.attfdwoptions) o
    WHERE o.option_name = 'constant') site
  LEFT JOIN LATERAL (SELECT o.option_value FROM pg_catalog.pg_options_to_table(f.ftoptions) o
    WHERE o.option_name = 'schema_name') remote_schema ON true
  LEFT JOIN LATERAL (SELECT o.option_value FROM pg_catalog.pg_options_to_table(f.ftoptions) o
    WHERE o.option_name = 'table_name') remote_table ON true;
COMMENT ON VIEW warehouse.sites IS 'The sites of every merged table and where each one''s rows come from.';
COMMENT ON COLUMN warehouse.sites.relation_schema IS 'Schema of the merged table.';
COMMENT ON COLUMN warehouse.sites.relation_name IS 'Name of the merged table.';
COMMENT ON COLUMN warehouse.sites.site IS 'The value of its site column.';
COMMENT ON COLUMN warehouse.sites.server IS 'The foreign server.';
COMMENT ON COLUMN warehouse.sites.remote_schema IS 'Schema at the source.';
COMMENT ON COLUMN warehouse.sites.remote_table IS 'Table at the source.';
COMMENT ON COLUMN warehouse.sites.partition IS 'The foreign partition.';
COMMENT ON COLUMN warehouse.sites.estimated_rows IS 'Rows at the source when the statistics were last read.';

CREATE VIEW warehouse.relationships AS
WITH foreign_table AS (
  SELECT f.ftrelid AS oid, n.nspname AS relation_schema, c.relname AS relation_name, f.ftserver, s.srvname,
    (SELECT o.option_value FROM pg_catalog.pg_options_to_table(f.ftoptions) o WHERE o.option_name = 'schema_name') AS remote_schema,
    (SELECT o.option_value FROM pg_catalog.pg_options_to_table(f.ftoptions) o WHERE o.option_name = 'table_name') AS remote_table,
    (SELECT o.option_value::jsonb FROM pg_catalog.pg_options_to_table(f.ftoptions) o WHERE o.option_name = 'indexes') AS indexes,
    (SELECT o.option_value::jsonb FROM pg_catalog.pg_options_to_table(f.ftoptions) o WHERE o.option_name = 'foreign_keys') AS foreign_keys,
    v.relation_schema AS merged_schema, v.relation_name AS merged_name, v.site
  FROM pg_catalog.pg_foreign_table f
    JOIN pg_catalog.pg_class c ON c.oid = f.ftrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_foreign_server s ON s.oid = f.ftserver
    JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw AND w.fdwname = 'replica_fdw'
    LEFT JOIN warehouse.sites v ON v.partition = f.ftrelid
), keys AS (
  SELECT t.*, 'primary key' AS kind, i.value -> 'columns' AS columns, NULL::text AS target_schema,
    NULL::text AS target_table, NULL::jsonb AS target_columns
  FROM foreign_table t CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(t.indexes) i
  WHERE (i.value ->> 'primary')::boolean
  UNION ALL
  SELECT t.*, 'foreign key', k.value -> 'columns', k.value ->> 'schema', k.value ->> 'table', k.value -> 'references'
  FROM foreign_table t CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(t.foreign_keys) k
)
SELECT DISTINCT k.kind,
  COALESCE(k.merged_schema, k.relation_schema) AS relation_schema,
  COALESCE(k.merged_name, k.relation_name) AS relation_name,
  ARRAY(SELECT pg_catalog.jsonb_array_elements_text(k.columns)) AS columns,
  COALESCE(r.merged_schema, r.relation_schema) AS referenced_schema,
  COALESCE(r.merged_name, r.relation_name) AS referenced_relation,
  CASE WHEN r.oid IS NOT NULL THEN ARRAY(SELECT pg_catalog.jsonb_array_elements_text(k.target_columns)) END AS referenced_columns,
  k.site, k.srvname AS server
FROM keys k LEFT JOIN LATERAL (
  -- A source may have been imported several times: the table beside this one is meant.
  SELECT f.* FROM foreign_table f
  WHERE f.ftserver = k.ftserver AND f.remote_schema = k.target_schema AND f.remote_table = k.target_table
    AND f.site IS NOT DISTINCT FROM k.site
  ORDER BY COALESCE(f.merged_schema, f.relation_schema) = COALESCE(k.merged_schema, k.relation_schema) DESC, f.oid
  LIMIT 1) r ON true
WHERE k.kind = 'primary key' OR r.oid IS NOT NULL;
COMMENT ON VIEW warehouse.relationships IS
  'Primary and foreign keys of the sources, which foreign tables cannot carry. On a merged table the site column belongs to every key.';
COMMENT ON COLUMN warehouse.relationships.kind IS '"primary key" or "foreign key".';
COMMENT ON COLUMN warehouse.relationships.relation_schema IS 'Schema of the table here.';
COMMENT ON COLUMN warehouse.relationships.relation_name IS 'The table here; of a partition, the merged table.';
COMMENT ON COLUMN warehouse.relationships.columns IS 'Its key columns.';
COMMENT ON COLUMN warehouse.relationships.referenced_schema IS 'Schema of the table that a foreign key refers to.';
COMMENT ON COLUMN warehouse.relationships.referenced_relation IS 'The table here that a foreign key refers to.';
COMMENT ON COLUMN warehouse.relationships.referenced_columns IS 'The columns it refers to.';
COMMENT ON COLUMN warehouse.relationships.site IS 'The site where the key was found, on merged tables.';
COMMENT ON COLUMN warehouse.relationships.server IS 'The foreign server.';
