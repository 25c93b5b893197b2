-- Options are checked when they are declared, wrong ones are refused with a hint, and secrets stay
-- with those who may read them.
CREATE SCHEMA options;
SET search_path = options;

-- Which options there are.
CREATE FOREIGN DATA WRAPPER own HANDLER warehouse.replica_fdw_handler
  VALIDATOR warehouse.replica_fdw_validator OPTIONS (nonsense '1');
-- The hint lists what this libpq knows, so only some of it is shown here.
DO $$
DECLARE
  hint text;
BEGIN
  CREATE SERVER s FOREIGN DATA WRAPPER replica_fdw OPTIONS (nonsense '1');
EXCEPTION WHEN fdw_invalid_option_name THEN
  GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
  RAISE NOTICE '% %', SQLERRM,
    array(SELECT option FROM regexp_split_to_table(hint, '[ ,.:]+') option
      WHERE option IN ('host', 'port', 'dbname', 'sslmode', 'connect_timeout', 'fdw_tuple_cost', 'password',
        'user', 'passfile', 'client_encoding', 'replication'));
END $$;
CREATE SERVER s FOREIGN DATA WRAPPER replica_fdw OPTIONS (host 'h', port '5432', dbname 'd');
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (nonsense '1');
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (host 'h');
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (user 'u', password 'p');
CREATE FOREIGN TABLE t (a int) SERVER s OPTIONS (nonsense '1');
CREATE FOREIGN TABLE t (a int OPTIONS (nonsense '1')) SERVER s;
CREATE FOREIGN TABLE t (a int) SERVER s OPTIONS (schema_name 'x', table_name 'y');

-- Secrets belong to the mapping; what the wrapper sets itself belongs to nobody.
CREATE SERVER s2 FOREIGN DATA WRAPPER replica_fdw OPTIONS (password 'p');
CREATE SERVER s2 FOREIGN DATA WRAPPER replica_fdw OPTIONS (user 'u');
CREATE SERVER s2 FOREIGN DATA WRAPPER replica_fdw OPTIONS (passfile '/x');
\set VERBOSITY terse
ALTER SERVER s OPTIONS (ADD client_encoding 'LATIN1');
ALTER SERVER s OPTIONS (ADD fallback_application_name 'x');
ALTER SERVER s OPTIONS (ADD replication 'true');
\set VERBOSITY default

-- Values.
ALTER SERVER s OPTIONS (ADD connect_timeout '0');
ALTER SERVER s OPTIONS (ADD connect_timeout 'soon');
ALTER SERVER s OPTIONS (ADD connect_timeout '3601');
ALTER SERVER s OPTIONS (ADD connect_timeout '3');
ALTER SERVER s OPTIONS (ADD fdw_startup_cost '-1');
ALTER SERVER s OPTIONS (ADD fdw_tuple_cost 'NaN');
ALTER SERVER s OPTIONS (ADD fdw_tuple_cost '0.5', ADD fdw_startup_cost '10', ADD sslmode 'prefer',
  ADD application_name 'warehouse test', ADD keepalives_idle '30');
ALTER USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (ADD password_required 'perhaps');
ALTER FOREIGN TABLE t OPTIONS (SET schema_name '');
ALTER FOREIGN TABLE t OPTIONS (SET table_name '');
ALTER FOREIGN TABLE t OPTIONS (ADD indexes 'x');
ALTER FOREIGN TABLE t OPTIONS (ADD foreign_keys '[{}]');
ALTER FOREIGN TABLE t OPTIONS (ADD indexes '[{"columns":["a"],"unique":true,"primary":true}]');
ALTER FOREIGN TABLE t ALTER a OPTIONS (ADD column_name '');
ALTER FOREIGN TABLE t ALTER a OPTIONS (ADD missing 'no idea');
ALTER FOREIGN TABLE t ALTER a OPTIONS (ADD remote_type '');
ALTER FOREIGN TABLE t ALTER a OPTIONS (ADD remote_type 'text); DROP TABLE x; --');
ALTER FOREIGN TABLE t ALTER a OPTIONS (ADD remote_type '"quoted');
ALTER FOREIGN TABLE t ALTER a OPTIONS (ADD remote_type 'numeric(10,2)', ADD column_name 'b');
ALTER FOREIGN TABLE t ALTER a OPTIONS (ADD constant 'x');
ALTER FOREIGN TABLE t ADD COLUMN site text OPTIONS (constant 'ai', missing 'true');
ALTER FOREIGN TABLE t ADD COLUMN site text OPTIONS (constant 'ai');
SELECT attname, attfdwoptions FROM pg_attribute
WHERE attrelid = 't'::regclass AND attfdwoptions IS NOT NULL ORDER BY attnum;

-- A role that is no superuser: a password is needed, what would use the server's own credentials is
-- refused, and other roles' secrets cannot be read.
CREATE ROLE options_user;
GRANT USAGE ON FOREIGN SERVER s TO options_user;
GRANT USAGE ON SCHEMA options TO options_user;
GRANT SELECT ON t TO options_user;
SET ROLE options_user;
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (user 'u');
ALTER USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (ADD password_required 'false');
ALTER USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (ADD password_required 'true');
ALTER USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (ADD passfile '/x');
ALTER USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (ADD sslcert '/x');
ALTER USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (ADD sslkey '/x');
SELECT a FROM t;
SELECT usename, umoptions FROM pg_user_mappings WHERE srvname = 's' ORDER BY usename COLLATE "C";
SELECT umoptions FROM pg_user_mapping;
RESET ROLE;

SET client_min_messages = warning;
DROP SERVER s CASCADE;
DROP SCHEMA options CASCADE;
DROP ROLE options_user;
