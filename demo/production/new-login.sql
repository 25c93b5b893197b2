-- And logs in for the first time.
INSERT INTO :"schema".logins (user_id, ip, user_agent) VALUES (:user_id, '192.0.2.7', 'Mozilla/5.0 (iPad)');
