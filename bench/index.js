'use strict';

// npm run bench -- [scenario] [options]: runs the scenario and prints its table, or runs all and
// writes the report. No process of a run ever outlives this one (see ../tools/processes.js).

const fs = require('node:fs');
const path = require('node:path');
const { describeEnvironment, inspectEnvironment } = require('./lib/environment.js');
const { completeOptions, parseArguments, usage } = require('./lib/options.js');
const { writeReport } = require('./lib/report.js');
const { writeResult } = require('./lib/results.js');
const { loadScenario, loadScenarios } = require('./lib/scenarios.js');
const { runCommand } = require('../tools/command.js');
const { UserError } = require('../tools/user-error.js');

// Checked before the first round, so that minutes of measuring do not end with "no such directory".
function checkWritable(file) {
  try {
    fs.accessSync(path.dirname(path.resolve(file)), fs.constants.W_OK);
  } catch (error) {
    throw new UserError(`--json ${file}: ${error.message}`);
  }
}

/** Measures, and prints the table. */
async function runScenario(scenario, options) {
  const environment = inspectEnvironment(options.node);
  const result = await scenario.run(options, environment);
  process.stdout.write(`${describeEnvironment(environment)}\n${scenario.format(result)}`);
  return { environment, result };
}

async function runOne(scenario, given) {
  const options = completeOptions(given, scenario);
  if (options.json) checkWritable(options.json);
  const { environment, result } = await runScenario(scenario, options);
  if (options.json) {
    const record = { scenario: scenario.name, environment, ...result };
    fs.writeFileSync(options.json, `${JSON.stringify(record, null, 2)}\n`);
  }
  if (options.write) {
    writeResult(scenario, environment, result);
    writeReport();
  }
}

async function runAll(given) {
  const scenarios = loadScenarios().map((scenario) => [scenario, completeOptions(given, scenario)]);
  for (const [scenario, options] of scenarios) {
    process.stdout.write(`${scenario.name}: ${scenario.summary}\n`);
    const { environment, result } = await runScenario(scenario, options);
    process.stdout.write('\n');
    writeResult(scenario, environment, result);
  }
  writeReport();
}

async function main(argv) {
  const { name, given } = parseArguments(argv);
  if (given.help) process.stdout.write(usage(loadScenarios()));
  else if (name) await runOne(loadScenario(name), given);
  else await runAll(given);
  return 0;
}

runCommand(main);
