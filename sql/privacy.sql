-- The privacy policy: roles, the data dictionary, rights, restrictions to sites, the audit, and how
-- anonymous a table is. Runs after the functions of the library that it builds on.

-- Roles belong to the cluster: another database may have made them, and DROP EXTENSION leaves them.
DO $$
DECLARE
  wanted name;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['warehouse_admin', 'warehouse_reader', 'warehouse_clear']::name[] LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = wanted) THEN
      BEGIN
        EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', wanted);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
      END;
    END IF;
  END LOOP;
END
$$;

-- The audit -----------------------------------------------------------------------------------------

CREATE TABLE warehouse.audit (
  at timestamptz NOT NULL,
  role name NOT NULL,
  session_role name NOT NULL,
  action text NOT NULL,
  relation text,
  columns text[] NOT NULL,
  rows bigint,
  query_id bigint
);
SELECT pg_catalog.pg_extension_config_dump('warehouse.audit', '');
COMMENT ON TABLE warehouse.audit IS
  'Who changed the privacy policy, and who read what in clear (by a worker, a moment later, with shared_preload_libraries). No literals and no values. The server log has the same lines.';
COMMENT ON COLUMN warehouse.audit.at IS 'When.';
COMMENT ON COLUMN warehouse.audit.role IS 'The role whose rights were used.';
COMMENT ON COLUMN warehouse.audit.session_role IS 'The role that had logged in.';
COMMENT ON COLUMN warehouse.audit.action IS 'What was done.';
COMMENT ON COLUMN warehouse.audit.relation IS 'Schema and name of the relation; NULL if it was about none.';
COMMENT ON COLUMN warehouse.audit.columns IS 'Its columns that it was about.';
COMMENT ON COLUMN warehouse.audit.rows IS 'Rows that were read or changed, where they were counted.';
COMMENT ON COLUMN warehouse.audit.query_id IS 'The id of the query, as in pg_stat_statements; NULL where none is computed.';

COMMENT ON FUNCTION warehouse.record(text, text, text[], bigint, bigint) IS
  'Internal. Writes an entry of warehouse.audit and a line of the server log: action, relation, columns, rows, query id.';

-- Areas of few people ------------------------------------------------------------------------------

-- What the mask zip3 hides: a list that is as old as its census.
CREATE TABLE warehouse.zip3_population (
  zip3 text PRIMARY KEY CHECK (zip3 ~ '^[0-9]{3}$'),
  population bigint NOT NULL CHECK (population >= 0),
  comment text
);
SELECT pg_catalog.pg_extension_config_dump('warehouse.zip3_population', '');
COMMENT ON TABLE warehouse.zip3_population IS
  'How many people live where ZIP codes begin with these three digits. While it has rows, the mask zip3 hides the areas that it lists with 20,000 people or fewer; while it is empty, those of the census of 2000.';
COMMENT ON COLUMN warehouse.zip3_population.zip3 IS 'The first three digits.';
COMMENT ON COLUMN warehouse.zip3_population.population IS 'The people who live there.';
COMMENT ON COLUMN warehouse.zip3_population.comment IS 'Where the number is from.';

-- The data dictionary -------------------------------------------------------------------------------

COMMENT ON FUNCTION warehouse.reads_as(text, oid, text, text, text) IS
  'How a column of this name, type, class and mask, on a server with this option unclassified, reads without the right to clear text: clear, null, error or masked: with the mask.';

CREATE VIEW warehouse.site_columns AS
SELECT r.oid::regclass AS relation, rn.nspname AS relation_schema, r.relname AS relation_name,
  a.attname AS column_name,
  COALESCE((SELECT ra.attnum FROM pg_catalog.pg_attribute ra
    WHERE ra.attrelid = r.oid AND ra.attname = a.attname AND NOT ra.attisdropped), a.attnum) AS position,
  warehouse.type_name(a.atttypid, a.atttypmod) AS type, a.atttypid AS type_oid,
  c.oid::regclass AS foreign_table, cn.nspname AS table_schema, c.relname AS table_name, a.attnum AS number,
  s.srvname AS server, COALESCE(t.schema_name, cn.nspname::text) AS remote_schema,
  COALESCE(t.table_name, c.relname::text) AS remote_table,
  CASE WHEN o.constant IS NULL AND NOT o.missing THEN COALESCE(o.column_name, a.attname::text) END AS remote_column,
  o.class, o.mask, o.constant IS NOT NULL AS is_constant, o.missing AS is_missing,
  COALESCE(v.unclassified, 'null') AS unclassified,
  COALESCE((SELECT pg_catalog.col_description(r.oid, ra.attnum) FROM pg_catalog.pg_attribute ra
    WHERE ra.attrelid = r.oid AND ra.attname = a.attname AND NOT ra.attisdropped),
    pg_catalog.col_description(c.oid, a.attnum)) AS comment
FROM pg_catalog.pg_foreign_table f
  JOIN pg_catalog.pg_class c ON c.oid = f.ftrelid
  JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace
  JOIN pg_catalog.pg_foreign_server s ON s.oid = f.ftserver
  JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw
  -- The wrappers of this extension, by their handlers.
  JOIN pg_catalog.pg_proc h ON h.oid = w.fdwhandler
  JOIN pg_catalog.pg_namespace hn ON hn.oid = h.pronamespace AND hn.nspname = 'warehouse'
  JOIN pg_catalog.pg_class r
    ON r.oid = CASE WHEN c.relispartition THEN pg_catalog.pg_partition_root(c.oid)::oid ELSE c.oid END
  JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  CROSS JOIN LATERAL (SELECT
      pg_catalog.max(x.option_value) FILTER (WHERE x.option_name = 'class') AS class,
      pg_catalog.max(x.option_value) FILTER (WHERE x.option_name = 'mask') AS mask,
      pg_catalog.max(x.option_value) FILTER (WHERE x.option_name = 'constant') AS constant,
      pg_catalog.max(x.option_value) FILTER (WHERE x.option_name = 'column_name') AS column_name,
      COALESCE(pg_catalog.bool_or(x.option_value::boolean) FILTER (WHERE x.option_name = 'missing'), false) AS missing
    FROM pg_catalog.pg_options_to_table(a.attfdwoptions) x) o
  CROSS JOIN LATERAL (SELECT
      pg_catalog.max(x.option_value) FILTER (WHERE x.option_name = 'schema_name') AS schema_name,
      pg_catalog.max(x.option_value) FILTER (WHERE x.option_name = 'table_name') AS table_name
    FROM pg_catalog.pg_options_to_table(f.ftoptions) x) t
  CROSS JOIN LATERAL (SELECT
      pg_catalog.max(x.option_value) FILTER (WHERE x.option_name = 'unclassified') AS unclassified
    FROM pg_catalog.pg_options_to_table(s.srvoptions) x) v;
COMMENT ON VIEW warehouse.site_columns IS
  'Every column of every foreign table with its policy; those of a merged table once per site.';
COMMENT ON COLUMN warehouse.site_columns.relation IS 'The table that people read: the merged table, or the foreign table itself.';
COMMENT ON COLUMN warehouse.site_columns.relation_schema IS 'Its schema.';
COMMENT ON COLUMN warehouse.site_columns.relation_name IS 'Its name.';
COMMENT ON COLUMN warehouse.site_columns.column_name IS 'The column.';
COMMENT ON COLUMN warehouse.site_columns.position IS 'Its number in that table.';
COMMENT ON COLUMN warehouse.site_columns.type IS 'Its type.';
COMMENT ON COLUMN warehouse.site_columns.type_oid IS 'Its type as OID.';
COMMENT ON COLUMN warehouse.site_columns.foreign_table IS 'The foreign table, of a merged table the partition.';
COMMENT ON COLUMN warehouse.site_columns.table_schema IS 'Its schema.';
COMMENT ON COLUMN warehouse.site_columns.table_name IS 'Its name.';
COMMENT ON COLUMN warehouse.site_columns.number IS 'The number of the column in the foreign table.';
COMMENT ON COLUMN warehouse.site_columns.server IS 'The foreign server.';
COMMENT ON COLUMN warehouse.site_columns.remote_schema IS 'Schema at the source.';
COMMENT ON COLUMN warehouse.site_columns.remote_table IS 'Table at the source.';
COMMENT ON COLUMN warehouse.site_columns.remote_column IS 'Column at the source; NULL where there is none.';
COMMENT ON COLUMN warehouse.site_columns.class IS 'public, quasi, identifier, sensitive, secret; NULL until somebody says.';
COMMENT ON COLUMN warehouse.site_columns.mask IS 'The mask.';
COMMENT ON COLUMN warehouse.site_columns.is_constant IS 'Whether it reads a constant, like the site of a merged table.';
COMMENT ON COLUMN warehouse.site_columns.is_missing IS 'Whether the source lacks the column, so that it reads NULL.';
COMMENT ON COLUMN warehouse.site_columns.unclassified IS 'How columns without a class read: the server option unclassified.';
COMMENT ON COLUMN warehouse.site_columns.comment IS 'The comment on the column.';

CREATE VIEW warehouse.columns AS
SELECT c.relation_schema, c.relation_name, c.column_name, pg_catalog.min(c.type) AS type,
  pg_catalog.string_agg(pg_catalog.format('%s: %I.%I.%I', c.server, c.remote_schema, c.remote_table, c.remote_column), ', '
    ORDER BY c.foreign_table) FILTER (WHERE c.remote_column IS NOT NULL) AS source,
  pg_catalog.string_agg(DISTINCT c.class, ' / ') AS class,
  pg_catalog.string_agg(DISTINCT c.mask, ' / ') AS mask,
  pg_catalog.min(c.comment) AS comment
FROM warehouse.site_columns c
GROUP BY c.relation, c.relation_schema, c.relation_name, c.position, c.column_name
ORDER BY c.relation_schema, c.relation_name, c.position;
COMMENT ON VIEW warehouse.columns IS
  'The data dictionary: every column of foreign and merged tables, where it comes from, its class and mask.';
COMMENT ON COLUMN warehouse.columns.relation_schema IS 'Schema of the table.';
COMMENT ON COLUMN warehouse.columns.relation_name IS 'The table; merged tables once.';
COMMENT ON COLUMN warehouse.columns.column_name IS 'The column.';
COMMENT ON COLUMN warehouse.columns.type IS 'Its type.';
COMMENT ON COLUMN warehouse.columns.source IS 'Server, schema, table and column it is read from, of every site. NULL for the site column.';
COMMENT ON COLUMN warehouse.columns.class IS 'public, quasi, identifier, sensitive, secret; NULL until somebody says. Where sites differ, each.';
COMMENT ON COLUMN warehouse.columns.mask IS 'The mask. Where sites differ, each.';
COMMENT ON COLUMN warehouse.columns.comment IS 'The comment on the column.';

CREATE VIEW warehouse.unclassified AS
SELECT c.relation_schema, c.relation_name, c.column_name, pg_catalog.min(c.type) AS type,
  pg_catalog.string_agg(DISTINCT c.unclassified, ' / ') AS reads_as
FROM warehouse.site_columns c
WHERE c.class IS NULL AND c.mask IS NULL AND NOT c.is_constant AND NOT c.is_missing
  -- Not those whose type and name say that they hold nobody: these read in clear everywhere.
  AND warehouse.reads_as(c.column_name::text, c.type_oid, NULL, NULL, 'error') <> 'clear'
GROUP BY c.relation, c.relation_schema, c.relation_name, c.position, c.column_name
ORDER BY c.relation_schema, c.relation_name, c.position;
COMMENT ON VIEW warehouse.unclassified IS
  'Columns that could hold a person and that nobody has classified, at one site at least. They are closed, unless their server says otherwise.';
COMMENT ON COLUMN warehouse.unclassified.relation_schema IS 'Schema of the table.';
COMMENT ON COLUMN warehouse.unclassified.relation_name IS 'The table; merged tables once.';
COMMENT ON COLUMN warehouse.unclassified.column_name IS 'The column.';
COMMENT ON COLUMN warehouse.unclassified.type IS 'Its type.';
COMMENT ON COLUMN warehouse.unclassified.reads_as IS 'How it reads: null, error or clear, the server option unclassified.';

COMMENT ON FUNCTION warehouse.classify(regclass, text, text, text) IS
  'Sets the class and the mask of a column of a foreign table, or of all sites of a merged table. Without a mask it gets the default of its class and name; with neither the classification is removed. For the owner of the table and warehouse_admin.';
COMMENT ON FUNCTION warehouse.classify_schema(text, boolean, integer, boolean) IS
  'Detects what the unclassified columns of a schema''s foreign and merged tables hold, by name, type, comment and sampled values; applies what is sure and reports all. minors: the people may be children. For the owner of the tables and warehouse_admin.';

-- What a role sees ----------------------------------------------------------------------------------

CREATE FUNCTION warehouse.explain_policy(role name, relation regclass)
  RETURNS TABLE (column_name text, class text, mask text, sees text, why text)
  LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  asked oid := (SELECT r.oid FROM pg_roles r WHERE r.rolname = explain_policy.role);
  kind "char" := (SELECT c.relkind FROM pg_class c WHERE c.oid = explain_policy.relation);
  home oid := (SELECT c.relnamespace FROM pg_class c WHERE c.oid = explain_policy.relation);
  clear_right boolean;
BEGIN
  IF asked IS NULL THEN
    RAISE EXCEPTION 'role "%" does not exist', explain_policy.role USING ERRCODE = 'undefined_object';
  END IF;
  IF kind IS NULL OR kind NOT IN ('r', 'p', 'f', 'm') THEN
    RAISE EXCEPTION '% is no table', explain_policy.relation USING ERRCODE = 'wrong_object_type',
      HINT = 'A view shows of its tables what the policy of these says: ask for them.';
  END IF;
  -- As members are made: being superuser is no membership.
  clear_right := EXISTS (
    WITH RECURSIVE membership(oid) AS (
      SELECT asked UNION SELECT m.roleid FROM pg_auth_members m JOIN membership ON membership.oid = m.member
    )
    SELECT FROM membership JOIN pg_roles r ON r.oid = membership.oid WHERE r.rolname = 'warehouse_clear');
  RETURN QUERY
  WITH site AS (
    SELECT s.column_name AS name, s.class, s.mask, d.sees,
      CASE
        WHEN s.is_constant THEN 'a constant, like the site'
        WHEN s.is_missing THEN 'the source has no such column'
        WHEN s.class IS NOT NULL OR s.mask IS NOT NULL THEN
          concat_ws(', ', 'class ' || s.class, COALESCE('mask ' || s.mask, 'the mask of its class'))
        WHEN d.harmless THEN 'unclassified, and neither type ' || s.type || ' nor its name says that it holds a person'
        ELSE 'unclassified: option unclassified of server ' || quote_ident(s.server) || ' is ' || s.unclassified
      END AS why,
      NOT s.is_constant AND NOT s.is_missing AND d.sees <> 'clear' AS opens
    FROM warehouse.site_columns s
      CROSS JOIN LATERAL (SELECT
        CASE
          WHEN s.is_constant THEN 'clear'
          WHEN s.is_missing THEN 'null'
          ELSE warehouse.reads_as(s.column_name::text, s.type_oid, s.class, s.mask, s.unclassified)
        END AS sees,
        warehouse.reads_as(s.column_name::text, s.type_oid, NULL, NULL, 'error') = 'clear' AS harmless) d
    WHERE explain_policy.relation IN (s.relation, s.foreign_table)
  ), policy AS (
    SELECT s.name, string_agg(DISTINCT s.class, ' / ') AS class, string_agg(DISTINCT s.mask, ' / ') AS mask,
      string_agg(DISTINCT s.sees, ' / ') AS sees, string_agg(DISTINCT s.why, ' / ') AS why, bool_or(s.opens) AS opens
    FROM site s GROUP BY s.name
  )
  SELECT a.attname::text, p.class, p.mask,
    CASE WHEN r.missing IS NULL THEN COALESCE(p.sees, 'clear') ELSE 'nothing: no ' || r.missing || ' right' END,
    CASE
      WHEN r.missing IS NOT NULL THEN 'GRANT or warehouse.grant_read() would give it'
      WHEN p.name IS NULL THEN 'no foreign table: what is stored is read'
      WHEN p.opens AND clear_right THEN p.why || '; in clear only after SET warehouse.clear = on, as a member of warehouse_clear'
      WHEN p.opens THEN p.why || '; not a member of warehouse_clear'
      ELSE p.why
    END
  FROM pg_attribute a
    LEFT JOIN policy p ON p.name = a.attname
    CROSS JOIN LATERAL (SELECT
      CASE
        WHEN NOT has_schema_privilege(asked, home, 'USAGE') THEN 'USAGE'
        WHEN NOT has_column_privilege(asked, a.attrelid, a.attnum, 'SELECT') THEN 'SELECT'
      END AS missing) r
  WHERE a.attrelid = explain_policy.relation AND a.attnum > 0 AND NOT a.attisdropped
  ORDER BY a.attnum;
END
$$;
COMMENT ON FUNCTION warehouse.explain_policy(name, regclass) IS
  'What a role would see of each column of a table, and why: clear, masked, null, error or nothing.';

-- Rights --------------------------------------------------------------------------------------------

CREATE FUNCTION warehouse.grant_read(role name, schema text) RETURNS bigint
  LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  home oid := (SELECT n.oid FROM pg_namespace n WHERE n.nspname = grant_read.schema);
  tables text;
  granted bigint;
  refused text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = grant_read.role) THEN
    RAISE EXCEPTION 'role "%" does not exist', grant_read.role USING ERRCODE = 'undefined_object';
  END IF;
  IF home IS NULL THEN
    RAISE EXCEPTION 'schema "%" does not exist', grant_read.schema USING ERRCODE = 'invalid_schema_name';
  END IF;
  IF grant_read.schema IN ('warehouse', 'information_schema') OR grant_read.schema LIKE 'pg\_%'
    OR EXISTS (SELECT FROM pg_class c JOIN pg_class r ON r.oid = pg_partition_root(c.oid)
      WHERE c.relnamespace = home AND c.relispartition AND c.relkind = 'f' AND r.relnamespace <> home) THEN
    RAISE EXCEPTION 'schema "%" is not for readers', grant_read.schema USING ERRCODE = 'invalid_parameter_value',
      HINT = 'Readers see merged tables, not their sites: grant the schema of the merged tables.';
  END IF;
  SELECT string_agg(format('%I.%I', grant_read.schema, c.relname), ', ' ORDER BY c.relname), count(*)
    INTO tables, granted
    FROM pg_class c
    WHERE c.relnamespace = home AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e');
  EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', grant_read.schema, grant_read.role);
  IF tables IS NOT NULL THEN
    EXECUTE format('GRANT SELECT, REFERENCES ON %s TO %I', tables, grant_read.role);
  END IF;
  -- Who has a right but may not give it away gets a warning from GRANT, no error.
  SELECT c.oid::regclass::text INTO refused FROM pg_class c
    WHERE c.relnamespace = home AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
      AND NOT has_table_privilege(grant_read.role, c.oid, 'SELECT')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    LIMIT 1;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION 'the right to read % could not be granted', refused USING ERRCODE = 'insufficient_privilege',
      HINT = 'Its owner can grant it.';
  END IF;
  EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT, REFERENCES ON TABLES TO %I',
    grant_read.schema, grant_read.role);
  PERFORM warehouse.record(format('grant_read to %I on schema %I', grant_read.role, grant_read.schema), rows => granted);
  RETURN granted;
END
$$;
COMMENT ON FUNCTION warehouse.grant_read(name, text) IS
  'Gives a role USAGE on a schema, SELECT and REFERENCES on its tables and views but partitions, and on those that the caller creates in it later; returns how many there are. Uses the rights of the caller.';

CREATE TABLE warehouse.site_restrictions (
  role regrole NOT NULL,
  site text NOT NULL,
  PRIMARY KEY (role, site)
);
SELECT pg_catalog.pg_extension_config_dump('warehouse.site_restrictions', '');
COMMENT ON TABLE warehouse.site_restrictions IS
  'The sites that a role and its members see. A role that is not here sees all. Written by warehouse.restrict_sites().';
COMMENT ON COLUMN warehouse.site_restrictions.role IS 'The role; it may be renamed.';
COMMENT ON COLUMN warehouse.site_restrictions.site IS 'A site that it sees.';

CREATE FUNCTION warehouse.visible_sites() RETURNS text[]
  LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  -- The stricter of both roles. Superusers are members of what they were made members of.
  WITH RECURSIVE membership(oid) AS (
    SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname IN (current_user, session_user)
    UNION
    SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN membership ON membership.oid = m.member
  ), applies AS (
    SELECT s.role, s.site FROM warehouse.site_restrictions s JOIN membership ON membership.oid = s.role
  )
  SELECT CASE WHEN EXISTS (SELECT FROM applies) THEN ARRAY(
    SELECT a.site FROM applies a GROUP BY a.site
    HAVING pg_catalog.count(*) = (SELECT pg_catalog.count(DISTINCT b.role::oid) FROM applies b)
    ORDER BY a.site) END;
END;
COMMENT ON FUNCTION warehouse.visible_sites() IS
  'The sites that every restriction of the current and of the session user allows; NULL if there is none.';

CREATE FUNCTION warehouse.sees_site(site text) RETURNS boolean
  LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
  RETURN COALESCE(site = ANY (warehouse.visible_sites()), true);
COMMENT ON FUNCTION warehouse.sees_site(text) IS
  'Whether the current and the session user may see a site: false if one of them is a member of a role that is restricted to others.';

-- With the rights of the extension, so that the table is written by nothing but these functions. The
-- arguments are values; who called is recorded.
CREATE FUNCTION warehouse.restrict_sites(role name, sites text[]) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  restricted oid := (SELECT r.oid FROM pg_roles r WHERE r.rolname = restrict_sites.role);
  written bigint;
BEGIN
  IF restricted IS NULL THEN
    RAISE EXCEPTION 'role "%" does not exist', restrict_sites.role USING ERRCODE = 'undefined_object';
  END IF;
  IF COALESCE(cardinality(restrict_sites.sites), 0) = 0 OR array_position(restrict_sites.sites, NULL) IS NOT NULL THEN
    RAISE EXCEPTION 'sites must name at least one site' USING ERRCODE = 'invalid_parameter_value',
      HINT = 'REVOKE takes all rights away; warehouse.unrestrict_sites() takes the restriction away.';
  END IF;
  DELETE FROM warehouse.site_restrictions s WHERE s.role = restricted;
  INSERT INTO warehouse.site_restrictions (role, site)
    SELECT DISTINCT restricted::regrole, u.site FROM unnest(restrict_sites.sites) AS u(site);
  GET DIAGNOSTICS written = ROW_COUNT;
  PERFORM warehouse.restrictions_changed();
  PERFORM warehouse.record(format('restrict_sites of %I', restrict_sites.role), rows => written);
END
$$;
COMMENT ON FUNCTION warehouse.restrict_sites(name, text[]) IS
  'A role and its members see only these sites from now on, in place of those it was restricted to before.';

CREATE FUNCTION warehouse.unrestrict_sites(role name) RETURNS void
  LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  restricted oid := (SELECT r.oid FROM pg_roles r WHERE r.rolname = unrestrict_sites.role);
BEGIN
  IF restricted IS NULL THEN
    RAISE EXCEPTION 'role "%" does not exist', unrestrict_sites.role USING ERRCODE = 'undefined_object';
  END IF;
  DELETE FROM warehouse.site_restrictions s WHERE s.role = restricted;
  PERFORM warehouse.restrictions_changed();
  PERFORM warehouse.record(format('unrestrict_sites of %I', unrestrict_sites.role));
END
$$;
COMMENT ON FUNCTION warehouse.unrestrict_sites(name) IS 'Takes the restriction of a role to some sites away.';

COMMENT ON FUNCTION warehouse.restrictions_changed() IS
  'Internal. Has every session plan anew what depends on warehouse.site_restrictions.';
REVOKE ALL ON FUNCTION warehouse.restrictions_changed() FROM PUBLIC;

CREATE FUNCTION warehouse.restrict_table(relation regclass) RETURNS void
  LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND c.relkind IN ('r', 'p')) THEN
    RAISE EXCEPTION '% is no ordinary table', relation USING ERRCODE = 'wrong_object_type';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = 'site'
      AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid IN ('text'::regtype, 'varchar'::regtype)) THEN
    RAISE EXCEPTION '% has no column "site" of type text', relation USING ERRCODE = 'undefined_column';
  END IF;
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
  -- Views read with the rights of their owner, which would pass by the policy.
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', relation);
  IF EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = relation AND p.polname = 'warehouse_sites') THEN
    EXECUTE format('DROP POLICY warehouse_sites ON %s', relation);
  END IF;
  -- Subqueries run once a query, not once a row, and leave the column to an index.
  EXECUTE format('CREATE POLICY warehouse_sites ON %s USING ((SELECT warehouse.visible_sites()) IS NULL '
    'OR site = ANY ((SELECT warehouse.visible_sites())::text[]))', relation);
END
$$;
COMMENT ON FUNCTION warehouse.restrict_table(regclass) IS
  'Row level security for a table with a text column site: every role sees the rows that warehouse.sees_site(site) allows. Also the owner, so that views of the owner do not pass by it; superusers and views of theirs do, unless the view has security_invoker.';

-- How anonymous a table is --------------------------------------------------------------------------

CREATE FUNCTION warehouse.select_columns(relation regclass, columns text[], prefix text) RETURNS text
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  missing text;
BEGIN
  IF relation IS NULL OR COALESCE(cardinality(columns), 0) = 0 OR array_position(columns, NULL) IS NOT NULL THEN
    RAISE EXCEPTION 'name a relation and at least one column' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT u.name INTO missing FROM unnest(columns) AS u(name)
    WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = u.name
      AND a.attnum > 0 AND NOT a.attisdropped)
    LIMIT 1;
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'column "%" of relation % does not exist', missing, relation USING ERRCODE = 'undefined_column';
  END IF;
  RETURN (SELECT string_agg(format('t.%I AS %s%s', u.name, prefix, u.at), ', ' ORDER BY u.at)
    FROM unnest(columns) WITH ORDINALITY AS u(name, at));
END
$$;
COMMENT ON FUNCTION warehouse.select_columns(regclass, text[], text) IS
  'Internal. A select list of columns of t that are called prefix1, prefix2, ….';

CREATE FUNCTION warehouse.anonymity_groups(relation regclass, quasi text[], at_most integer DEFAULT 10)
  RETURNS TABLE (size bigint, groups bigint)
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  list text := (SELECT string_agg('q' || n, ', ') FROM generate_series(1, cardinality(quasi)) n);
BEGIN
  RETURN QUERY EXECUTE format(
    'SELECT c.size, count(*) FROM (SELECT count(*) AS size FROM (SELECT %s FROM %s AS t) AS r GROUP BY %s) AS c '
    'WHERE $1 IS NULL OR c.size <= $1 GROUP BY c.size ORDER BY c.size',
    warehouse.select_columns(relation, quasi, 'q'), relation, list) USING at_most;
END
$$;
COMMENT ON FUNCTION warehouse.anonymity_groups(regclass, text[], integer) IS
  'How many groups of rows agree in all quasi-identifiers, by size, up to a size (NULL: all). NULL equals NULL. Counts only, of what the caller sees.';

CREATE FUNCTION warehouse.k_anonymity(relation regclass, quasi text[]) RETURNS bigint
  LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'SELECT min(g.size) FROM warehouse.anonymity_groups(relation, quasi, NULL) AS g';
COMMENT ON FUNCTION warehouse.k_anonymity(regclass, text[]) IS
  'k: the size of the smallest group of rows that agree in all quasi-identifiers. NULL equals NULL. NULL for no rows.';

CREATE FUNCTION warehouse.l_diversity(relation regclass, quasi text[], sensitive text, method text DEFAULT 'distinct')
  RETURNS double precision
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  list text := (SELECT string_agg('q' || n, ', ') FROM generate_series(1, cardinality(quasi)) n);
  figure double precision;
BEGIN
  IF method IS NULL OR method NOT IN ('distinct', 'entropy') THEN
    RAISE EXCEPTION 'unknown method of l-diversity' USING ERRCODE = 'invalid_parameter_value',
      HINT = 'Methods are: distinct, entropy.';
  END IF;
  EXECUTE format(
    'SELECT min(c.l) FROM (SELECT %s AS l FROM ('
      'SELECT %3$s, s1, count(*)::float8 AS n, (sum(count(*)) OVER (PARTITION BY %3$s))::float8 AS size '
      'FROM (SELECT %4$s, %5$s FROM %2$s AS t) AS r GROUP BY %3$s, s1) AS v GROUP BY %3$s) AS c',
    CASE method WHEN 'distinct' THEN 'count(*)::float8' ELSE 'exp(-sum(n / size * ln(n / size)))' END,
    relation, list, warehouse.select_columns(relation, quasi, 'q'),
    warehouse.select_columns(relation, ARRAY[sensitive], 's')) INTO figure;
  RETURN figure;
END
$$;
COMMENT ON FUNCTION warehouse.l_diversity(regclass, text[], text, text) IS
  'l: the fewest values of a sensitive column in a group of rows that agree in all quasi-identifiers; with method entropy, the smallest effective number of them. NULL is a value. NULL for no rows.';

CREATE FUNCTION warehouse.t_closeness(relation regclass, quasi text[], sensitive text) RETURNS double precision
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  list text := (SELECT string_agg('q' || n, ', ') FROM generate_series(1, cardinality(quasi)) n);
  figure double precision;
BEGIN
  -- What a group lacks differs by its whole share: 1 less the shares of what the group has.
  EXECUTE format(
    'SELECT max(c.own + 1 - c.covered) / 2 FROM ('
      'SELECT sum(abs(n / size - everywhere / total)) AS own, sum(everywhere / total) AS covered FROM ('
        'SELECT %2$s, s1, count(*)::float8 AS n, (sum(count(*)) OVER (PARTITION BY %2$s))::float8 AS size, '
        '(sum(count(*)) OVER (PARTITION BY s1))::float8 AS everywhere, (sum(count(*)) OVER ())::float8 AS total '
        'FROM (SELECT %3$s, %4$s FROM %1$s AS t) AS r GROUP BY %2$s, s1) AS v GROUP BY %2$s) AS c',
    relation, list, warehouse.select_columns(relation, quasi, 'q'),
    warehouse.select_columns(relation, ARRAY[sensitive], 's')) INTO figure;
  RETURN figure;
END
$$;
COMMENT ON FUNCTION warehouse.t_closeness(regclass, text[], text) IS
  't: the greatest variational distance, 0 to 1, between the values of a sensitive column in a group of rows that agree in all quasi-identifiers and those in the whole table. NULL for no rows.';

CREATE FUNCTION warehouse.assert_anonymity(relation regclass, requirements jsonb) RETURNS void
  LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  item record;
  quasi text[];
  bound double precision;
  figure double precision;
  failures text[] := '{}';
BEGIN
  IF relation IS NULL OR requirements IS NULL OR jsonb_typeof(requirements) <> 'object' OR requirements = '{}' THEN
    RAISE EXCEPTION 'requirements must be an object that requires something' USING ERRCODE = 'invalid_parameter_value',
      HINT = 'As in {"k_anonymity": {"k": 5, "columns": ["zip", "birth_year"]}}.';
  END IF;
  FOR item IN
    SELECT e.key AS kind, a.value AS wanted, x.letter, x.allowed
    FROM jsonb_each(requirements) AS e
      -- An empty list is malformed: it would require nothing.
      CROSS JOIN LATERAL jsonb_array_elements(CASE
        WHEN e.value = '[]' THEN '[null]'
        WHEN jsonb_typeof(e.value) = 'array' THEN e.value
        ELSE jsonb_build_array(e.value) END) AS a
      LEFT JOIN (VALUES
        ('k_anonymity', 'k', ARRAY['k', 'columns']),
        ('l_diversity', 'l', ARRAY['l', 'columns', 'sensitive', 'method']),
        ('t_closeness', 't', ARRAY['t', 'columns', 'sensitive'])) AS x(kind, letter, allowed) ON x.kind = e.key
  LOOP
    IF item.letter IS NULL THEN
      RAISE EXCEPTION 'unknown requirement "%"', item.kind USING ERRCODE = 'invalid_parameter_value',
        HINT = 'Requirements are: k_anonymity, l_diversity, t_closeness.';
    END IF;
    IF jsonb_typeof(item.wanted) = 'object' THEN
      IF jsonb_typeof(item.wanted -> item.letter) = 'number'
        AND jsonb_typeof(item.wanted -> 'columns') = 'array'
        AND (item.letter = 'k' OR jsonb_typeof(item.wanted -> 'sensitive') = 'string')
        AND NOT EXISTS (SELECT FROM jsonb_object_keys(item.wanted) AS k(name) WHERE k.name <> ALL (item.allowed)) THEN
        bound := (item.wanted ->> item.letter)::float8;
        quasi := ARRAY(SELECT jsonb_array_elements_text(item.wanted -> 'columns'));
        figure := CASE item.letter
          WHEN 'k' THEN warehouse.k_anonymity(relation, quasi)
          WHEN 'l' THEN warehouse.l_diversity(relation, quasi, item.wanted ->> 'sensitive',
            COALESCE(item.wanted ->> 'method', 'distinct'))
          ELSE warehouse.t_closeness(relation, quasi, item.wanted ->> 'sensitive')
        END;
        -- Figures of logarithms and of fractions are compared with their last digits left out.
        IF item.letter = 't' AND figure > bound + 1e-9 OR item.letter <> 't' AND figure < bound - 1e-9 THEN
          failures := failures || format('%s over (%s) is %s, at %s %s is required', item.kind,
            (SELECT string_agg(quote_ident(q), ', ') FROM unnest(quasi) AS u(q)), trim_scale(round(figure::numeric, 6)),
            CASE item.letter WHEN 't' THEN 'most' ELSE 'least' END, bound);
        END IF;
        CONTINUE;
      END IF;
    END IF;
    RAISE EXCEPTION 'malformed requirement "%"', item.kind USING ERRCODE = 'invalid_parameter_value',
      HINT = format('It is an object, or a list of them, of: %s.', array_to_string(item.allowed, ', '));
  END LOOP;
  IF failures <> '{}' THEN
    RAISE EXCEPTION '% is not anonymous enough', relation USING ERRCODE = 'check_violation',
      DETAIL = array_to_string(failures, '; ') || '.',
      HINT = 'warehouse.anonymity_groups() counts the groups that are too small; generalize the columns further, or leave one out.';
  END IF;
END
$$;
COMMENT ON FUNCTION warehouse.assert_anonymity(regclass, jsonb) IS
  'Fails with SQLSTATE 23514 and the figures if a table is less anonymous than required: {"k_anonymity": {"k", "columns"}, "l_diversity": {"l", "columns", "sensitive", "method"}, "t_closeness": {"t", "columns", "sensitive"}}, each one object or a list. A table without rows passes.';

-- Rights --------------------------------------------------------------------------------------------

-- classify() and classify_schema() ask for the ownership of the table or warehouse_admin themselves;
-- what measures runs with the rights of the caller.
REVOKE ALL ON FUNCTION warehouse.record(text, text, text[], bigint, bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.grant_read(name, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.restrict_sites(name, text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.unrestrict_sites(name) FROM PUBLIC;
-- record() adds entries in the name of who calls it; grant_read() needs it.
GRANT EXECUTE ON FUNCTION warehouse.record(text, text, text[], bigint, bigint), warehouse.grant_read(name, text),
  warehouse.restrict_sites(name, text[]), warehouse.unrestrict_sites(name) TO warehouse_admin;
GRANT SELECT ON warehouse.audit TO warehouse_admin;
-- Whoever reads a column under the mask zip3 reads it.
GRANT SELECT ON warehouse.zip3_population TO PUBLIC;
GRANT INSERT, UPDATE, DELETE, TRUNCATE ON warehouse.zip3_population TO warehouse_admin;
-- visible_sites() reads it with the rights of whoever asks, whose roles count.
GRANT SELECT ON warehouse.site_restrictions, warehouse.site_columns, warehouse.columns, warehouse.unclassified TO PUBLIC;
