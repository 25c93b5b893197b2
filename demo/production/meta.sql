-- Lists that belong to no site.
CREATE SCHEMA meta;
SET search_path = meta;

CREATE TABLE countries (
  code text PRIMARY KEY CHECK (code ~ '^[A-Z]{2}$'),
  name text NOT NULL
);
COMMENT ON TABLE countries IS 'Countries by their ISO 3166-1 alpha-2 code';
INSERT INTO countries VALUES
  ('US', 'United States'), ('CA', 'Canada'), ('GB', 'United Kingdom'), ('AU', 'Australia'), ('DE', 'Germany');

CREATE TABLE plans (
  plan    text PRIMARY KEY,
  name    text NOT NULL,
  price   numeric(10,2) NOT NULL,
  months  smallint NOT NULL
);
COMMENT ON TABLE plans IS 'What can be subscribed to';
COMMENT ON COLUMN plans.price IS 'US dollars a month';
INSERT INTO plans VALUES
  ('monthly', 'Month by month', 39.99, 1), ('yearly', 'One year', 29.99, 12), ('family', 'Family, one year', 24.50, 12);
ANALYZE countries, plans;
