-- The role analyst may read, and nothing else.
GRANT USAGE ON SCHEMA main, activity, meta TO analyst;
GRANT SELECT ON ALL TABLES IN SCHEMA main, activity, meta TO analyst;
