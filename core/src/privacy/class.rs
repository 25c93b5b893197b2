//! Classes of columns, and kinds of what they hold.
//!
//! The class says who is protected from what; the kind says what the values are. A column without a
//! class is not public: it is closed until somebody says.

use crate::masks::{Mask, TypeFamily};
use std::fmt;
use std::str::FromStr;

/// How much a column says of a person, from nothing to what nobody reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Says nothing of a person.
    Public,
    /// Says who somebody is together with others: postal code, birth date.
    Quasi,
    /// Says who somebody is: name, e-mail address.
    Identifier,
    /// What may harm somebody: health, income, faith.
    Sensitive,
    /// What nobody needs to read: password, key.
    Secret,
}

/// Not the name of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("classes are: public, quasi, identifier, sensitive, secret")]
pub struct NotAClass;

impl Class {
    /// All classes.
    pub const ALL: [Class; 5] =
        [Class::Public, Class::Quasi, Class::Identifier, Class::Sensitive, Class::Secret];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Class::Public => "public",
            Class::Quasi => "quasi",
            Class::Identifier => "identifier",
            Class::Sensitive => "sensitive",
            Class::Secret => "secret",
        }
    }

    /// Whether a reading of it in clear is recorded.
    pub fn is_audited(self) -> bool {
        self >= Class::Identifier
    }

    /// The mask of a column of which no kind is known.
    pub fn default_mask(self) -> Mask {
        if self == Class::Public { Mask::Keep } else { Mask::Null }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Class {
    type Err = NotAClass;

    fn from_str(name: &str) -> Result<Self, NotAClass> {
        let known = |class: &Class| class.name().eq_ignore_ascii_case(name.trim());
        Class::ALL.into_iter().find(known).ok_or(NotAClass)
    }
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A first name.
    FirstName,
    /// A family name.
    LastName,
    /// A whole name.
    FullName,
    /// The name of a login.
    UserName,
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// A street and house, or a whole address.
    Address,
    /// A town.
    City,
    /// A postal code.
    PostalCode,
    /// A date of birth.
    BirthDate,
    /// An age in years.
    Age,
    /// Sex or gender.
    Gender,
    /// An IP address.
    Ip,
    /// A device, cookie, session or advertising id.
    Device,
    /// Coordinates of a person.
    Location,
    /// A picture of a person, or where it is.
    Photo,
    /// A voice, or where it is.
    Voice,
    /// A payment card.
    Card,
    /// A bank account.
    BankAccount,
    /// A number of a state: social security, tax, passport, licence.
    StateNumber,
    /// An account elsewhere, a web page of a person.
    Profile,
    /// A company, employer or school.
    Organization,
    /// Health, disability.
    Health,
    /// Faith, politics, ethnicity, orientation.
    Belief,
    /// Income, debts.
    Income,
    /// Marks, reports and discipline at school (FERPA's education records).
    Education,
    /// Text that anybody wrote.
    FreeText,
    /// A password, also hashed.
    Password,
    /// A key, token or other credential.
    Credential,
}

impl Kind {
    /// All kinds.
    pub const ALL: &[Kind] = &[
        Kind::FirstName,
        Kind::LastName,
        Kind::FullName,
        Kind::UserName,
        Kind::Email,
        Kind::Phone,
        Kind::Address,
        Kind::City,
        Kind::PostalCode,
        Kind::BirthDate,
        Kind::Age,
        Kind::Gender,
        Kind::Ip,
        Kind::Device,
        Kind::Location,
        Kind::Photo,
        Kind::Voice,
        Kind::Card,
        Kind::BankAccount,
        Kind::StateNumber,
        Kind::Profile,
        Kind::Organization,
        Kind::Health,
        Kind::Belief,
        Kind::Income,
        Kind::Education,
        Kind::FreeText,
        Kind::Password,
        Kind::Credential,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::FirstName => "first name",
            Kind::LastName => "last name",
            Kind::FullName => "name",
            Kind::UserName => "user name",
            Kind::Email => "e-mail",
            Kind::Phone => "phone",
            Kind::Address => "address",
            Kind::City => "city",
            Kind::PostalCode => "postal code",
            Kind::BirthDate => "birth date",
            Kind::Age => "age",
            Kind::Gender => "gender",
            Kind::Ip => "IP address",
            Kind::Device => "device",
            Kind::Location => "location",
            Kind::Photo => "photo",
            Kind::Voice => "voice",
            Kind::Card => "card",
            Kind::BankAccount => "bank account",
            Kind::StateNumber => "state number",
            Kind::Profile => "profile",
            Kind::Organization => "organization",
            Kind::Health => "health",
            Kind::Belief => "belief",
            Kind::Income => "income",
            Kind::Education => "education",
            Kind::FreeText => "free text",
            Kind::Password => "password",
            Kind::Credential => "credential",
        }
    }

    /// Its class; with the preset for `minors`, what can lead to a child is an identifier (COPPA,
    /// 16 CFR 312.2: also persistent identifiers, pictures, voices, places).
    pub fn class(self, minors: bool) -> Class {
        match self {
            Kind::Ip | Kind::Device | Kind::Location | Kind::FreeText | Kind::Profile => {
                if minors {
                    Class::Identifier
                } else {
                    Class::Quasi
                }
            }
            Kind::City
            | Kind::PostalCode
            | Kind::BirthDate
            | Kind::Age
            | Kind::Gender
            | Kind::Organization => Class::Quasi,
            Kind::FirstName
            | Kind::LastName
            | Kind::FullName
            | Kind::UserName
            | Kind::Email
            | Kind::Phone
            | Kind::Address
            | Kind::Photo
            | Kind::Voice
            | Kind::Card
            | Kind::BankAccount
            | Kind::StateNumber => Class::Identifier,
            Kind::Health | Kind::Belief | Kind::Income | Kind::Education => Class::Sensitive,
            Kind::Password | Kind::Credential => Class::Secret,
        }
    }

    /// The mask for a column of this kind and type: the gentlest that is safe, of the same type; null
    /// where there is none.
    pub fn default_mask(self, family: &TypeFamily, minors: bool) -> Mask {
        let text = match self {
            Kind::FirstName => "fake_first_name(person)",
            Kind::LastName => "fake_last_name(person)",
            Kind::FullName => "fake_full_name(person)",
            Kind::UserName | Kind::Email => "pseudonym(person)",
            Kind::Phone => "partial_phone",
            Kind::PostalCode => "zip3",
            Kind::BirthDate => "generalize('year')",
            Kind::Age => "age",
            Kind::Ip if !minors => "ip_prefix(24, 48)",
            Kind::Device => "pseudonym(device)",
            Kind::Card => "partial_card",
            Kind::FreeText if !minors => "redact",
            _ => "null",
        };
        let same_type = |mask: &Mask| mask.result(family).as_ref() == Ok(family);
        text.parse().ok().filter(same_type).unwrap_or(Mask::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masks::IntWidth;

    #[test]
    fn classes_by_name() {
        for class in Class::ALL {
            assert_eq!(class.to_string().parse(), Ok(class));
        }
        assert_eq!(" Quasi ".parse(), Ok(Class::Quasi));
        assert_eq!("open".parse::<Class>(), Err(NotAClass));
        assert!(Class::Secret.is_audited() && !Class::Quasi.is_audited());
        assert_eq!(Class::Sensitive.default_mask(), Mask::Null);
    }

    #[test]
    fn masks_have_the_type_of_the_column() {
        let mask = |kind: Kind, family: TypeFamily| kind.default_mask(&family, false).to_string();
        assert_eq!(mask(Kind::Email, TypeFamily::Text), "pseudonym(person)");
        // A pseudonym of a number is text.
        assert_eq!(mask(Kind::UserName, TypeFamily::Integer(IntWidth::Eight)), "null");
        assert_eq!(mask(Kind::BirthDate, TypeFamily::Date), "generalize('year')");
        assert_eq!(mask(Kind::BirthDate, TypeFamily::Text), "null");
        assert_eq!(mask(Kind::Device, TypeFamily::Uuid), "pseudonym(device)");
        let texts = TypeFamily::Array(Box::new(TypeFamily::Text));
        assert_eq!(mask(Kind::FirstName, texts), "fake_first_name(person)");
    }

    #[test]
    fn children_are_protected_more() {
        for kind in
            [Kind::Ip, Kind::Device, Kind::Photo, Kind::Voice, Kind::Location, Kind::FreeText]
        {
            assert_eq!(kind.class(true), Class::Identifier, "{kind:?}");
        }
        assert_eq!(Kind::Ip.class(false), Class::Quasi);
        assert_eq!(Kind::FreeText.default_mask(&TypeFamily::Text, true), Mask::Null);
        assert_eq!(Kind::Ip.default_mask(&TypeFamily::Inet, true), Mask::Null);
    }
}
