//! What can be searched for: the fields of each kind, what may be asked of them, and where their
//! values stand in a record.

use super::super::store::Kind;

/// What may be asked of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::apis::braintree) enum Asked {
    /// `is`, `is_not`, `starts_with`, `ends_with`, `contains`.
    Text,
    /// The same without `contains`.
    Partial,
    /// `ends_with` alone.
    Ending,
    /// `is` and `is_not`.
    Equality,
    /// `is` alone.
    Is,
    /// A list of values.
    List,
    /// Text or list.
    TextOrList,
    /// True or false.
    Flag,
    /// `is`, `min`, `max` of numbers.
    Number,
    /// The same of times: the upper bound lets another minute in.
    Time,
    /// The same of dates.
    Date,
}

/// A field: its name, what may be asked, and where it stands: a path through objects and lists, in
/// which `*` is any member. No path: see `super::row`.
pub(super) type Field = (&'static str, Asked, &'static str);

use Asked::{Date, Ending, Equality, Flag, Is, List, Number, Partial, Text, TextOrList, Time};

/// The field of this name.
pub(super) fn field(kind: Kind, name: &str) -> Option<Field> {
    let fields: &[Field] = match kind {
        Kind::Transaction => &TRANSACTION,
        Kind::Customer => &CUSTOMER,
        Kind::Subscription => &SUBSCRIPTION,
        Kind::Dispute => &DISPUTE,
        Kind::Verification => &VERIFICATION,
        Kind::BankVerification => &BANK_VERIFICATION,
    };
    fields.iter().find(|(known, _, _)| *known == name).copied()
}

const TRANSACTION: [Field; 71] = [
    ("id", Text, "id"),
    ("ids", List, "id"),
    ("order_id", Text, "order_id"),
    ("currency", Text, "currency_iso_code"),
    ("customer_id", Text, "customer.id"),
    ("customer_email", Text, "customer.email"),
    ("customer_first_name", Text, "customer.first_name"),
    ("customer_last_name", Text, "customer.last_name"),
    ("customer_company", Text, "customer.company"),
    ("customer_phone", Text, "customer.phone"),
    ("customer_fax", Text, "customer.fax"),
    ("customer_website", Text, "customer.website"),
    ("payment_method_token", Text, "*.token"),
    ("settlement_batch_id", Text, "settlement_batch_id"),
    ("processor_authorization_code", Text, "processor_authorization_code"),
    ("acquirer_reference_number", Text, "acquirer_reference_number"),
    ("credit_card_cardholder_name", Text, "credit_card.cardholder_name"),
    ("credit_card_unique_identifier", Text, "credit_card.unique_number_identifier"),
    ("paypal_payer_email", Text, "paypal.payer_email"),
    ("paypal_payment_id", Text, "paypal.payment_id"),
    ("paypal_authorization_id", Text, "paypal.authorization_id"),
    ("sepa_debit_paypal_v2_order_id", Text, "sepa_debit_account_detail.paypal_v2_order_id"),
    ("europe_bank_account_iban", Text, "europe_bank_account.masked_iban"),
    ("store_id", Text, "store_id"),
    ("billing_first_name", Text, "billing.first_name"),
    ("billing_last_name", Text, "billing.last_name"),
    ("billing_company", Text, "billing.company"),
    ("billing_street_address", Text, "billing.street_address"),
    ("billing_extended_address", Text, "billing.extended_address"),
    ("billing_locality", Text, "billing.locality"),
    ("billing_region", Text, "billing.region"),
    ("billing_postal_code", Text, "billing.postal_code"),
    ("billing_country_name", Text, "billing.country_name"),
    ("shipping_first_name", Text, "shipping.first_name"),
    ("shipping_last_name", Text, "shipping.last_name"),
    ("shipping_company", Text, "shipping.company"),
    ("shipping_street_address", Text, "shipping.street_address"),
    ("shipping_extended_address", Text, "shipping.extended_address"),
    ("shipping_locality", Text, "shipping.locality"),
    ("shipping_region", Text, "shipping.region"),
    ("shipping_postal_code", Text, "shipping.postal_code"),
    ("shipping_country_name", Text, "shipping.country_name"),
    ("credit_card_number", Partial, ""),
    ("credit_card_expiration_date", Equality, ""),
    ("status", List, "status"),
    ("type", List, "type"),
    ("source", List, ""),
    ("user", List, "status_history.user"),
    ("merchant_account_id", List, "merchant_account_id"),
    ("payment_instrument_type", List, ""),
    ("created_using", List, ""),
    ("credit_card_card_type", List, "credit_card.card_type"),
    ("credit_card_customer_location", List, ""),
    ("debit_network", List, "debit_network"),
    ("ach_type", List, "us_bank_account.ach_type"),
    ("reason_code", List, ""),
    ("store_ids", List, "store_id"),
    ("refund", Flag, ""),
    ("amount", Number, "amount"),
    ("created_at", Time, "created_at"),
    ("authorized_at", Time, ""),
    ("authorization_expired_at", Time, ""),
    ("submitted_for_settlement_at", Time, ""),
    ("settled_at", Time, ""),
    ("voided_at", Time, ""),
    ("failed_at", Time, ""),
    ("gateway_rejected_at", Time, ""),
    ("processor_declined_at", Time, ""),
    ("disbursement_date", Date, "disbursement_details.disbursement_date"),
    ("dispute_date", Date, "disputes.received_date"),
    ("ach_return_responses_created_at", Time, "ach_return_responses.created_at"),
];

const CUSTOMER: [Field; 24] = [
    ("id", Text, "id"),
    ("ids", List, "id"),
    ("first_name", Text, "first_name"),
    ("last_name", Text, "last_name"),
    ("company", Text, "company"),
    ("email", Text, "email"),
    ("phone", Text, "phone"),
    ("fax", Text, "fax"),
    ("website", Text, "website"),
    ("cardholder_name", Text, "credit_cards.cardholder_name"),
    ("credit_card_number", Text, ""),
    ("credit_card_expiration_date", Equality, ""),
    ("payment_method_token", Text, "*.token"),
    ("payment_method_token_with_duplicates", Is, "*.token"),
    ("paypal_account_email", Text, "paypal_accounts.email"),
    ("address_first_name", Text, "addresses.first_name"),
    ("address_last_name", Text, "addresses.last_name"),
    ("address_street_address", Text, "addresses.street_address"),
    ("address_extended_address", Text, "addresses.extended_address"),
    ("address_locality", Text, "addresses.locality"),
    ("address_region", Text, "addresses.region"),
    ("address_postal_code", Text, "addresses.postal_code"),
    ("address_country_name", Text, "addresses.country_name"),
    ("created_at", Time, "created_at"),
];

const SUBSCRIPTION: [Field; 12] = [
    ("id", Text, "id"),
    ("ids", List, "id"),
    ("transaction_id", Text, "transactions.id"),
    ("plan_id", TextOrList, "plan_id"),
    ("status", List, "status"),
    ("merchant_account_id", List, "merchant_account_id"),
    ("in_trial_period", List, "trial_period"),
    ("price", Number, "price"),
    ("created_at", Time, "created_at"),
    ("next_billing_date", Date, "next_billing_date"),
    ("days_past_due", Number, "days_past_due"),
    ("billing_cycles_remaining", Number, ""),
];

const DISPUTE: [Field; 20] = [
    ("id", Text, "id"),
    ("case_number", Text, "case_number"),
    ("customer_id", Text, ""),
    ("reference_number", Text, "reference_number"),
    ("transaction_id", Text, "transaction.id"),
    ("status", List, "status"),
    ("kind", List, "kind"),
    ("reason", List, "reason"),
    ("reason_code", List, "reason_code"),
    ("merchant_account_id", List, "merchant_account_id"),
    ("transaction_source", List, ""),
    ("pre_dispute_program", List, "pre_dispute_program"),
    ("chargeback_protection_level", List, "chargeback_protection_level"),
    ("protection_level", List, ""),
    ("amount_disputed", Number, "amount_disputed"),
    ("amount_won", Number, "amount_won"),
    ("received_date", Date, "received_date"),
    ("reply_by_date", Date, "reply_by_date"),
    ("effective_date", Date, "status_history.effective_date"),
    ("disbursement_date", Date, "status_history.disbursement_date"),
];

const VERIFICATION: [Field; 13] = [
    ("id", Text, "id"),
    ("ids", List, "id"),
    ("customer_id", Text, "credit_card.customer_id"),
    ("customer_email", Text, ""),
    ("payment_method_token", Text, "credit_card.token"),
    ("credit_card_cardholder_name", Text, "credit_card.cardholder_name"),
    ("billing_address_details_postal_code", Text, "billing.postal_code"),
    ("credit_card_number", Partial, ""),
    ("credit_card_expiration_date", Equality, ""),
    ("status", List, "status"),
    ("credit_card_card_type", List, "credit_card.card_type"),
    ("created_at", Time, "created_at"),
    ("verification_type", List, ""),
];

const BANK_VERIFICATION: [Field; 13] = [
    ("id", Text, "id"),
    ("ids", List, "id"),
    ("account_holder_name", Text, "us_bank_account.account_holder_name"),
    ("customer_email", Text, ""),
    ("customer_id", Text, "us_bank_account.customer_id"),
    ("payment_method_token", Text, "us_bank_account.token"),
    ("routing_number", Text, "us_bank_account.routing_number"),
    ("status", List, "status"),
    ("verification_method", List, "verification_method"),
    ("created_at", Time, "created_at"),
    ("account_type", Equality, "us_bank_account.account_type"),
    ("account_number", Ending, "us_bank_account.last_4"),
    ("verification_type", List, ""),
];

/// The values that a list may have, where there are only so many; others are refused.
pub(super) fn members(kind: Kind, name: &str) -> Option<&'static [&'static str]> {
    Some(match (kind, name) {
        (Kind::Transaction, "status") => &[
            "authorization_expired",
            "authorized",
            "authorizing",
            "failed",
            "gateway_rejected",
            "processor_declined",
            "settled",
            "settlement_confirmed",
            "settlement_declined",
            "settlement_failed",
            "settlement_pending",
            "settling",
            "submitted_for_settlement",
            "voided",
        ],
        (Kind::Transaction, "type") => &["sale", "credit"],
        (Kind::Subscription, "status") => &super::super::subscriptions::STATUSES,
        (Kind::Dispute, "status") => &[
            "accepted",
            "auto_accepted",
            "disputed",
            "expired",
            "lost",
            "open",
            "under_review",
            "won",
        ],
        (Kind::Dispute, "kind") => &["chargeback", "pre_arbitration", "retrieval"],
        (Kind::Verification, "status") => {
            &["failed", "gateway_rejected", "processor_declined", "verified"]
        }
        _ => return None,
    })
}
