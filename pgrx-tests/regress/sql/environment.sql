-- What every other file here may count on: the extension, and a database to read from.
SELECT extname, extnamespace::regnamespace AS schema FROM pg_extension WHERE extname = 'warehouse';
\getenv port PGPORT
SELECT :'port' = current_setting('port') AS port_known;
\c source
SELECT current_database();
