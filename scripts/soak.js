'use strict';

// npm run soak -- [options]: what takes too long for every change. It runs malicious workers beside honest ones,
// under load, for some minutes, and fails if a request to an honest worker is lost; the program is that of
// __test__/faults/soak.spec.js. Then it runs the specs of draining on the versions of Node that `npm test` leaves
// out, and those of supervised programs for much longer.

const path = require('node:path');
const { runCommand } = require('../tools/command.js');
const { findNode } = require('../tools/node-binary.js');
const { parse, positiveInteger } = require('../tools/options.js');
const { runTool } = require('../tools/run-tool.js');
const { UserError } = require('../tools/user-error.js');

const ROOT = path.join(__dirname, '..');
const PROGRAM = path.join(ROOT, '__test__', 'fixtures', 'faults', 'soak.js');
const POLICIES = ['rr', 'least-connections', 'source-hash', 'reuseport'];
// The duration of one run, in seconds; after it, the next policy is run.
const SECONDS = 30;
const DRAIN_NODES = ['18', '22', '24'];
const DRAIN_SPECS = '__test__/drain/*.spec.js';
const DRAIN_LIMIT = 30 * 60 * 1000;
// The specs read from the environment how often they do something.
const SUPERVISE_TIMES = {
  RELOADS: '200', // on each Node
  TRAFFIC_NODES: '18,20,22,24,26',
  SCALES: '500',
  BROKEN: '50',
  STOPS: '200',
  UPGRADES: '300',
  CRASH_LOOP_RATIO: '1',
};
const SUPERVISE_SPECS = '__test__/supervise/*.spec.js';
const SUPERVISE_HOURS = 5;

const USAGE = `npm run soak -- [options]

Runs malicious workers beside honest ones, which serve clients all the time. Fails if an answer of an
honest worker is lost. Then tests on other versions of Node that workers drain without losing a request, and
supervises programs, with more reloads, stops and failures than npm test.

  --minutes N    the duration of the first part, 10 by default
  --hours N      how long the last part does random operations, 2 by default
  --only PART    malicious, drain or supervise
  --policy NAME  one of ${POLICIES.join(', ')}; all in turn by default
  --seed N       of random choices; the time by default
  --node PATH    the Node binary that runs the program
  --help
`;

function parseOptions(argv) {
  const { values } = parse(argv, {
    minutes: { type: 'string', default: '10' },
    hours: { type: 'string', default: '2' },
    only: { type: 'string' },
    policy: { type: 'string' },
    seed: { type: 'string', default: `${Date.now() % 1_000_000}` },
    node: { type: 'string', default: process.execPath },
    help: { type: 'boolean', default: false },
  });
  if (values.policy !== undefined && !POLICIES.includes(values.policy)) {
    throw new UserError(`No policy "${values.policy}". There is: ${POLICIES.join(', ')}.`);
  }
  if (values.only !== undefined && !Object.hasOwn(PARTS, values.only)) {
    throw new UserError(`No part "${values.only}". There is: ${Object.keys(PARTS).join(', ')}.`);
  }
  const minutes = positiveInteger('minutes', values.minutes);
  const policies = values.policy === undefined ? POLICIES : [values.policy];
  const hours = positiveInteger('hours', values.hours);
  return { ...values, minutes, hours, policies, seed: positiveInteger('seed', values.seed) };
}

/** Resolves to the summary of one run. */
async function soak(node, policy, seed) {
  const env = { ...process.env, CLUSTER: ROOT, NODE_NO_WARNINGS: '1' };
  const args = [PROGRAM, `${SECONDS}`, policy, `${seed}`];
  const text = await runTool(node, args, { env, limit: 4 * SECONDS * 1000 });
  const lines = text.split('\n').filter((line) => line.startsWith('{'));
  const summary = lines.map((line) => JSON.parse(line)).find(({ requests }) => requests > 0);
  if (summary === undefined) throw new UserError(`${policy}, seed ${seed}: no client was served`);
  if (summary.lost > 0 || summary.honestExits > 0) {
    throw new UserError(`${policy}, seed ${seed}: honest workers were harmed\n${text}`);
  }
  return summary;
}

function describe({ policy, requests, attacks, faults, slowest }, seed) {
  return (
    `${policy}, seed ${seed}: ${requests} answers, none lost, the slowest after ${slowest} ms; ` +
    `${attacks} attacks, ${faults} of them faults\n`
  );
}

async function soakAll({ node, policies, minutes, seed: first }) {
  const runs = Math.ceil((minutes * 60) / SECONDS);
  for (let run = 0; run < runs; run += 1) {
    const seed = first + run;
    const summary = await soak(node, policies[run % policies.length], seed);
    process.stdout.write(describe(summary, seed));
  }
}

async function drain() {
  for (const wanted of DRAIN_NODES) {
    const node = await findNode(wanted);
    const env = { ...process.env, FIXTURE_NODE: node.path, TRAFFIC_NODES: wanted };
    const text = await runTool('npx', ['ava', DRAIN_SPECS], { cwd: ROOT, env, limit: DRAIN_LIMIT });
    process.stdout.write(
      `draining on Node ${node.version}: ${text.trimEnd().split('\n').at(-1).trim()}\n`,
    );
  }
}

async function supervise({ hours, seed }) {
  const env = { ...process.env, ...SUPERVISE_TIMES, SECONDS: `${hours * 3600}`, SEED: `${seed}` };
  const limit = (SUPERVISE_HOURS + hours) * 3600 * 1000;
  const args = ['ava', `--timeout=${SUPERVISE_HOURS + hours}h`, SUPERVISE_SPECS];
  const text = await runTool('npx', args, { cwd: ROOT, env, limit });
  process.stdout.write(`supervised programs: ${text.trimEnd().split('\n').at(-1).trim()}\n`);
}

const PARTS = { malicious: soakAll, drain, supervise };

async function main(argv) {
  const options = parseOptions(argv);
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const parts = options.only === undefined ? Object.values(PARTS) : [PARTS[options.only]];
  for (const part of parts) await part(options);
  return 0;
}

runCommand(main);
