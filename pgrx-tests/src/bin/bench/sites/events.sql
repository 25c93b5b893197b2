-- What the people of one site did, in the order in which it happened. Some of it soon after they
-- registered. Around 30 days ago nothing happened for some hours, so that "the last 30 days" is the
-- same all the time that a run takes.
SET synchronous_commit = off;

CREATE TABLE app.events (
  id bigint NOT NULL,
  user_id bigint NOT NULL,
  kind text NOT NULL,
  created_at timestamptz NOT NULL,
  amount numeric(10,2) NOT NULL,
  payload text
);
INSERT INTO app.events
WITH done AS (
  SELECT i, u.id AS user_id,
         u.created_at + LEAST(CASE WHEN i % 3 = 0 THEN interval '14 days' ELSE interval '730 days' END,
                              :'until'::timestamptz - u.created_at) * (i * 7919 % 1000003 / 1000003.0) AS at
  FROM generate_series(1::bigint, :rows) i
    JOIN app.users u ON u.id = 1 + (hashint8(i)::bigint & 2147483647) % :users
), moved AS (
  SELECT i, user_id,
         CASE WHEN abs(extract(epoch FROM :'until'::timestamptz - interval '30 days' - at)) < 4 * 3600
              THEN at - interval '8 hours' ELSE at END AS at
  FROM done
)
SELECT row_number() OVER (ORDER BY at, i), user_id,
       (ARRAY['login', 'lesson', 'quiz', 'payment', 'message', 'logout', 'badge', 'report'])
         [1 + (hashint8(i * 3) & 7)],
       at,
       -- A few are larger than all others, and no two of them the same.
       CASE WHEN i % (:rows / 50) = 7 THEN 20000 - 3 * (i / (:rows / 50)) - :number
            ELSE (hashint8(i * 31)::bigint & 2147483647) % 1000000 / 100.0 END,
       CASE WHEN i % 7 <> 0 THEN md5(i::text) || md5((-i)::text) END
FROM moved;
ALTER TABLE app.events ADD PRIMARY KEY (id);
CREATE INDEX ON app.events (user_id);
CREATE INDEX ON app.events (created_at);

CREATE VIEW sited.events AS SELECT :'site'::text AS site, * FROM app.events;

-- Four small ones of the same shape: planning is the same over small tables.
SELECT format(
  'CREATE SCHEMA small%1$s; CREATE SCHEMA sited_small%1$s; '
  'CREATE TABLE small%1$s.users (LIKE app.users INCLUDING ALL); '
  'CREATE TABLE small%1$s.events (LIKE app.events INCLUDING ALL); '
  'INSERT INTO small%1$s.users SELECT * FROM app.users WHERE id %% 20 = %1$s AND id <= 20000; '
  'INSERT INTO small%1$s.events SELECT * FROM app.events WHERE user_id %% 20 = %1$s AND user_id <= 20000; '
  'CREATE VIEW sited_small%1$s.users AS SELECT ''%2$s%1$s''::text AS site, * FROM small%1$s.users; '
  'CREATE VIEW sited_small%1$s.events AS SELECT ''%2$s%1$s''::text AS site, * FROM small%1$s.events',
  n, :'site')
FROM generate_series(1, 4) n
\gexec

VACUUM (FREEZE, ANALYZE);
CHECKPOINT;
