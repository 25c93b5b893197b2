// Reads commands, one JSON object a line, and writes what comes of each, one JSON object a line.

"use strict";

const readline = require("readline");

// `commands` maps the member `do` to an asynchronous function of the whole command. `named` gives an
// error its name.
exports.serve = async function (commands, named) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    let result;
    try {
      result = await commands[command.do](command);
    } catch (error) {
      const message = String(error.message || error);
      result = { error: named(error), message, status: error.statusCode };
    }
    process.stdout.write(JSON.stringify(result) + "\n");
  }
};
