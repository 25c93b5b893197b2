-- The change has arrived by itself. How fresh everything is, and what the workers did:
SELECT site, max(created_at) > now() - interval '10 minutes' AS has_a_newcomer, count(*) AS users
FROM mart.users GROUP BY site ORDER BY site;
SELECT relation_name, source, status, date_trunc('second', age) AS age, rows FROM warehouse.freshness ORDER BY 1, 2;
SELECT relation, cause, status, capture, fetched, inserted, updated FROM warehouse.runs
WHERE inserted + updated > 0 ORDER BY id DESC LIMIT 4;
