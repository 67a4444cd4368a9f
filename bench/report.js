'use strict';

// npm run bench:report: makes the table and charts from bench/results, without measuring anything.

const { writeReport } = require('./lib/report.js');
const { runCommand } = require('../tools/command.js');

async function main() {
  writeReport();
  return 0;
}

runCommand(main);
