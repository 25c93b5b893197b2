-- Comments and rights of the functions about masks and keys. Runs after they exist.

COMMENT ON FUNCTION warehouse.create_key() IS
  'Makes the file of warehouse.key_file with a new random key and returns the key''s fingerprint. It refuses to overwrite a file. Superusers only; not undone by a rollback. Keep a copy of the file in a safe place.';
COMMENT ON FUNCTION warehouse.rotate_key(text) IS
  'Gives a domain a new key version, which masks from now on, and returns its number. Tokens of older versions stay readable; new pseudonyms do not join old ones. Superusers only; not undone by a rollback.';
COMMENT ON FUNCTION warehouse.shred_key(text, integer) IS
  'Makes an old key version of a domain unusable: ''erased'' if nobody can derive it again, ''refused'' if it still follows from the root key, because the domain was not registered when it was first used. Copies of the key file are not touched. Superusers only; not undone by a rollback.';
COMMENT ON FUNCTION warehouse.register_domain(text) IS
  'Gives a domain a first key version that can be erased later. False if the domain is known already. Call it before the first value of the domain is masked. Superusers only; not undone by a rollback.';
COMMENT ON FUNCTION warehouse.keys() IS
  'The key versions of all registered or rotated domains: current, readable (reveals tokens) or shredded. Never a key. Superusers only.';
COMMENT ON FUNCTION warehouse.partial(text, integer, text, integer) IS
  'The first and last characters of a text with pad for all between; pad alone if nothing would be hidden.';
COMMENT ON FUNCTION warehouse.partial_email(text) IS
  'The first letters of an e-mail address and of its host, as an******@ex******.com.';
COMMENT ON FUNCTION warehouse.partial_phone(text) IS
  'The last two digits of a phone number, as ******07.';
COMMENT ON FUNCTION warehouse.partial_card(text) IS
  'The last four digits of a card number, as ************1111.';
COMMENT ON FUNCTION warehouse.partial_url(text) IS
  'Scheme and host of a URL.';
COMMENT ON FUNCTION warehouse.initial(text) IS
  'The first letter of each word.';
COMMENT ON FUNCTION warehouse.ip_prefix(inet, integer, integer) IS
  'The network of the first v4 bits of an IPv4 address, or v6 bits of an IPv6 address.';
COMMENT ON FUNCTION warehouse.zip3(text) IS
  'The first three digits of a US ZIP code where more than 20,000 people live, else 000; NULL for what is no ZIP code. By warehouse.zip3_population, or by the census of 2000 while that is empty.';
COMMENT ON FUNCTION warehouse.pseudonym(text, text) IS
  'A pseudonym: 32 hexadecimal digits, the same for all spellings of the same value within a domain, and unlinkable between domains. Pseudonymous is not anonymous. Needs a key.';
COMMENT ON FUNCTION warehouse.pseudonym(bigint, text) IS
  'A pseudonym: 32 hexadecimal digits, the same for all spellings of the same value within a domain, and unlinkable between domains. Pseudonymous is not anonymous. Needs a key.';
COMMENT ON FUNCTION warehouse.pseudonym(uuid, text) IS
  'A pseudonym: 32 hexadecimal digits as a UUID, the same for all spellings of the same value within a domain, and unlinkable between domains. Pseudonymous is not anonymous. Needs a key.';
COMMENT ON FUNCTION warehouse.token(text, text) IS
  'A token for a text, the same for the same text, which warehouse.reveal reads with the same domain. Needs a key.';
COMMENT ON FUNCTION warehouse.reveal(text, text) IS
  'The text that a token stands for. Only for members of warehouse_clear, both as the session''s role and as the current one; being a superuser is not enough. Needs a key.';
COMMENT ON FUNCTION warehouse.fpe(text, text) IS
  'A text with its digits encrypted (FF1): digits stay digits, separators stay. At least six digits. Needs a key.';
COMMENT ON FUNCTION warehouse.fpe(bigint, text) IS
  'A bigint encrypted (FF1) as a bigint. Needs a key.';
COMMENT ON FUNCTION warehouse.fpe(integer, text) IS
  'An integer encrypted (FF1) as an integer. Needs a key.';
COMMENT ON FUNCTION warehouse.fpe(text, text, text) IS
  'A text with the characters of an alphabet encrypted (FF1) as characters of that alphabet. Needs a key.';
COMMENT ON FUNCTION warehouse.hash(text, text) IS
  'A keyed hash of the exact text, for equality alone. Needs a key.';
COMMENT ON FUNCTION warehouse.fake_first_name(text, text, text, boolean) IS
  'A made-up first name, the same for the same value. With is_unique two values never share one. Locales: en, de, es, fr. Needs a key.';
COMMENT ON FUNCTION warehouse.fake_last_name(text, text, text, boolean) IS
  'A made-up last name, the same for the same value. With is_unique two values never share one. Locales: en, de, es, fr. Needs a key.';
COMMENT ON FUNCTION warehouse.fake_full_name(text, text, text, boolean) IS
  'A made-up first and last name, the same for the same value. With is_unique two values never share one. Locales: en, de, es, fr. Needs a key.';
COMMENT ON FUNCTION warehouse.fake_email(text, text, text, boolean) IS
  'A made-up e-mail address in a domain that nobody has, the same for the same value. With is_unique two values never share one. Locales: en, de, es, fr. Needs a key.';
COMMENT ON FUNCTION warehouse.fake_phone(text, text, text, boolean) IS
  'A made-up phone number that nobody has, the same for the same value. With is_unique two values never share one. Locales: en, de, es, fr. Needs a key.';
COMMENT ON FUNCTION warehouse.fake_street(text, text, text, boolean) IS
  'A made-up street with a number, the same for the same value. With is_unique two values never share one. Locales: en, de, es, fr. Needs a key.';
COMMENT ON FUNCTION warehouse.fake_city(text, text, text, boolean) IS
  'A made-up city, the same for the same value. With is_unique two values never share one. Locales: en, de, es, fr. Needs a key.';
COMMENT ON FUNCTION warehouse.fake_company(text, text, text, boolean) IS
  'A made-up company, the same for the same value. With is_unique two values never share one. Locales: en, de, es, fr. Needs a key.';
COMMENT ON FUNCTION warehouse.fake_user_name(text, text, text, boolean) IS
  'A made-up user name, the same for the same value. With is_unique two values never share one. Locales: en, de, es, fr. Needs a key.';
COMMENT ON FUNCTION warehouse.fake_distinct_outputs(text, text) IS
  'How many different values a fake has in a locale. Among n inputs expect about n * n / (2 * outputs) pairs that share one.';
COMMENT ON FUNCTION warehouse.generalize(integer, integer) IS
  'The greatest multiple of step that is not above the value.';
COMMENT ON FUNCTION warehouse.generalize(bigint, bigint) IS
  'The greatest multiple of step that is not above the value.';
COMMENT ON FUNCTION warehouse.generalize(numeric, numeric) IS
  'The greatest multiple of step that is not above the value.';
COMMENT ON FUNCTION warehouse.generalize(date, text) IS
  'The begin of the unit that the value lies in: minute, hour, day, week, month, quarter, year, decade or century.';
COMMENT ON FUNCTION warehouse.generalize(timestamp, text) IS
  'The begin of the unit that the value lies in: minute, hour, day, week, month, quarter, year, decade or century.';
COMMENT ON FUNCTION warehouse.generalize(timestamptz, text) IS
  'The begin of the unit that the value lies in: minute, hour, day, week, month, quarter, year, decade or century. Units are of UTC.';
COMMENT ON FUNCTION warehouse.generalize_range(integer, integer) IS
  'The step of this width that the value lies in, as a range.';
COMMENT ON FUNCTION warehouse.generalize_range(bigint, bigint) IS
  'The step of this width that the value lies in, as a range.';
COMMENT ON FUNCTION warehouse.generalize_range(numeric, numeric) IS
  'The step of this width that the value lies in, as a range.';
COMMENT ON FUNCTION warehouse.generalize_range(date, text) IS
  'The unit that the value lies in, as a range: minute, hour, day, week, month, quarter, year, decade or century.';
COMMENT ON FUNCTION warehouse.generalize_range(timestamp, text) IS
  'The unit that the value lies in, as a range: minute, hour, day, week, month, quarter, year, decade or century.';
COMMENT ON FUNCTION warehouse.generalize_range(timestamptz, text) IS
  'The unit that the value lies in, as a range: minute, hour, day, week, month, quarter, year, decade or century. Units are of UTC.';
COMMENT ON FUNCTION warehouse.bands(bigint, bigint[]) IS
  'The range between two of the bounds that a number lies in, open at the ends. The bounds ascend.';
COMMENT ON FUNCTION warehouse.age_of(date) IS
  'The age in years at the start of the transaction, with 90 and above as 90; NULL for a birth in the future.';
COMMENT ON FUNCTION warehouse.age_band(date, integer) IS
  'The age in bands of width years, with 90 and above in one.';
COMMENT ON FUNCTION warehouse.noise(integer, text, text, text) IS
  'The value with evenly distributed noise of at most amount to either side, the same for the same entity: ''10'' or ''10%''. Needs a key.';
COMMENT ON FUNCTION warehouse.noise(bigint, text, text, text) IS
  'The value with evenly distributed noise of at most amount to either side, the same for the same entity: ''10'' or ''10%''. Needs a key.';
COMMENT ON FUNCTION warehouse.noise(numeric, text, text, text) IS
  'The value with evenly distributed noise of at most amount to either side, the same for the same entity: ''10'' or ''10%''. Needs a key.';
COMMENT ON FUNCTION warehouse.noise(double precision, text, text, text) IS
  'The value with evenly distributed noise of at most amount to either side, the same for the same entity: ''10'' or ''10%''. Needs a key.';
COMMENT ON FUNCTION warehouse.noise(timestamptz, text, text, text) IS
  'The value with evenly distributed noise of at most amount to either side, the same for the same entity: ''3 days''. Needs a key.';
COMMENT ON FUNCTION warehouse.date_shift(date, text, integer, text) IS
  'The value moved by 1 to days days to either side, all of an entity alike. Needs a key.';
COMMENT ON FUNCTION warehouse.date_shift(timestamp, text, integer, text) IS
  'The value moved by 1 to days days to either side, all of an entity alike. Needs a key.';
COMMENT ON FUNCTION warehouse.date_shift(timestamptz, text, integer, text) IS
  'The value moved by 1 to days days to either side, all of an entity alike. Needs a key.';
COMMENT ON FUNCTION warehouse.redact(text) IS
  'Free text without e-mail addresses, phone, card and account numbers, IBANs, social security numbers, IP addresses and URLs with credentials.';
COMMENT ON FUNCTION warehouse.redact(text, text[]) IS
  'Free text without e-mail addresses, phone, card and account numbers, IBANs, social security numbers, IP addresses and URLs with credentials, and without the words of these names.';
COMMENT ON FUNCTION warehouse.mask_json(jsonb, text) IS
  'JSON under the mask json(...), as json(''$.email'' => pseudonym(person), rest => keep). What no path matches becomes null unless rest => keep. Needs a key if one of its masks does.';
COMMENT ON FUNCTION warehouse.mask(text, text) IS
  'A text under any mask, as partial(1, ''***'', 2). Needs a key if the mask does.';

-- Whoever may compute a keyed value can try a dictionary, so that nobody may who was not granted it.
-- reveal() asks for the membership itself.
REVOKE ALL ON FUNCTION warehouse.pseudonym(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.pseudonym(bigint, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.pseudonym(uuid, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.token(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.fpe(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.fpe(bigint, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.fpe(integer, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.fpe(text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.hash(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.fake_first_name(text, text, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.fake_last_name(text, text, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.fake_full_name(text, text, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.fake_email(text, text, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.fake_phone(text, text, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.fake_street(text, text, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.fake_city(text, text, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.fake_company(text, text, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.fake_user_name(text, text, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.noise(integer, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.noise(bigint, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.noise(numeric, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.noise(double precision, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.noise(timestamptz, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.date_shift(date, text, integer, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.date_shift(timestamp, text, integer, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.date_shift(timestamptz, text, integer, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.mask_json(jsonb, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.mask(text, text) FROM PUBLIC;

-- The functions ask for a superuser themselves.
REVOKE ALL ON FUNCTION warehouse.create_key() FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.rotate_key(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.shred_key(text, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.register_domain(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION warehouse.keys() FROM PUBLIC;
