// Reads and writes bases with the official SDK; see airtable_reader.py.

"use strict";

const Airtable = require("airtable");
const { serve } = require("./commands");

const airtable = new Airtable({
  apiKey: process.env.TOKEN,
  endpointUrl: process.env.EMULATOR_URL,
  noRetryIfRateLimited: !process.env.RETRY,
  requestTimeout: 20000,
});

const table = ({ base, table }) => airtable.base(base)(table);
const plain = (record) => record._rawJson;

async function list(command) {
  const pages = [];
  const records = [];
  await table(command)
    .select(command.options || {})
    .eachPage((page, next) => {
      pages.push(page.length);
      records.push(...page.map(plain));
      next();
    });
  return { records, pages };
}

async function get(command) {
  return { record: plain(await table(command).find(command.id)) };
}

async function create(command) {
  const records = command.records.map((fields) => ({ fields }));
  const options = { typecast: Boolean(command.typecast) };
  return { records: (await table(command).create(records, options)).map(plain) };
}

async function update(command) {
  const method = command.replace ? "replace" : "update";
  return { records: (await table(command)[method](command.records)).map(plain) };
}

async function remove(command) {
  return { records: (await table(command).destroy(command.ids)).map(plain) };
}

serve({ list, get, create, update, delete: remove }, (error) => error.error || error.name);
