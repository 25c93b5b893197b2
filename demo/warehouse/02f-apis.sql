-- Braintree and Airtable become tables too. Keys lie in user mappings alone.
CREATE SERVER braintree FOREIGN DATA WRAPPER braintree_fdw
  OPTIONS (endpoint :'braintree_url', merchant_id :'merchant_id');
CREATE USER MAPPING FOR PUBLIC SERVER braintree OPTIONS (public_key :'public_key', private_key :'private_key');
CREATE SCHEMA braintree;
IMPORT FOREIGN SCHEMA braintree FROM SERVER braintree INTO braintree;

CREATE SERVER airtable FOREIGN DATA WRAPPER airtable_fdw OPTIONS (endpoint :'airtable_url');
CREATE USER MAPPING FOR PUBLIC SERVER airtable OPTIONS (token :'airtable_token');
CREATE SCHEMA crm;
IMPORT FOREIGN SCHEMA "Admissions" FROM SERVER airtable INTO crm;

-- Import has closed what says who somebody is. What nobody can tell is opened by who knows the data.
SELECT warehouse.classify('crm.leads', 'site', class => 'public');
SELECT warehouse.classify('crm.leads', 'team', class => 'public');
SELECT warehouse.classify('crm.leads', 'stage', class => 'public');
SELECT warehouse.classify('main.payments', 'braintree_id', class => 'public');

-- The planner learns how many rows there are, by a small sample of what may be seen of them.
SET default_statistics_target = 2;
ANALYZE braintree.transactions, crm.leads;

GRANT USAGE ON SCHEMA braintree, crm TO analyst;
GRANT SELECT ON ALL TABLES IN SCHEMA braintree, crm TO analyst;
SELECT relation_schema, count(DISTINCT relation_name) AS tables, count(*) AS columns,
       count(*) FILTER (WHERE class = 'identifier') AS say_who_somebody_is
FROM warehouse.columns WHERE relation_schema IN ('braintree', 'crm') GROUP BY 1 ORDER BY 1;
