"""Reads everything there is in a gateway with the official SDK.

EMULATOR_PORT, MERCHANT_ID, PUBLIC_KEY and PRIVATE_KEY say where and as whom. See `commands.py` for
how it is told what to do.
"""

import datetime
import decimal
import os
import time
import warnings

import braintree
from braintree.attribute_getter import AttributeGetter
from braintree.dispute_details import DisputeEvidence
from braintree.us_bank_account_verification_search import UsBankAccountVerificationSearch

from commands import serve

warnings.simplefilter("ignore")

environment = braintree.Environment(
    "emulator", "127.0.0.1", os.environ["EMULATOR_PORT"], "", False, None
)
gateway = braintree.BraintreeGateway(
    braintree.Configuration(
        environment,
        merchant_id=os.environ["MERCHANT_ID"],
        public_key=os.environ["PUBLIC_KEY"],
        private_key=os.environ["PRIVATE_KEY"],
        timeout=float(os.environ.get("TIMEOUT", "30")),
        wrap_http_exceptions=True,
    )
)

SEARCHES = {
    "transactions": (gateway.transaction, braintree.TransactionSearch),
    "customers": (gateway.customer, braintree.CustomerSearch),
    "subscriptions": (gateway.subscription, braintree.SubscriptionSearch),
    "disputes": (gateway.dispute, braintree.DisputeSearch),
    "verifications": (gateway.verification, braintree.CreditCardVerificationSearch),
    "us_bank_account_verifications": (
        gateway.us_bank_account_verification,
        UsBankAccountVerificationSearch,
    ),
}


def plain(value):
    """What the SDK made of an answer, as JSON with the members that the answer had."""
    if isinstance(value, AttributeGetter):
        names = [name for name in value._setattrs if name != "graphql_id"]
        if isinstance(value, DisputeEvidence):
            # The SDK's own copy of `category`.
            names.remove("tag")
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, datetime.date):
        return value.isoformat()
    return value


def literal(value):
    """A value of a search: times and dates come as {"time": …} and {"date": …}."""
    if isinstance(value, dict):
        if "date" in value:
            return datetime.datetime.strptime(value["date"], "%Y-%m-%d")
        return datetime.datetime.strptime(value["time"], "%Y-%m-%dT%H:%M:%SZ")
    return value


# Fields that the SDK has under another name than the gateway.
NAMES = {"billing_address_details_postal_code": "billing_postal_code"}


def term(fields, field, operator, *values):
    node = getattr(fields, NAMES.get(field, field))
    values = [literal(value) for value in values]
    if operator == "is":
        return node == values[0]
    if operator == "is_not":
        return node != values[0]
    if operator == "min":
        return node >= values[0]
    if operator == "max":
        return node <= values[0]
    if operator == "between":
        return node.between(*values)
    if operator == "in":
        return node.in_list(values[0])
    return getattr(node, operator)(values[0])


def found(kind, terms):
    searched, fields = SEARCHES[kind]
    if kind == "customers" and not terms:
        return searched.all()
    result = searched.search([term(fields, *each) for each in terms])
    return result.disputes if kind == "disputes" else result


def search(command):
    items = list(found(command["kind"], command["terms"]))
    if command.get("whole"):
        return {"records": [plain(item) for item in items]}
    return {"ids": [item.id for item in items]}


def windows(kind, since, until, cap):
    """Searches that give together all records created from `since` to `until`, some of them twice.

    The service gives at most `cap` of what a search finds, without a word about the rest: a span of
    time with that many is searched in halves.
    """
    result = found(kind, [["created_at", "between", since, until]])
    if len(result.ids) < cap:
        yield result
        return
    middle = (since + (until - since) / 2).replace(microsecond=0)
    if not since < middle < until:
        raise ValueError(f"{cap} records within {until - since}")
    yield from windows(kind, since, middle, cap)
    yield from windows(kind, middle, until, cap)


def total(command):
    """Reads everything one by one, as a program does that keeps nothing but who was counted."""
    begun, first = time.monotonic(), None
    counted, amount = set(), decimal.Decimal(0)
    since, until = (literal({"time": command[name]}) for name in ("since", "until"))
    for result in windows(command["kind"], since, until, command["cap"]):
        for item in result:
            first = first or time.monotonic() - begun
            if item.id not in counted:
                counted.add(item.id)
                amount += item.amount
    count = len(counted)
    return {"count": count, "sum": str(amount), "first": first, "seconds": time.monotonic() - begun}


def listed(command):
    kind = command["kind"]
    if kind == "plans":
        items = gateway.plan.all()
    elif kind == "add_ons":
        items = gateway.add_on.all()
    elif kind == "discounts":
        items = gateway.discount.all()
    elif kind == "merchant_accounts":
        items = gateway.merchant_account.all().merchant_accounts
    elif kind == "line_items":
        items = gateway.transaction_line_item.find_all(command["id"])
    elif kind == "expired":
        items = gateway.credit_card.expired()
    else:
        first, last = (datetime.date.fromisoformat(command[name]) for name in ("first", "last"))
        items = gateway.credit_card.expiring_between(first, last)
    return {"records": [plain(item) for item in items]}


def get(command):
    kind = command["kind"]
    finders = {
        "plans": gateway.plan,
        "merchant_accounts": gateway.merchant_account,
        "payment_methods": gateway.payment_method,
    }
    finder = finders[kind] if kind in finders else SEARCHES[kind][0]
    record = finder.find(command["id"])
    return {"record": plain(record), "class": type(record).__name__}


def sale(command):
    result = gateway.transaction.sale(command["transaction"])
    codes = [error.code for error in result.errors.deep_errors]
    return {"success": result.is_success, "codes": codes, "message": result.message}


def summary(command):
    result = gateway.settlement_batch_summary.generate(command["date"], command.get("field"))
    if not result.is_success:
        return {"success": False, "message": result.message}
    return {"success": True, "records": plain(result.settlement_batch_summary.records)}


serve(
    {
        "search": search,
        "total": total,
        "list": listed,
        "get": get,
        "sale": sale,
        "summary": summary,
    }
)
