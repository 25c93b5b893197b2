// Reads everything there is in a gateway with the official SDK; see braintree_reader.py.

"use strict";

const braintree = require("braintree");
const { serve } = require("./commands");

const Environment = braintree.Environment.Sandbox.constructor;
const port = process.env.EMULATOR_PORT;
const gateway = new braintree.BraintreeGateway({
  environment: new Environment("127.0.0.1", port, "", false, "", ""),
  merchantId: process.env.MERCHANT_ID,
  publicKey: process.env.PUBLIC_KEY,
  privateKey: process.env.PRIVATE_KEY,
});
gateway.config.timeout = 1000 * Number(process.env.TIMEOUT || "30");

// The SDK makes dates of a few times; they are shown as they came.
Date.prototype.toJSON = function () {
  return this.toISOString().replace(".000Z", "Z");
};

const SEARCHED = {
  transactions: gateway.transaction,
  customers: gateway.customer,
  subscriptions: gateway.subscription,
  disputes: gateway.dispute,
  verifications: gateway.creditCardVerification,
  us_bank_account_verifications: gateway.usBankAccountVerification,
};

const camel = (name) => name.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());

function literal(value) {
  if (value === null || typeof value !== "object") return value;
  return value.time || value.date || value;
}

function found(kind, terms) {
  return SEARCHED[kind].search((search) => {
    for (const [field, operator, ...values] of terms) {
      const node = search[camel(field)]();
      node[camel(operator)](...values.map(literal));
    }
  });
}

async function all(stream) {
  const records = [];
  for await (const record of stream) records.push(record);
  return records;
}

async function search({ kind, terms, whole }) {
  const records = await all(found(kind, terms));
  return whole ? { records } : { ids: records.map((record) => record.id) };
}

async function list({ kind, id }) {
  switch (kind) {
    case "plans":
      return { records: (await gateway.plan.all()).plans };
    case "add_ons":
      return { records: (await gateway.addOn.all()).addOns };
    case "discounts":
      return { records: (await gateway.discount.all()).discounts };
    case "line_items":
      return { records: await gateway.transactionLineItem.findAll(id) };
    default:
      return { records: await all(gateway.merchantAccount.all()) };
  }
}

async function get({ kind, id }) {
  const finders = {
    plans: gateway.plan,
    merchant_accounts: gateway.merchantAccount,
    payment_methods: gateway.paymentMethod,
  };
  const result = await (finders[kind] || SEARCHED[kind]).find(id);
  // Some gateways answer a result that holds the object.
  const record = (kind === "disputes" && result.dispute) || result;
  return { record, class: record.constructor.name };
}

async function sale({ transaction }) {
  const result = await gateway.transaction.sale(transaction);
  const codes = result.errors.deepErrors().map((error) => error.code);
  return { success: result.success, codes, message: result.message };
}

async function summary({ date, field }) {
  const criteria = { settlementDate: date };
  if (field) criteria.groupByCustomField = field;
  const result = await gateway.settlementBatchSummary.generate(criteria);
  const summary = result.settlementBatchSummary;
  return { success: result.success, message: result.message, records: summary && summary.records };
}

serve({ search, list, get, sale, summary }, (error) => error.type || error.name);
