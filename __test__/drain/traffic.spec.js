'use strict';

// Every shape of traffic under every policy, on the oldest and the newest Node, while all workers are replaced:
// no request fails. bench/lib/every-shape.js lists the shapes.

const { serial: test } = require('ava');
const { findNode } = require('../../tools/node-binary');
const { slowdown } = require('../../tools/time-limit');
const { start } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const {
  NONE_CLOSED,
  addresses,
  assertNoneClosed,
  assertNothingLost,
  load,
  logsOf,
  shapesWith,
} = require('../helpers/load');
const { POLICIES } = require('../helpers/policies');

const NODES = (process.env.TRAFFIC_NODES ?? '20,26').split(',');
// 100,000 over all policies and versions.
const REQUESTS = 10_000;
const WORKERS = 2;
// In ms. Much longer than it takes, unless the machine is busy.
const DRAIN_TIMEOUT = 30_000;
// How long a request may wait for its answer on an idle machine, in ms.
const ANSWER_LIMIT = 10_000;
// Fewer than in the benchmark, so that the machine is not always busy: other specs run beside this one.
const POST_CLIENTS = 16;
const ROUNDS = 40;

/** The shapes for a policy. */
function shapesFor(policy, at) {
  const shapes = shapesWith(POST_CLIENTS, at);
  // Under SCHED_NONE connections can't move, and an answer that comes before the request's body never ends one.
  return policy === 'SCHED_NONE' ? shapes.filter(({ early }) => !early) : shapes;
}

function startTraffic(t, node, options) {
  return start(t, 'drain/traffic', {
    args: [{ workers: WORKERS, ...options }],
    launcher: ['sh', '-c', 'shift; exec "$0" "$@"', node.path],
    timeout: 180_000,
  });
}

async function replace(program) {
  const before = program.seen({ did: 'replace' }).length;
  program.send({ do: 'replace', timeout: DRAIN_TIMEOUT });
  const lines = await program.linesLike({ did: 'replace' }, before + 1);
  return lines.at(-1);
}

for (const version of isBuiltin ? [] : NODES) {
  test(`clients keep their connections through ${ROUNDS} replacements: Node ${version}`, async (t) => {
    const { at, servers } = await addresses(t);
    const node = await findNode(version);
    const program = startTraffic(t, node, {
      servers: servers.filter(({ kind }) => kind === 'http'),
    });
    await program.line({ all: 'listening' });
    const clients = 40;
    const shape = { shape: 'post', address: at.http, count: clients, think: [0, 3] };
    const cuts = [];
    const played = await load(t, [shape], {
      answerLimitMs: Math.round(ANSWER_LIMIT * slowdown()),
      async operate() {
        for (let round = 0; round < ROUNDS; round += 1) cuts.push((await replace(program)).cut);
      },
    });
    await program.end();
    assertNothingLost(t, played);
    const { opened, closed, requests } = played.shapes.post;
    t.true(requests > 10 * ROUNDS);
    t.deepEqual({ opened, closed }, { opened: clients, closed: NONE_CLOSED });
    t.deepEqual(new Set(cuts), new Set([0]));
  });

  for (const policy of POLICIES) {
    test(`no request fails while workers are replaced: Node ${version}, ${policy}`, async (t) => {
      const { at, servers } = await addresses(t);
      const logs = logsOf(t);
      const node = await findNode(version);
      const program = startTraffic(t, node, { servers, log: logs.server, policy });
      await program.line({ all: 'listening' });
      const cuts = [];
      const shapes = shapesFor(policy, at);
      const played = await load(t, shapes, {
        logs,
        answerLimitMs: Math.round(ANSWER_LIMIT * slowdown()),
        requests: REQUESTS,
        async operate(traffic) {
          for (let i = 0; i < 2; i += 1) {
            await traffic.burst();
            cuts.push(await replace(program));
          }
        },
      });
      await program.end();
      assertNothingLost(t, played);
      t.true(played.total.requests >= REQUESTS);
      for (const { replaced, cut } of cuts)
        t.deepEqual({ replaced, cut }, { replaced: WORKERS, cut: 0 });
      // Under SCHED_NONE connections can't move.
      if (policy !== 'SCHED_NONE') assertNoneClosed(t, played, shapes);
    });
  }
}
