'use strict';

const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const { mkdirSync, readFileSync, symlinkSync } = require('node:fs');
const http = require('node:http');
const http2 = require('node:http2');
const net = require('node:net');
const path = require('node:path');
const tls = require('node:tls');
const { serial: test } = require('ava');
const { io } = require('socket.io-client');
const { getText, text } = require('../helpers/client');
const { WORKERS, answering, checkServer, example, firstIds } = require('../helpers/example');
const { startServer, workerOf } = require('../helpers/example');
const { fixturePath, run, start } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { temporaryDirectory } = require('../helpers/temporary');
const { membersOf, signalGroup } = require('../../tools/process-group');

const ROOT = path.join(__dirname, '../..');
const key = (name) => fixturePath(`shared/keys/${name}.pem`);
const keys = { KEY: key('key'), CERT: key('cert') };
const ca = readFileSync(key('cert'));

const EXPECTING = { Expect: '100-continue', 'Content-Length': 8 };

const migration = example('migration/app.js');

test('the migration example runs on node:cluster', async (t) => {
  const app = await startServer(t, migration, { workers: 2 });
  t.deepEqual(await answering(() => getText(app.target), 2), [1, 2]);
  t.false(isOnEngine(app));
  await endMigrated(t, app);
});

/**
 * Whether the application's workers have the preload of rs-cluster, without which the engine does not run.
 */
function isOnEngine({ pid }) {
  return membersOf(pid).some(({ command }) => command.includes('preload.js'));
}

async function endMigrated(t, app) {
  app.signal('SIGTERM');
  const { code, stdout } = await app.exited;
  t.is(code, 0);
  const said = stdout.trim().replace(/\d+$/gm, '#').split('\n').sort();
  const ended = ['Worker 1 has ended with #', 'Worker 2 has ended with #'];
  t.deepEqual(said, [ended[0], 'Worker 1 serves port #', ended[1], 'Worker 2 serves port #']);
}

// The examples load only this project.
if (!isBuiltin) {
  for (const option of ['--require', '--import']) {
    test(`the migration example runs on the engine by ${option}, unchanged`, async (t) => {
      const nodeArgs = [option, 'rs-cluster/register'];
      const app = await startServer(t, migration, { workers: 2, nodeArgs });
      t.deepEqual(await answering(() => getText(app.target), 2), [1, 2]);
      t.true(isOnEngine(app));
      await endMigrated(t, app);
    });
  }

  test('http.js answers, replaces a worker that crashes, and ends on Ctrl-C', async (t) => {
    const app = start(t, example('http.js'), { env: { PORT: '0' } });
    const [[, port]] = await app.matches(/Open http:\/\/127\.0\.0\.1:(\d+)\//g);
    const ask = () => getText({ host: '127.0.0.1', port });
    const workers = Math.max(2, WORKERS);
    t.deepEqual(await answering(ask, workers), firstIds(workers));
    const [[, pid]] = await app.matches(/Worker 1 \(pid (\d+)\) is listening/g);
    process.kill(Number(pid), 'SIGKILL');
    await app.matches(new RegExp(`Worker ${workers + 1} .* is listening`, 'g'));
    const ids = firstIds(workers + 1).slice(1);
    t.deepEqual(await answering(ask, workers), ids);
    signalGroup(app.pid, 'SIGINT');
    const { code, stderr } = await app.exited;
    t.is(code, 0);
    t.is(stderr, 'Worker 1 crashed (SIGKILL)\n');
  });

  test('http.js says that a port is taken', async (t) => {
    const server = net.createServer().listen(0);
    t.teardown(() => server.close());
    const { port } = server.address();
    const { code, stderr } = await run(t, example('http.js'), { env: { PORT: String(port) } });
    t.is(code, 1);
    const said = new Set(stderr.trim().split('\n'));
    t.deepEqual([...said], [`Cannot listen on port ${port} (EADDRINUSE): set PORT to another one`]);
  });

  for (const file of ['express.js', 'fastify.mjs']) {
    test(`${file} answers on every worker`, async (t) => {
      await checkServer(t, await startServer(t, example(file)));
    });
  }

  test('https.js answers on every worker, and every worker resumes a session', async (t) => {
    const app = await startServer(t, example('https.js'), { env: keys });
    const secure = { protocol: 'https:', ca, servername: 'localhost' };
    const { session } = await handshake(app.target);
    const resumed = await Promise.all(firstIds().map(() => handshake(app.target, session)));
    t.true(resumed.every(({ isReused }) => isReused));
    app.target = { ...app.target, ...secure };
    await checkServer(t, app);
  });

  test('http2.js distributes sessions over the workers, and ends them', async (t) => {
    const app = await startServer(t, example('http2.js'), { env: keys });
    const { host, port } = app.target;
    const ask = async () => {
      const session = http2.connect(`https://${host}:${port}`, { ca, servername: 'localhost' });
      const answer = await text(session.request());
      t.regex(answer, /^Hello by HTTP\/2\.0/);
      return answer;
    };
    t.deepEqual(await answering(ask), firstIds());
    const old = await getText({ ...app.target, protocol: 'https:', ca, servername: 'localhost' });
    t.true(old.startsWith('Hello by HTTP/1.1'));
    app.signal('SIGTERM');
    const { code } = await app.exited;
    t.is(code, 0);
  });

  test('the TypeScript program compiles, and answers on every worker', async (t) => {
    const directory = temporaryDirectory(t);
    mkdirSync(path.join(directory, 'node_modules'));
    symlinkSync(ROOT, path.join(directory, 'node_modules/rs-cluster'));
    const tsc = path.join(ROOT, 'node_modules/.bin/tsc');
    execFileSync(tsc, ['--project', example('typescript'), '--outDir', directory]);
    const app = await startServer(t, path.join(directory, 'server.js'));
    await checkServer(t, app);
  });

  test('jobs.js does every job, including that of a worker that dies', async (t) => {
    const jobs = Array.from({ length: 20 }, (_, index) => 1000 + index);
    const app = start(t, example('jobs.js'));
    const [[, pid]] = await app.matches(/Worker 1 \(pid (\d+)\)/g);
    // The stopped worker keeps the first job.
    process.kill(Number(pid), 'SIGSTOP');
    for (const job of jobs) app.send(job);
    if (WORKERS > 1) await app.matches(/ primes below /g, jobs.length - 1);
    process.kill(Number(pid), 'SIGKILL');
    const { stdout } = await app.end();
    const done = [...stdout.matchAll(/ primes below (\d+), says worker (\d+)/g)];
    t.deepEqual(done.map(([, job]) => Number(job)).sort(), jobs);
    t.false(done.some(([, , id]) => id === '1'));
  });

  test('supervise.js reloads, and ends, without losing a request', async (t) => {
    const app = await startServer(t, example('supervise.js'));
    await app.matches(/Ready/g);
    const agents = firstIds(3).map(() => new CountingAgent({ keepAlive: true, maxSockets: 1 }));
    const lasting = agents.map((agent) => askUntilClosed(app.target, agent));
    let isOver = false;
    const others = (async () => {
      while (!isOver) await getText(app.target);
    })();
    app.signal('SIGHUP');
    await app.matches(/Generation 2 serves/g);
    t.deepEqual(
      await answering(() => getText(app.target)),
      firstIds().map((id) => id + WORKERS),
    );
    isOver = true;
    await others;

    const request = http.request({ ...app.target, method: 'POST', headers: EXPECTING });
    request.flushHeaders();
    await once(request, 'continue');
    app.signal('SIGTERM');
    for (const ids of await Promise.all(lasting)) t.true(ids.size > 1);
    t.deepEqual(
      agents.map(({ opened }) => opened),
      [1, 1, 1],
    );
    request.end('the rest');
    const [response] = await once(request, 'response');
    t.regex(await text(response), /Hello from worker/);
    const { code, stderr } = await app.exited;
    t.is(code, 0);
    t.is(stderr, '');
  });

  test('socket.io.js keeps the clients of an address with one worker, and broadcasts to all', async (t) => {
    const app = await startServer(t, example('socket.io.js'));
    const { host, port } = app.target;
    // Only polling: each request has its own connection, which may go to the wrong worker.
    const options = { transports: ['polling'], forceNew: true, reconnectionDelay: 50 };
    const clients = firstIds(8).map((n) => {
      const agent = new http.Agent({ localAddress: `127.0.0.${n}` });
      return io(`http://${host}:${port}`, { ...options, agent });
    });
    t.teardown(() => {
      for (const client of clients) client.disconnect();
    });
    const talk = async () => {
      const ids = await Promise.all(clients.map(sessionWorker));
      t.true(new Set(ids).size > 1 || WORKERS === 1);
      const heard = new Set();
      for (const client of clients) client.on('said', () => heard.add(client));
      while (heard.size < clients.length) {
        clients[0].emit('say', 'hello');
        await sessionWorker(clients[0]);
      }
    };
    // Clients would wait forever for a program that has failed.
    await Promise.race([talk(), app.exited]);
    for (const client of clients) client.disconnect();
    app.signal('SIGTERM');
    const { code } = await app.exited;
    t.is(code, 0);
  });
}

/** Counts the connections that it opens. */
class CountingAgent extends http.Agent {
  opened = 0;

  createConnection(...args) {
    this.opened += 1;
    return super.createConnection(...args);
  }
}

/** Sends POST requests until an answer ends the connection; resolves to the workers that have answered. */
async function askUntilClosed(target, agent) {
  const ids = new Set();
  let isClosed = false;
  while (!isClosed) {
    const request = http.request({ ...target, agent, method: 'POST' }).end();
    const [response] = await once(request, 'response');
    ids.add(workerOf(await text(response)));
    isClosed = response.headers.connection === 'close';
  }
  return ids;
}

/** Makes a handshake; returns the session with which a client of TLS 1.2 can resume it. */
async function handshake(target, session) {
  const options = { ca, servername: 'localhost', maxVersion: 'TLSv1.2', session };
  const socket = tls.connect({ ...target, ...options });
  await once(socket, 'secureConnect');
  socket.end();
  return { session: socket.getSession(), isReused: socket.isSessionReused() };
}

/**
 * The worker that has the session of a client. A busy machine may block workers for a second, so that a
 * request goes to the wrong worker; then the client connects again.
 */
async function sessionWorker(client) {
  for (;;) {
    try {
      const ids = new Set();
      for (let i = 0; i < 5; i++) ids.add(await client.emitWithAck('who'));
      if (ids.size === 1) return [...ids][0];
    } catch (error) {
      if (error.message !== 'socket has been disconnected') throw error;
    }
  }
}
