-- A student has just joined miacademy, paid and logged in. Here she is, and this week counts her.
SELECT site, first_name, last_name, country, date_trunc('second', created_at) AS joined
FROM main.users
WHERE email = 'nora.new@miacademy.example';

\set weeks 1
\set ECHO none
\ir 03-question.sql
