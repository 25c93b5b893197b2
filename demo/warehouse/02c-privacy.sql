-- Nobody has said what may be seen: text reads NULL. First a key, for pseudonyms that join everywhere.
ALTER SYSTEM SET warehouse.key_file = :'key_file';
SELECT pg_reload_conf() \g /dev/null
SELECT pg_sleep(0.3) \g /dev/null
SELECT length(warehouse.create_key()) > 0 AS key_created;

-- What is sure is applied; each column comes with its evidence.
SELECT relation, column_name, class, mask, certainty, applied
FROM warehouse.classify_schema('main')
WHERE class <> 'public'
ORDER BY relation, column_name;

-- What waits for somebody who knows the data.
SELECT relation_name, column_name, type, reads_as FROM warehouse.unclassified WHERE relation_schema = 'main';
SELECT warehouse.classify('main.users', 'country', class => 'quasi', mask => 'keep');
SELECT warehouse.classify('main.users', 'settings', class => 'sensitive');

-- The data-protection officer may see clear text, when she says so.
GRANT warehouse_clear TO officer;
GRANT USAGE ON SCHEMA main TO officer;
GRANT SELECT ON main.users TO officer;
SELECT column_name, sees FROM warehouse.explain_policy('officer', 'main.users') WHERE sees <> 'clear';
