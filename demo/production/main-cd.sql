-- This site is the oldest of the four and never asked for a date of birth.
ALTER TABLE :"schema".users DROP COLUMN birth_date;
