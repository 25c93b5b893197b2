-- The foreign data wrappers for HTTP APIs.

CREATE FUNCTION warehouse.braintree_fdw_handler() RETURNS fdw_handler
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'warehouse_api_fdw_handler';
COMMENT ON FUNCTION warehouse.braintree_fdw_handler() IS
  'Handler of the foreign data wrapper braintree_fdw. Postgres calls it.';
CREATE FUNCTION warehouse.braintree_fdw_validator(text[], oid) RETURNS void
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'warehouse_braintree_fdw_validator';
COMMENT ON FUNCTION warehouse.braintree_fdw_validator(text[], oid) IS
  'Checks the options of servers, user mappings, tables and columns of braintree_fdw. Postgres calls it.';
CREATE FOREIGN DATA WRAPPER braintree_fdw
  HANDLER warehouse.braintree_fdw_handler VALIDATOR warehouse.braintree_fdw_validator;
COMMENT ON FOREIGN DATA WRAPPER braintree_fdw IS
  'Transactions, customers, subscriptions and disputes of Braintree as read-only tables.';

CREATE FUNCTION warehouse.airtable_fdw_handler() RETURNS fdw_handler
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'warehouse_api_fdw_handler';
COMMENT ON FUNCTION warehouse.airtable_fdw_handler() IS
  'Handler of the foreign data wrapper airtable_fdw. Postgres calls it.';
CREATE FUNCTION warehouse.airtable_fdw_validator(text[], oid) RETURNS void
  LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'warehouse_airtable_fdw_validator';
COMMENT ON FUNCTION warehouse.airtable_fdw_validator(text[], oid) IS
  'Checks the options of servers, user mappings, tables and columns of airtable_fdw. Postgres calls it.';
CREATE FOREIGN DATA WRAPPER airtable_fdw
  HANDLER warehouse.airtable_fdw_handler VALIDATOR warehouse.airtable_fdw_validator;
COMMENT ON FOREIGN DATA WRAPPER airtable_fdw IS
  'Bases of Airtable as schemas of read-only tables.';
