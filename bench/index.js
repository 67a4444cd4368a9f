'use strict';

// npm run bench -- [scenario] [options]: runs the scenario and prints its table, or runs all and
// writes the report. No process of a run ever outlives this one (see ../tools/processes.js).

const fs = require('node:fs');
const path = require('node:path');
const { FOOTNOTE, MARK, describeProcessors } = require('./lib/disturbance.js');
const { describeEnvironment, inspectEnvironment } = require('./lib/environment.js');
const { completeOptions, parseArguments, usage } = require('./lib/options.js');
const { markRun } = require('./lib/process-times.js');
const { writeReport } = require('./lib/report.js');
const { removeResult, writeResult } = require('./lib/results.js');
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
  const remarks = describeProcessors();
  process.stderr.write(remarks.map((line) => `${line}\n`).join(''));
  const result = await scenario.run(options, environment);
  const table = scenario.format(result);
  const footnote = table.includes(MARK) ? [FOOTNOTE, ''] : [];
  const lines = [describeEnvironment(environment), ...remarks, table, ...footnote];
  process.stdout.write(lines.join('\n'));
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
    writeResult(scenario, environment, result, options.quick);
    writeReport();
  }
}

/** A scenario that fails leaves no result, not even an earlier one: the report is of one run. */
async function runOfAll(scenario, options) {
  process.stdout.write(`${scenario.name}: ${scenario.summary}\n`);
  const begun = performance.now();
  try {
    const { environment, result } = await runScenario(scenario, options);
    writeResult(scenario, environment, result, options.quick);
    return [];
  } catch (error) {
    removeResult(scenario);
    return [`! ${scenario.name}: ${error instanceof UserError ? error.message : error.stack}`];
  } finally {
    const minutes = (performance.now() - begun) / 60_000;
    process.stdout.write(`${scenario.name} took ${minutes.toFixed(1)} minutes\n\n`);
  }
}

/** Runs all; resolves to the exit code, which is 1 if a scenario failed as a whole. */
async function runAll(given) {
  const scenarios = loadScenarios().map((scenario) => [scenario, completeOptions(given, scenario)]);
  const failures = [];
  for (const [scenario, options] of scenarios) {
    failures.push(...(await runOfAll(scenario, options)));
  }
  writeReport();
  process.stdout.write(failures.map((line) => `${line}\n`).join(''));
  return failures.length > 0 ? 1 : 0;
}

async function main(argv) {
  const { name, given } = parseArguments(argv);
  markRun();
  if (!given.help && !name) return runAll(given);
  if (given.help) process.stdout.write(usage(loadScenarios()));
  else await runOne(loadScenario(name), given);
  return 0;
}

runCommand(main);
