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
  'Lets no session use answers of an HTTP API''s server that were asked for before now; returns how many there were.';
COMMENT ON FUNCTION warehouse.airtable_drift(text, text, boolean) IS
  'What changed at Airtable since the tables of a schema were imported: new tables and fields, renames, other types, which are taken over unless apply is false, and what is gone, which is only reported.';

COMMENT ON FUNCTION warehouse.api_requests() IS
  'What warehouse.api_activity is made of: servers and tables by oid, times as seconds and milliseconds.';

CREATE VIEW warehouse.api_activity AS
  SELECT a.pid, s.srvname AS server, NULLIF(a.relation, 0)::regclass AS relation, a.state,
    to_timestamp(a.since) AS since, a.requests, a.pages, a.rows, a.bytes, a.retries, a.waiting,
    make_interval(secs => a.waited_ms / 1000) AS waited
  FROM warehouse.api_requests() a LEFT JOIN pg_catalog.pg_foreign_server s ON s.oid = a.server;
COMMENT ON VIEW warehouse.api_activity IS
  'What the sessions of this database ask of HTTP APIs at this moment, one row a session. No rows unless warehouse is in shared_preload_libraries.';
COMMENT ON COLUMN warehouse.api_activity.pid IS 'The session''s process, as in pg_stat_activity.';
COMMENT ON COLUMN warehouse.api_activity.server IS 'The foreign server.';
COMMENT ON COLUMN warehouse.api_activity.relation IS 'The foreign table.';
COMMENT ON COLUMN warehouse.api_activity.state IS
  'fetching: it waits for the API; rate limit: for leave to ask; other session: for an answer that another session is fetching; reading: its rows are being used, and more are to come.';
COMMENT ON COLUMN warehouse.api_activity.since IS 'Since when it is at this table.';
COMMENT ON COLUMN warehouse.api_activity.requests IS 'Requests sent, with those that were sent again.';
COMMENT ON COLUMN warehouse.api_activity.pages IS 'Pages of rows that came.';
COMMENT ON COLUMN warehouse.api_activity.rows IS 'Rows that came.';
COMMENT ON COLUMN warehouse.api_activity.bytes IS 'Bytes that came over the network.';
COMMENT ON COLUMN warehouse.api_activity.retries IS 'Requests sent again.';
COMMENT ON COLUMN warehouse.api_activity.waiting IS 'Requests that wait for the rate limit now.';
COMMENT ON COLUMN warehouse.api_activity.waited IS 'Time spent waiting for the rate limit and before retries.';

-- What changes definitions is for those who may create them; what looks is for everybody.
REVOKE ALL ON FUNCTION warehouse.merge_schema(text, jsonb, text, text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.drop_site(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.airtable_drift(text, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.complete_import() FROM PUBLIC;
GRANT USAGE ON SCHEMA warehouse TO PUBLIC;
GRANT SELECT ON warehouse.sites, warehouse.relationships, warehouse.api_activity TO PUBLIC;

-- The scheduler of this database starts once all of this is committed.
SELECT warehouse.wake_jobs();
