'use strict';

const path = require('node:path');
const test = require('ava');
const { start } = require('../helpers/fixture');
const { freePort } = require('../helpers/free-port');
const { assertNothingLost, load, logsOf } = require('../helpers/load');
const { temporaryDirectory } = require('../helpers/temporary');

const KINDS = ['http', 'https', 'h2c', 'h2'];

/** Starts workers of all kinds of servers; `at[kind]` is the address for clients. */
async function startServers(t, logs) {
  const at = { unix: path.join(temporaryDirectory(t), 'socket') };
  const servers = [{ kind: 'http', listen: { path: at.unix } }];
  for (const kind of KINDS) {
    const listen = { host: '127.0.0.1', port: await freePort() };
    at[kind] = `${listen.host}:${listen.port}`;
    servers.push({ kind, listen });
  }
  const args = [{ workers: 2, servers, log: logs.server, keepAliveTimeout: 3_000 }];
  const program = start(t, 'drain/traffic', { args });
  await program.line({ all: 'listening' });
  return { at, program };
}

function everyShape(at) {
  const plain = [
    { shape: 'connections', count: 4 },
    { shape: 'connections', name: 'open', rate: 100 },
    { shape: 'get', count: 4, think: [0, 3] },
    { shape: 'post', count: 8, think: [0, 3] },
    { shape: 'post', name: 'late', count: 4, think: [1_500, 2_500] },
    { shape: 'pipeline', think: [5, 10] },
    { shape: 'silent', count: 4, think: [0, 500] },
    { shape: 'halfHead', count: 4, think: [0, 500] },
    { shape: 'upload', bytes: 10_000, everyMs: 20 },
    { shape: 'upload', name: 'early', early: true, bytes: 10_000, everyMs: 20 },
    { shape: 'download', everyMs: 20 },
    { shape: 'events', everyMs: 20 },
    { shape: 'events', name: 'endless', endless: true, everyMs: 20 },
    { shape: 'webSockets', count: 10, think: [10, 50] },
    { shape: 'burst', count: 200 },
  ].map((shape) => ({ address: at.http, ...shape }));
  const think = [1, 5];
  return [
    ...plain,
    { shape: 'post', name: 'unix', think, address: at.unix },
    { shape: 'post', name: 'tls13', tls: '1.3', think, address: at.https },
    { shape: 'connections', name: 'tls12', tls: '1.2', think, address: at.https },
    { shape: 'http2', name: 'h2c', think, address: at.h2c },
    { shape: 'http2', name: 'h2', tls: '1.3', bytes: 0, think, address: at.h2 },
  ];
}

test('every shape of traffic is answered, and clients and workers log the same ids', async (t) => {
  const logs = logsOf(t);
  const { at, program } = await startServers(t, logs);
  const operate = (traffic) => traffic.burst();
  const report = await load(t, everyShape(at), { logs, requests: 3_000, operate });
  await program.end();
  assertNothingLost(t, report);
  t.deepEqual(report.ids.notLogged, []);
  for (const shape of Object.values(report.shapes)) t.true(shape.answered > 0, shape.name);
  const { burst, post, tls12, unix } = report.shapes;
  t.is(burst.answered, 200);
  t.is(post.opened, 8);
  t.is(Object.keys(post.workers).length, 2);
  t.is(unix.opened, 1);
  t.true(tls12.resumed > 0);
});

test('requests of a killed worker are found, in the logs as well', async (t) => {
  const logs = logsOf(t);
  const { at, program } = await startServers(t, logs);
  const shapes = [
    { shape: 'download', address: at.http, count: 4 },
    { shape: 'post', address: at.http, count: 4, think: [1, 3] },
  ];
  const operate = async () => {
    // The deadline is over at once.
    program.send({ way: 'disconnect', timeout: 1 });
    await program.line({ did: 'replace' });
  };
  const { shapes: reports, ids } = await load(t, shapes, { logs, operate });
  await program.end();
  // A killed worker may have sent the head of an answer, and not logged yet that it had begun.
  const [halfServed, lost] = ['halfServed', 'lost'].map((verdict) =>
    ids[verdict].filter(({ id }) => id.startsWith('download')),
  );
  const isTruncated = ({ outcome }) => outcome === 'truncated';
  t.true(halfServed.length > 0 && halfServed.every(isTruncated));
  const truncated = [...halfServed, ...lost].filter(isTruncated);
  t.is(reports.download.failures.truncated, truncated.length);
  t.deepEqual(ids.twice, []);
});
