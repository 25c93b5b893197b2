-- What the analyst sees of payers and of leads: as little as of users.
SELECT id, customer_id, customer_email, card_last_4, status, amount
FROM braintree.transactions WHERE created_at > now() - interval '2 days' LIMIT 3;
SELECT name, e_mail, site, team, stage, notes FROM crm.leads LIMIT 3;

-- One SELECT over an Airtable base, the users and payments of four sites, and Braintree. The base knows
-- people by their e-mail address alone: equal addresses are equal pseudonyms, and those join.
SELECT l.team, l.stage, count(DISTINCT (u.site, u.id)) AS students, count(t.id) AS payments,
       count(t.id) FILTER (WHERE t.status IN ('gateway_rejected', 'processor_declined')) AS not_completed,
       sum(t.amount) FILTER (WHERE t.status IN ('settled', 'submitted_for_settlement')) AS paid
FROM crm.leads l
JOIN main.users u ON u.site = l.site AND u.email = l.e_mail
JOIN main.payments p ON p.site = u.site AND p.user_id = u.id
JOIN braintree.transactions t ON t.id = p.braintree_id
GROUP BY l.team, l.stage
ORDER BY l.team, l.stage;
