-- Four sites become one table each, with a column `site`.
SELECT * FROM warehouse.merge_schema(
  local_schema => 'main',
  sources => '[{"server": "miacademy_main", "schema": "miacademy", "site": "miacademy"},
               {"server": "aicd_main",      "schema": "ai",        "site": "ai"},
               {"server": "aicd_main",      "schema": "cd",        "site": "cd"},
               {"server": "miaprep_main",   "schema": "app",       "site": "miaprep"}]');

-- The same for what the sites write all day long.
SELECT * FROM warehouse.merge_schema(
  local_schema => 'activity',
  sources => '[{"server": "miacademy_writemostly", "schema": "miacademy", "site": "miacademy"},
               {"server": "aicd_writemostly",      "schema": "ai",        "site": "ai"},
               {"server": "aicd_writemostly",      "schema": "cd",        "site": "cd"},
               {"server": "miaprep_writemostly",   "schema": "app",       "site": "miaprep"}]');

-- Lists that belong to no site come as they are.
CREATE SCHEMA meta;
IMPORT FOREIGN SCHEMA meta FROM SERVER miacademy_main INTO meta;
