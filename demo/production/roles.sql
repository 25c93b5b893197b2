-- What a production cluster has to offer: one role that may read everything and write nothing.
CREATE ROLE analytics LOGIN PASSWORD :'analytics_password';
ALTER ROLE analytics SET default_transaction_read_only = on;
GRANT pg_read_all_data TO analytics;
