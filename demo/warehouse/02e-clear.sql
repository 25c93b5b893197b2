-- Masked to her as well, until she asks for clear text. That is written to the server's log.
SET warehouse.clear = on;
SELECT site, first_name, last_name, email, birth_date, country
FROM main.users WHERE kind = 'student' AND id < 8 ORDER BY site, id LIMIT 4;
