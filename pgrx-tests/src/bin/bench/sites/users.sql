-- The people of one site, who registered over the two years up to :'until', no two of them, of whatever
-- site, at the same moment.
SET synchronous_commit = off;

CREATE SCHEMA app;
CREATE TYPE app.user_kind AS ENUM ('student', 'parent', 'teacher');

CREATE TABLE app.users (
  id bigint NOT NULL,
  kind app.user_kind NOT NULL,
  country text NOT NULL,
  name text NOT NULL,
  email text,
  created_at timestamptz NOT NULL
);
-- One in :users / 33 is from Liechtenstein.
INSERT INTO app.users
SELECT i,
       (enum_range(NULL::app.user_kind))[1 + (i * 7 + i / 5) % 3],
       CASE WHEN i % (:users / 33) = 5 THEN 'LI'
            ELSE (ARRAY['US', 'CA', 'GB', 'DE', 'FR', 'MX', 'IN', 'AU'])[1 + (i * i + i / 3) % 8] END,
       'Person ' || i,
       CASE WHEN i % 11 <> 0 THEN 'person' || i || '@example.com' END,
       :'until'::timestamptz - interval '730 days' * (1 - (i + :number / 7.0) / (:users + 1))
FROM generate_series(1::bigint, :users) i;
ALTER TABLE app.users ADD PRIMARY KEY (id);

-- The same with the site in it, for who cannot add it.
CREATE SCHEMA sited;
CREATE VIEW sited.users AS SELECT :'site'::text AS site, * FROM app.users;

VACUUM (FREEZE, ANALYZE) app.users;
