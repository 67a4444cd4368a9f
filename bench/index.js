'use strict';

// npm run bench -- <scenario> [options]: finds the scenario, runs it, prints its table.
// Whatever happens, no process of a run outlives it (see ../tools/processes.js).

const fs = require('node:fs');
const path = require('node:path');
const { describeEnvironment, inspectEnvironment } = require('./lib/environment.js');
const { completeOptions, parseArguments, usage } = require('./lib/options.js');
const { runCommand } = require('../tools/command.js');
const { UserError } = require('../tools/user-error.js');

const SCENARIOS = path.join(__dirname, 'scenarios');

function scenarioNames() {
  const files = fs.readdirSync(SCENARIOS).filter((file) => file.endsWith('.js'));
  return files.map((file) => path.basename(file, '.js')).sort();
}

function loadScenario(name) {
  const names = scenarioNames();
  if (!names.includes(name)) {
    throw new UserError(`No scenario "${name}". There is: ${names.join(', ')}.`);
  }
  return require(path.join(SCENARIOS, `${name}.js`));
}

function loadScenarios() {
  return scenarioNames().map((name) => ({ name, ...loadScenario(name) }));
}

// Before the first round: two minutes of measuring should not end in "no such directory".
function checkWritable(file) {
  try {
    fs.accessSync(path.dirname(path.resolve(file)), fs.constants.W_OK);
  } catch (error) {
    throw new UserError(`--json ${file}: ${error.message}`);
  }
}

async function main(argv) {
  const { name, given } = parseArguments(argv);
  if (given.help || !name) {
    process.stdout.write(usage(loadScenarios()));
    return given.help ? 0 : 1;
  }
  const scenario = loadScenario(name);
  const options = completeOptions(given, scenario);
  if (options.json) checkWritable(options.json);
  const environment = inspectEnvironment(options.node);
  const result = await scenario.run(options, environment);
  process.stdout.write(`${describeEnvironment(environment)}\n${scenario.format(result)}`);
  if (options.json) {
    const record = { scenario: name, environment, ...result };
    fs.writeFileSync(options.json, `${JSON.stringify(record, null, 2)}\n`);
  }
  return 0;
}

runCommand(main);
