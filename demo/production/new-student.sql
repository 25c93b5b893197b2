-- Somebody joins right now and pays.
SET search_path = :"schema";
INSERT INTO users (kind, email, first_name, last_name, country)
VALUES ('student', 'nora.new@miacademy.example', 'Nora', 'New', 'US')
RETURNING id AS user_id \gset
INSERT INTO payments (user_id, purpose, status, amount) VALUES (:user_id, 'registration', 'succeeded', 29.99);
\echo :user_id
