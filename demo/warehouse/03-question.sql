-- How many students registered each week, site by site? Accounts that never logged in because the
-- payment during registration was not completed do not count.
--
-- People and payments are in one database of each site, logins in another. Whether a payment was
-- completed is what Braintree says of it.
\if :{?weeks} \else \set weeks 12 \endif

WITH students AS (
  SELECT site, id AS user_id, date_trunc('week', created_at)::date AS week
  FROM main.users
  WHERE kind = 'student'
    AND created_at >= date_trunc('week', now()) - :weeks * interval '1 week' + interval '1 week'
), incomplete AS (
  SELECT id
  FROM braintree.transactions
  WHERE status IN ('authorization_expired', 'failed', 'gateway_rejected', 'processor_declined', 'voided')
    AND created_at >= date_trunc('week', now()) - :weeks * interval '1 week' + interval '1 week'
), unpaid AS (
  SELECT site, user_id
  FROM main.payments LEFT JOIN incomplete ON incomplete.id = payments.braintree_id
  WHERE purpose = 'registration'
    AND created_at >= date_trunc('week', now()) - :weeks * interval '1 week' + interval '1 week'
  GROUP BY site, user_id
  HAVING bool_and(incomplete.id IS NOT NULL)
), seen AS (
  SELECT DISTINCT site, user_id
  FROM activity.logins
)
SELECT week,
       count(*) FILTER (WHERE site = 'miacademy') AS miacademy,
       count(*) FILTER (WHERE site = 'ai')        AS ai,
       count(*) FILTER (WHERE site = 'cd')        AS cd,
       count(*) FILTER (WHERE site = 'miaprep')   AS miaprep,
       count(*)                                   AS all_sites
FROM students
LEFT JOIN unpaid USING (site, user_id)
LEFT JOIN seen USING (site, user_id)
WHERE unpaid.user_id IS NULL OR seen.user_id IS NOT NULL
GROUP BY week
ORDER BY week;
