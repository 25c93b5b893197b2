-- The same query, whoever asks.
SELECT site, first_name, last_name, email, birth_date, country
FROM main.users WHERE kind = 'student' AND id < 8 ORDER BY site, id LIMIT 4;
