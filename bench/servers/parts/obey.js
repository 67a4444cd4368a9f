'use strict';

const readline = require('node:readline');

/** Answers each line on stdin by a line; ends the process at the end of stdin, and on SIGTERM. */
function obey(perform, end) {
  const tell = (facts) => process.stdout.write(`${JSON.stringify(facts)}\n`);
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', async (line) => tell(await perform(JSON.parse(line))));
  lines.on('close', end);
  process.on('SIGTERM', end);
  return tell;
}

module.exports = { obey };
