-- Comments and rights of the functions that the library defines. Runs last.

COMMENT ON FUNCTION warehouse.replica_connections() IS
  'The connections of this session to sources: server, role of the user mapping (NULL for that of PUBLIC), process and version there, whether a transaction is open, seconds since it was opened.';
COMMENT ON FUNCTION warehouse.replica_usage() IS
  'The connections that all sessions of this database have to each server: open, used by a transaction, sessions waiting for one, and the bound (NULL for none). No rows unless warehouse is in shared_preload_libraries.';
COMMENT ON FUNCTION warehouse.explain_pushdown(text) IS
  'Which parts of a query (conditions, joins, grouping, order, limit) the sources do, which stay here, and why. The query is planned, not run.';
COMMENT ON FUNCTION warehouse.disconnect(text) IS
  'Closes this session''s idle connections to a server, or to all with NULL; returns how many.';
COMMENT ON FUNCTION warehouse.replica_status() IS
  'Asks every server of replica_fdw at once: reachable, in recovery, replay lag in seconds, version, latency in milliseconds, error. Answers within one connect_timeout.';
COMMENT ON FUNCTION warehouse.merge_schema(text, jsonb, text, text[]) IS
  'Merges tables of the same name from several sources into partitioned tables with a site column. Run it again after a source changed: it applies and reports the drift row by row.';
COMMENT ON FUNCTION warehouse.drop_site(text, text) IS
  'Takes a site out of every merged table of a schema.';
COMMENT ON FUNCTION warehouse.clear_cache(text) IS
  'Lets no session use answers of an HTTP API''s server that were asked for before now; returns how many this session had.';
COMMENT ON FUNCTION warehouse.airtable_drift(text, text, boolean) IS
  'What changed at Airtable since the tables of a schema were imported: new tables and fields, renames, other types, which are taken over unless apply is false, and what is gone, which is only reported.';

-- What changes definitions is for those who may create them; what looks is for everybody.
REVOKE ALL ON FUNCTION warehouse.merge_schema(text, jsonb, text, text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.drop_site(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.airtable_drift(text, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.complete_import() FROM PUBLIC;
GRANT USAGE ON SCHEMA warehouse TO PUBLIC;
GRANT SELECT ON warehouse.sites, warehouse.relationships TO PUBLIC;

-- The scheduler of this database starts once all of this is committed.
SELECT warehouse.wake_jobs();
