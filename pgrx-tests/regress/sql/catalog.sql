-- Everything a person meets with \d commands says what it is.

-- What the extension owns and no COMMENT explains. Must be empty.
WITH member AS (
  SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
  WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'warehouse'
)
SELECT pg_describe_object(m.classid, m.objid, 0) AS object
FROM member m
WHERE obj_description(m.objid, m.classid::regclass::name) IS NULL
  -- Row types of views and array types come with what they belong to.
  AND NOT (m.classid = 'pg_type'::regclass)
UNION ALL
SELECT pg_describe_object('pg_class'::regclass, a.attrelid, a.attnum)
FROM member m JOIN pg_attribute a ON m.classid = 'pg_class'::regclass AND a.attrelid = m.objid
WHERE a.attnum > 0 AND NOT a.attisdropped AND col_description(a.attrelid, a.attnum) IS NULL
  -- The columns of sequences are Postgres's.
  AND NOT EXISTS (SELECT FROM pg_class s WHERE s.oid = a.attrelid AND s.relkind = 'S')
UNION ALL
SELECT 'setting ' || name FROM pg_settings
WHERE name LIKE 'warehouse.%' AND (short_desc IS NULL OR short_desc = '')
ORDER BY 1;

-- The comments are sentences.
SELECT pg_describe_object(d.classoid, d.objoid, d.objsubid) AS object, d.description
FROM pg_description d JOIN pg_depend m ON m.classid = d.classoid AND m.objid = d.objoid AND m.deptype = 'e'
  JOIN pg_extension e ON e.oid = m.refobjid AND e.extname = 'warehouse'
WHERE d.description !~ '\.$' ORDER BY 1;

-- Functions that run as their caller's superuser would have to pin their search_path; ours that do
-- anything but look are closed to PUBLIC.
SELECT p.oid::regprocedure AS function FROM pg_proc p
WHERE p.pronamespace = 'warehouse'::regnamespace AND p.prosecdef
  AND NOT COALESCE(p.proconfig::text LIKE '%search_path=pg_catalog, pg_temp%', false);
SELECT p.oid::regprocedure AS function FROM pg_proc p
WHERE p.pronamespace = 'warehouse'::regnamespace AND has_function_privilege('public', p.oid, 'EXECUTE')
ORDER BY p.oid::regprocedure::text COLLATE "C";

-- What people see.
SELECT fdwname, obj_description(oid, 'pg_foreign_data_wrapper') AS comment
FROM pg_foreign_data_wrapper WHERE fdwname = 'replica_fdw';
SELECT name, setting, unit, context FROM pg_settings WHERE name LIKE 'warehouse.%' ORDER BY 1;
