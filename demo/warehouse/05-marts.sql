-- Tables that keep themselves fresh: people, logins by day, registrations by week. Each is an ordinary
-- table; a background worker brings it up to date every two seconds, moving what has changed.
CREATE SCHEMA mart;
SELECT warehouse.materialize('mart.users',
  'SELECT site, id, kind, country, created_at, updated_at FROM main.users',
  unique_key => '{site,id}', capture => 'xmin', schedule => 'every 2 seconds', reconcile => '1 hour',
  description => 'Everybody with an account, without personal data', warn_after => '1 minute');
SELECT warehouse.materialize('mart.logins_by_day',
  $$SELECT site, (at AT TIME ZONE 'UTC')::date AS day, count(*) AS logins FROM activity.logins GROUP BY 1, 2$$,
  unique_key => '{site,day}', event_time => 'day', lookback => '1 day', schedule => 'every 2 seconds');
-- An aggregate of a materialized table follows it, in the same transaction.
SELECT warehouse.materialize('mart.registrations_by_week',
  $$SELECT site, date_trunc('week', created_at AT TIME ZONE 'UTC')::date AS week, count(*) AS users
    FROM mart.users GROUP BY 1, 2$$,
  capture => 'change');
SELECT warehouse.grant_read('analyst', 'mart');
SELECT relation, strategy, capture, schedule FROM warehouse.materializations ORDER BY relation::text;
