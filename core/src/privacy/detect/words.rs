//! What columns are called, in English, German, Spanish and French.
//!
//! A term is one or more words of a name: `first name` is found in `first_name`, `FirstName` and
//! `customer_first_name`. Terms are without accents and in lower case, as names are made before they
//! are compared. The longest term that is found counts.

use crate::privacy::Kind;
use unicode_normalization::UnicodeNormalization;

/// Terms by kind.
const KINDS: &[(Kind, &[&str])] = &[
    (
        Kind::FirstName,
        &[
            "first name",
            "firstname",
            "fname",
            "given name",
            "givenname",
            "forename",
            "middle name",
            "middlename",
            "nickname",
            "nick name",
            "preferred name",
            "vorname",
            "rufname",
            "spitzname",
            "primer nombre",
            "segundo nombre",
            "nombre de pila",
            "apodo",
            "prenom",
            "surnom",
            "student first",
            "parent first",
        ],
    ),
    (
        Kind::LastName,
        &[
            "last name",
            "lastname",
            "lname",
            "surname",
            "family name",
            "familyname",
            "maiden name",
            "nachname",
            "familienname",
            "zuname",
            "geburtsname",
            "apellido",
            "apellidos",
            "primer apellido",
            "nom de famille",
            "nom famille",
            "patronyme",
            "nom de jeune fille",
        ],
    ),
    (
        Kind::FullName,
        &[
            "full name",
            "fullname",
            "display name",
            "displayname",
            "real name",
            "person name",
            "customer name",
            "student name",
            "child name",
            "parent name",
            "teacher name",
            "guardian name",
            "contact name",
            "cardholder name",
            "cardholder",
            "account holder",
            "vollstandiger name",
            "ansprechpartner",
            "kontoinhaber",
            "nombre completo",
            "nombre y apellidos",
            "titular",
            "nom complet",
            "nom prenom",
            "nom et prenom",
            "titulaire",
        ],
    ),
    (
        Kind::UserName,
        &[
            "user name",
            "username",
            "login",
            "login name",
            "screen name",
            "screenname",
            "benutzername",
            "nutzername",
            "anmeldename",
            "usuario",
            "nombre de usuario",
            "nombre usuario",
            "nom utilisateur",
            "nom d utilisateur",
            "identifiant",
            "pseudo",
        ],
    ),
    (
        Kind::Email,
        &[
            "email",
            "e mail",
            "mail",
            "email address",
            "emailadresse",
            "mailadresse",
            "correo",
            "correo electronico",
            "courriel",
            "adresse mail",
            "adresse email",
            "mel",
        ],
    ),
    (
        Kind::Phone,
        &[
            "phone",
            "phone number",
            "phonenumber",
            "telephone",
            "mobile",
            "mobile number",
            "cell",
            "cell phone",
            "cellphone",
            "fax",
            "whatsapp",
            "telefon",
            "telefonnummer",
            "handy",
            "handynummer",
            "mobilnummer",
            "rufnummer",
            "telefono",
            "movil",
            "celular",
            "portable",
            "tel",
            "numero de telephone",
        ],
    ),
    (
        Kind::Address,
        &[
            "address",
            "addr",
            "street",
            "street address",
            "address line",
            "address line1",
            "address1",
            "address2",
            "house number",
            "strasse",
            "strase",
            "str",
            "hausnummer",
            "anschrift",
            "adresse",
            "wohnort adresse",
            "direccion",
            "calle",
            "domicilio",
            "rue",
            "voie",
            "adresse postale",
            "billing address",
            "shipping address",
            "mailing address",
        ],
    ),
    (
        Kind::City,
        &[
            "city",
            "town",
            "ort",
            "wohnort",
            "stadt",
            "ciudad",
            "localidad",
            "municipio",
            "poblacion",
            "ville",
            "commune",
            "localite",
        ],
    ),
    (
        Kind::PostalCode,
        &[
            "zip",
            "zip code",
            "zipcode",
            "postal code",
            "postalcode",
            "postcode",
            "post code",
            "plz",
            "postleitzahl",
            "codigo postal",
            "cp",
            "code postal",
        ],
    ),
    (
        Kind::BirthDate,
        &[
            "birth date",
            "birthdate",
            "date of birth",
            "dateofbirth",
            "dob",
            "birthday",
            "birth day",
            "born",
            "born on",
            "birth year",
            "year of birth",
            "birth month",
            "geburtsdatum",
            "geburtstag",
            "geburtsjahr",
            "geb",
            "fecha de nacimiento",
            "fecha nacimiento",
            "nacimiento",
            "date de naissance",
            "date naissance",
            "naissance",
            "ne le",
        ],
    ),
    (Kind::Age, &["age", "alter", "edad", "age years"]),
    (
        Kind::Gender,
        &[
            "gender",
            "sex",
            "geschlecht",
            "anrede",
            "genero",
            "sexo",
            "genre",
            "sexe",
            "civilite",
            "salutation",
            "pronouns",
        ],
    ),
    (
        Kind::Ip,
        &[
            "ip",
            "ip address",
            "ipaddress",
            "ipaddr",
            "ip addr",
            "remote addr",
            "remote ip",
            "client ip",
            "last ip",
            "ip adresse",
            "direccion ip",
            "adresse ip",
        ],
    ),
    (
        Kind::Device,
        &[
            "device id",
            "deviceid",
            "device token",
            "device identifier",
            "cookie",
            "cookie id",
            "visitor id",
            "client id",
            "anonymous id",
            "advertising id",
            "idfa",
            "gaid",
            "adid",
            "imei",
            "imsi",
            "mac address",
            "fingerprint",
            "browser fingerprint",
            "gclid",
            "fbclid",
            "user agent",
            "useragent",
            "serial number",
            "gerate id",
            "geratenummer",
        ],
    ),
    (
        Kind::Location,
        &[
            "latitude",
            "longitude",
            "lat",
            "lng",
            "lon",
            "long lat",
            "geo",
            "geolocation",
            "coordinates",
            "gps",
            "location point",
            "breitengrad",
            "langengrad",
            "koordinaten",
            "latitud",
            "longitud",
            "coordenadas",
            "coordonnees",
        ],
    ),
    (
        Kind::Photo,
        &[
            "photo",
            "picture",
            "avatar",
            "image of",
            "profile image",
            "profile picture",
            "headshot",
            "selfie",
            "foto",
            "profilbild",
            "lichtbild",
            "fotografia",
            "photographie",
        ],
    ),
    (Kind::Voice, &["voice", "voicemail", "audio recording", "stimme", "voz", "voix"]),
    (
        Kind::Card,
        &[
            "card number",
            "cardnumber",
            "credit card",
            "creditcard",
            "cc number",
            "ccnumber",
            "pan",
            "kreditkarte",
            "kartennummer",
            "kreditkartennummer",
            "numero de tarjeta",
            "tarjeta",
            "numero de carte",
            "carte bancaire",
        ],
    ),
    (
        Kind::BankAccount,
        &[
            "iban",
            "bank account",
            "account number",
            "routing number",
            "bic",
            "swift",
            "sort code",
            "kontonummer",
            "bankverbindung",
            "cuenta bancaria",
            "numero de cuenta",
            "compte bancaire",
            "rib",
        ],
    ),
    (
        Kind::StateNumber,
        &[
            "ssn",
            "social security",
            "social security number",
            "sin number",
            "national id",
            "nationalid",
            "tax id",
            "taxid",
            "tin",
            "ein",
            "vat id",
            "passport",
            "passport number",
            "drivers license",
            "driver license",
            "licence number",
            "license plate",
            "sozialversicherungsnummer",
            "steuernummer",
            "steuer id",
            "ausweisnummer",
            "personalausweis",
            "reisepass",
            "fuhrerschein",
            "kennzeichen",
            "dni",
            "nie",
            "nif",
            "cif",
            "curp",
            "rfc",
            "pasaporte",
            "numero de securite sociale",
            "securite sociale",
            "nir",
            "insee",
            "passeport",
            "siren",
            "siret",
            "student number",
            "matrikelnummer",
        ],
    ),
    (
        Kind::Profile,
        &[
            "linkedin",
            "facebook",
            "twitter",
            "instagram",
            "tiktok",
            "website",
            "homepage",
            "profile url",
            "personal url",
            "webseite",
            "pagina web",
            "site web",
        ],
    ),
    (
        Kind::Organization,
        &[
            "company",
            "company name",
            "employer",
            "organization name",
            "school name",
            "firma",
            "arbeitgeber",
            "schule",
            "empresa",
            "empleador",
            "escuela",
            "entreprise",
            "employeur",
            "ecole",
            "societe",
        ],
    ),
    (
        Kind::Health,
        &[
            "health",
            "medical",
            "diagnosis",
            "disease",
            "disability",
            "allergy",
            "allergies",
            "medication",
            "insurance number",
            "special needs",
            "iep",
            "blood type",
            "krankheit",
            "diagnose",
            "behinderung",
            "allergien",
            "medikament",
            "krankenkasse",
            "gesundheit",
            "salud",
            "enfermedad",
            "diagnostico",
            "discapacidad",
            "alergias",
            "sante",
            "maladie",
            "diagnostic",
            "handicap",
        ],
    ),
    (
        Kind::Belief,
        &[
            "religion",
            "religious",
            "faith",
            "ethnicity",
            "ethnic",
            "race",
            "nationality",
            "political party",
            "union membership",
            "sexual orientation",
            "konfession",
            "staatsangehorigkeit",
            "nationalitat",
            "herkunft",
            "etnia",
            "raza",
            "nacionalidad",
            "orientacion sexual",
            "ethnie",
            "nationalite",
            "orientation sexuelle",
            "immigration status",
        ],
    ),
    (
        Kind::Income,
        &[
            "salary",
            "income",
            "household income",
            "wage",
            "net worth",
            "credit score",
            "gehalt",
            "einkommen",
            "lohn",
            "salario",
            "ingresos",
            "sueldo",
            "salaire",
            "revenu",
            "revenus",
        ],
    ),
    (
        Kind::Education,
        &[
            "grade point average",
            "gpa",
            "report card",
            "discipline",
            "suspension",
            "transcript",
            "iq",
            "test score",
            "zeugnis",
            "calificacion",
            "calificaciones",
            "bulletin",
        ],
    ),
    (
        Kind::FreeText,
        &[
            "comment",
            "comments",
            "note",
            "notes",
            "message",
            "body",
            "description of person",
            "bio",
            "biography",
            "about me",
            "feedback",
            "essay",
            "answer text",
            "free text",
            "transcription",
            "chat",
            "remarks",
            "kommentar",
            "bemerkung",
            "bemerkungen",
            "notiz",
            "notizen",
            "nachricht",
            "freitext",
            "comentario",
            "comentarios",
            "nota",
            "notas",
            "mensaje",
            "observaciones",
            "commentaire",
            "commentaires",
            "remarque",
            "remarques",
        ],
    ),
    (
        Kind::Password,
        &[
            "password",
            "passwd",
            "pwd",
            "password hash",
            "passwordhash",
            "encrypted password",
            "password digest",
            "pass hash",
            "passwort",
            "kennwort",
            "contrasena",
            "clave",
            "mot de passe",
            "motdepasse",
            "mdp",
            "salt",
            "pin",
            "pin code",
            "security answer",
            "secret answer",
        ],
    ),
    (
        Kind::Credential,
        &[
            "api key",
            "apikey",
            "secret",
            "secret key",
            "private key",
            "access token",
            "refresh token",
            "auth token",
            "session token",
            "token",
            "otp",
            "otp secret",
            "totp",
            "oauth token",
            "client secret",
            "reset token",
            "remember token",
            "session id",
            "sessionid",
            "cvv",
            "cvc",
            "jwt",
            "bearer",
            "geheimnis",
            "jeton",
        ],
    ),
];

/// Words that make a column a fact about another: `email_count`, `phone_verified_at`.
const ABOUT: &[&str] = &[
    "count",
    "verified",
    "confirmed",
    "enabled",
    "opt",
    "optin",
    "status",
    "type",
    "valid",
    "sent",
    "bounced",
    "subscribed",
    "preference",
    "format",
    "length",
    "num",
    "total",
    "anzahl",
    "flag",
    "changed",
    "updated",
    "created",
    "sends",
    "opens",
    "clicks",
    "template",
    "subject",
];

/// Words of stamps that say when something was recorded.
const STAMPS: &[&str] = &[
    "created",
    "updated",
    "modified",
    "inserted",
    "deleted",
    "archived",
    "imported",
    "synced",
    "changed",
    "started",
    "ended",
    "completed",
    "finished",
    "expires",
    "expired",
    "published",
    "sent",
    "received",
    "processed",
    "scheduled",
    "due",
    "paid",
    "billed",
    "renewed",
    "canceled",
    "cancelled",
    "closed",
    "opened",
    "settled",
    "erstellt",
    "geandert",
    "aktualisiert",
    "geloscht",
    "creado",
    "creada",
    "actualizado",
    "modificado",
    "eliminado",
    "cree",
    "modifie",
    "maj",
    "supprime",
    "submitted",
    "assigned",
    "enrolled",
    "recorded",
    "logged",
    "start",
    "end",
    "timestamp",
    "ts",
];

/// Tables of people, where a `name` is a person's.
const PEOPLE: &[&str] = &[
    "user",
    "users",
    "person",
    "persons",
    "people",
    "customer",
    "customers",
    "student",
    "students",
    "child",
    "children",
    "parent",
    "parents",
    "guardian",
    "guardians",
    "teacher",
    "teachers",
    "employee",
    "employees",
    "contact",
    "contacts",
    "lead",
    "leads",
    "member",
    "members",
    "patient",
    "patients",
    "subscriber",
    "subscribers",
    "author",
    "authors",
    "staff",
    "kunde",
    "kunden",
    "schuler",
    "person",
    "personen",
    "mitarbeiter",
    "benutzer",
    "lehrer",
    "eltern",
    "kind",
    "kinder",
    "cliente",
    "clientes",
    "alumno",
    "alumnos",
    "usuarios",
    "empleado",
    "empleados",
    "persona",
    "personas",
    "client",
    "clients",
    "eleve",
    "eleves",
    "utilisateur",
    "utilisateurs",
    "employe",
    "employes",
    "personne",
    "personnes",
];

/// The words of a name: lower case, without accents, split at everything that is no letter or digit
/// and where a small letter meets a capital.
pub(super) fn split(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut before: Option<char> = None;
    let name = name.replace('ß', "ss");
    let mut letters =
        name.nfd().filter(|c| !unicode_normalization::char::is_combining_mark(*c)).peekable();
    while let Some(c) = letters.next() {
        let small = |c: Option<char>| c.is_some_and(|c| c.is_lowercase() || c.is_numeric());
        let starts = c.is_uppercase()
            && (small(before)
                || (before.is_some_and(char::is_uppercase)
                    && letters.peek().is_some_and(|c| c.is_lowercase())));
        if (!c.is_alphanumeric() || starts) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        before = Some(c);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// A term found in a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) term: &'static str,
}

/// The kind that words name: the longest term counts.
pub(super) fn kind(words: &[String]) -> Option<Found> {
    let terms = KINDS.iter().flat_map(|(kind, terms)| terms.iter().map(|term| (*kind, *term)));
    let found = terms.filter(|(_, term)| has_term(words, term));
    found.max_by_key(|(_, term)| term.len()).map(|(kind, term)| Found { kind, term })
}

fn has_term(words: &[String], term: &str) -> bool {
    let count = term.split(' ').count();
    words.windows(count).any(|window| window.iter().map(String::as_str).eq(term.split(' ')))
}

fn any_of(words: &[String], set: &[&str]) -> bool {
    words.iter().any(|word| set.contains(&word.as_str()))
}

/// Whether a name is about a fact rather than the value itself.
pub(super) fn is_about(words: &[String]) -> bool {
    any_of(words, ABOUT)
}

/// Whether a name is that of a stamp.
pub(super) fn is_stamp(words: &[String]) -> bool {
    any_of(words, STAMPS) || words.last().is_some_and(|last| last == "at")
}

/// Whether a name is that of a table of people.
pub(super) fn is_people(words: &[String]) -> bool {
    any_of(words, PEOPLE)
}

/// Whether a name is just `name`, in a language.
pub(super) fn is_name(words: &[String]) -> bool {
    matches!(words, [only] if ["name", "names", "nombre", "nom"].contains(&only.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(name: &str) -> Option<Kind> {
        kind(&split(name)).map(|found| found.kind)
    }

    #[test]
    fn names_are_split() {
        assert_eq!(split("customerFirstName2"), ["customer", "first", "name2"]);
        assert_eq!(split("HTTPServer_ID"), ["http", "server", "id"]);
        assert_eq!(split("Straße, Größe"), ["strasse", "grosse"]);
        assert!(split("__ ").is_empty());
    }

    #[test]
    fn kinds_in_four_languages() {
        for (name, expected) in [
            ("first_name", Kind::FirstName),
            ("StudentLastName", Kind::LastName),
            ("Vorname", Kind::FirstName),
            ("geburtsdatum", Kind::BirthDate),
            ("Straße", Kind::Address),
            ("correo_electrónico", Kind::Email),
            ("fecha_nacimiento", Kind::BirthDate),
            ("prénom", Kind::FirstName),
            ("numéro_de_sécurité_sociale", Kind::StateNumber),
            ("codePostal", Kind::PostalCode),
            ("ip_address", Kind::Ip),
            ("email_address", Kind::Email),
            ("password_hash", Kind::Password),
            ("device_token", Kind::Device),
            ("contraseña", Kind::Password),
        ] {
            assert_eq!(kind_of(name), Some(expected), "{name}");
        }
    }

    #[test]
    fn words_within_words_do_not_count() {
        for name in ["page", "shipping", "manager_code", "lesson", "capital", "storage", "stage"] {
            assert_eq!(kind_of(name), None, "{name}");
        }
    }

    #[test]
    fn terms_are_as_names_are_made() {
        for (_, terms) in KINDS {
            for term in *terms {
                assert_eq!(split(term).join(" "), *term);
            }
        }
    }
}
