//! What most searches ask of a transaction, without making all of it.

use serde_json::Value;

use crate::apis::braintree::Sale;
use crate::apis::braintree::values::perhaps;
use crate::apis::braintree::world::World;
use crate::apis::calendar::SECOND;

const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// What a transaction went through, with the hours after its beginning.
const LIVES: [&[(&str, i64)]; 12] = [
    &[("authorized", 0), ("submitted_for_settlement", 1), ("settled", 26)],
    &[("authorized", 0), ("submitted_for_settlement", 0), ("settled", 20)],
    &[("authorized", 0), ("submitted_for_settlement", 2), ("settling", 20), ("settled", 24)],
    &[("authorized", 0), ("submitted_for_settlement", 3)],
    &[("authorized", 0), ("submitted_for_settlement", 3), ("settling", 25)],
    &[("authorized", 0), ("voided", 5)],
    &[("processor_declined", 0)],
    &[("gateway_rejected", 0)],
    &[("failed", 0)],
    &[("authorized", 0)],
    &[("authorized", 0), ("authorization_expired", 7 * 24)],
    &[("authorized", 0), ("submitted_for_settlement", 1), ("settlement_declined", 30)],
];

/// The life of refunds.
const REFUND: &[(&str, i64)] = &[("submitted_for_settlement", 0), ("settled", 30)];

/// How often each life is led, of a hundred.
const ODDS: [u64; 12] = [20, 15, 10, 8, 6, 7, 10, 5, 3, 8, 4, 4];

/// Currencies of the merchant accounts, with the digits after the point.
pub(in crate::apis::braintree) const CURRENCIES: [(&str, u32); 4] =
    [("USD", 2), ("EUR", 2), ("JPY", 0), ("KWD", 3)];

/// A transaction in outline.
#[derive(Debug, Clone)]
pub(in crate::apis::braintree) struct Sketch {
    pub(in crate::apis::braintree) number: usize,
    pub(in crate::apis::braintree) created: i64,
    /// Status and moment, oldest first; never empty.
    pub(in crate::apis::braintree) history: Vec<(&'static str, i64)>,
    /// In the currency's smallest unit.
    pub(in crate::apis::braintree) units: i64,
    pub(in crate::apis::braintree) merchant_account: usize,
    pub(in crate::apis::braintree) customer: Option<usize>,
    /// The transaction that this one refunds.
    pub(in crate::apis::braintree) refunds: Option<usize>,
    /// The transaction that refunds this one.
    pub(in crate::apis::braintree) refunded_by: Option<usize>,
}

impl Sketch {
    pub(in crate::apis::braintree) fn new(world: &World, number: usize) -> Sketch {
        if let Some(sale) = world.sale(number) {
            return Sketch::told(sale, number);
        }
        let count = world.transactions.ids.len();
        // Every eleventh refunds the one before it.
        let refunds = (number % 11 == 5).then(|| number - 1);
        let refunded_by = (number % 11 == 4 && number + 1 < count).then(|| number + 1);
        let mut random = world.random("sketch", refunds.unwrap_or(number));
        let draw = random.below(100);
        let units = match random.below(20) {
            0 => 1,
            1 => 9_999_999_999,
            2 => 10_000,
            _ => 100 + random.below(50_000) as i64,
        };
        let merchant_account = random.below(CURRENCIES.len() as u64) as usize;
        let customers = world.customers.ids.len() as u64;
        let customer =
            (customers > 0 && random.chance(85)).then(|| random.below(customers) as usize);
        let life = match (refunds, refunded_by) {
            (Some(_), _) => REFUND,
            (_, Some(_)) => LIVES[0],
            _ => LIVES[by_odds(draw)],
        };
        let customer = match world.subscription_of(number) {
            Some(subscription) if refunds.is_none() => Some(world.customer_of(subscription)),
            _ => customer,
        };
        let created = world.transactions.created[number];
        // A refund of a part of it, now and then.
        let units =
            if refunds.is_some() && number.is_multiple_of(2) { (units / 2).max(1) } else { units };
        let history =
            life.iter().map(|(status, hours)| (*status, created + hours * HOUR)).collect();
        Sketch { number, created, history, units, merchant_account, customer, refunds, refunded_by }
    }

    fn told(sale: &Sale, number: usize) -> Sketch {
        let ends_so = |life: &&[(&str, i64)]| life.last().is_some_and(|(it, _)| *it == sale.status);
        let life = LIVES.into_iter().find(ends_so).unwrap_or(LIVES[0]);
        let at = |(status, hours): &(&'static str, i64)| (*status, sale.created + hours * HOUR);
        Sketch {
            number,
            created: sale.created,
            history: life.iter().map(at).collect(),
            units: sale.cents,
            merchant_account: 0,
            customer: Some(sale.buyer),
            refunds: None,
            refunded_by: None,
        }
    }

    /// The status it has now.
    pub(in crate::apis::braintree) fn status(&self) -> &'static str {
        self.history.last().map_or("authorizing", |(status, _)| status)
    }

    /// `sale` or `credit`.
    pub(in crate::apis::braintree) fn kind(&self) -> &'static str {
        if self.refunds.is_some() { "credit" } else { "sale" }
    }

    /// When it last got a status.
    pub(in crate::apis::braintree) fn moment_of(&self, status: &str) -> Option<i64> {
        self.history.iter().rev().find(|(name, _)| *name == status).map(|(_, moment)| *moment)
    }

    /// When the money was paid out, to the day.
    pub(in crate::apis::braintree) fn disbursed(&self) -> Option<i64> {
        self.moment_of("settled").map(|settled| (settled + 2 * DAY).div_euclid(DAY) * DAY)
    }

    /// The merchant's own number of it.
    pub(in crate::apis::braintree) fn order_id(&self, world: &World) -> Value {
        if let Some(sale) = world.sale(self.number) {
            return Value::from(sale.order_id.as_str());
        }
        let mut random = world.random("order", self.number);
        perhaps(&mut random, &format!("order-{:05}", self.number))
    }

    /// Whether the customer is told at all.
    pub(in crate::apis::braintree) fn tells_customer(&self, world: &World) -> bool {
        world.sale(self.number).is_some() || world.random("tells customer", self.number).chance(90)
    }

    /// The customer's address, if the customer is told.
    pub(in crate::apis::braintree) fn customer_email(&self, world: &World) -> Value {
        if let Some(buyer) = world.sale(self.number).and_then(|sale| world.buyer(sale.buyer)) {
            return Value::from(buyer.email.as_str());
        }
        let mut random = world.random("email", self.number);
        perhaps(&mut random, &format!("buyer{}@example.com", self.number % 200))
    }

    /// The id of the merchant account.
    pub(in crate::apis::braintree) fn merchant_account_id(&self) -> String {
        merchant_account_id(self.merchant_account)
    }
}

/// The id of the merchant account of this number.
pub(in crate::apis::braintree) fn merchant_account_id(number: usize) -> String {
    match CURRENCIES.get(number) {
        Some((currency, _)) => format!("shop_{}", currency.to_lowercase()),
        None => format!("branch_{number}"),
    }
}

fn by_odds(draw: u64) -> usize {
    let mut rest = draw;
    for (index, odds) in ODDS.iter().enumerate() {
        if rest < *odds {
            return index;
        }
        rest -= odds;
    }
    0
}
