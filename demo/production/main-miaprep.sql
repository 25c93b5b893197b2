-- This site prepares for college and knows the year each student will graduate.
SET search_path = :"schema";
ALTER TABLE users ADD COLUMN graduation_year smallint;
COMMENT ON COLUMN users.graduation_year IS 'When the student leaves high school';
UPDATE users SET graduation_year = extract(year FROM birth_date)::smallint + 18 WHERE kind = 'student';
ANALYZE users;
