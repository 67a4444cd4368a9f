'use strict';

// npm run ready: all that CI checks, on a clean clone: formatters, linters, types, spelling and licenses, the
// README's test command, the tests that need servers, the packages as they would be published, the corpus of
// the fuzz targets, then Node's own tests, and random programs compared with node:cluster, on the oldest Node
// that builds this and on the newest. Prints at the end what each test runner said last, Rust tests first.

const { runCommand } = require('../tools/command.js');
const { runSteps } = require('../tools/steps.js');

const NODES = ['20', '26'];
const onNodes = NODES.flatMap((version) => ['--node', version]);

const RUST = { name: 'cargo test', line: /^test result: \w+\. (\d+) passed/ };
const AVA = { name: 'ava', line: /^ +(\d+) tests? (?:passed|failed)/ };
const REPLAY = { name: 'The replay of a corpus', line: /^[a-z]+: (\d+) inputs replayed/ };
const OURS = { line: /^(\d+) passed, \d+ failed/, times: NODES.length };

function npm(...args) {
  return ['npm', ...args];
}

function script(name, ...args) {
  return npm('run', '--silent', name, ...(args.length > 0 ? ['--', ...args] : []));
}

const STEPS = [
  { command: ['node', 'scripts/setup.js'] },
  { command: script('lint') },
  // Rust tests run without Node-API, with it, of the load generator, and with faults.
  { command: npm('test'), runners: [{ ...RUST, times: 4 }, AVA] },
  { command: script('test:deploy', '--install'), runners: [AVA] },
  { command: script('release:dry'), runners: [AVA] },
  { command: script('fuzz', '--replay'), runners: [REPLAY] },
  { command: script('conformance', ...onNodes), runners: [{ name: 'conformance', ...OURS }] },
  {
    command: script('parity', '--programs', '150', ...onNodes),
    runners: [{ name: 'parity', ...OURS }],
  },
];

async function main() {
  await runSteps(STEPS);
  return 0;
}

if (require.main === module) runCommand(main);

module.exports = { STEPS };
