-- What the functions of the library build on. Runs first.

COMMENT ON SCHEMA warehouse IS
  'The warehouse extension: live replicas as tables, merged over several sites.';
