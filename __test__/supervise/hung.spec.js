'use strict';

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const { availableParallelism } = require('node:os');
const { setTimeout } = require('node:timers/promises');
const { serial: test } = require('ava');
const { WebSocket } = require('ws');
const { findNode } = require('../../tools/node-binary');
const { TimeLimit } = require('../../tools/time-limit');
const { fixturePath, start } = require('../helpers/fixture');
const { freePort } = require('../helpers/free-port');
const { execPath, isBuiltin } = require('../helpers/implementation');

// The Node versions that the stack is read on.
const NODES = (process.env.TRAFFIC_NODES ?? '20,26').split(',');
const HUNG_TIMEOUT = 2_000;
/** How much later than after its `hungTimeout` a worker may be replaced. */
const MARGIN = 1_000;
const MINUTE = 60_000;

const STUCK = fixturePath('supervise/stuck');

/** Where the fixture gets stuck, as a stack says. */
function frameOf(kind) {
  const lines = fs.readFileSync(STUCK, 'utf8').split('\n');
  const line = lines.findIndex((text) => text.endsWith(`// ${kind}`)) + 1;
  return { start: `at ${kind} (${STUCK}:${line}:`, place: `${STUCK}:${line}` };
}

/** Starts the program, on this Node if it is not the usual one. */
async function startProgram(t, options = {}, node = execPath) {
  const port = await freePort();
  const launcher = ['sh', '-c', 'shift; exec "$NODE" "$@"', 'sh'];
  const args = [{ port, hungTimeout: HUNG_TIMEOUT, ...options }];
  const program = start(t, 'supervise/hung', { args, launcher, env: { NODE: node } });
  const { pids } = await program.line({ event: 'ready' });
  return { program, pids, ask: (path = '') => ask(port, path) };
}

/** Sends a request on a connection of its own. Resolves to the pid that answers, or the code of the error. */
function ask(port, path) {
  return new Promise((resolve) => {
    const request = http.get({ port, path: `/${path}`, agent: false }, async (response) => {
      const chunks = await response.toArray();
      resolve(Number(chunks.join('')));
    });
    request.on('error', ({ code }) => resolve(code));
  });
}

/** Asks until a worker answers that was not there before. */
async function untilOtherAnswers(ask, before, limit = new TimeLimit(MINUTE)) {
  for (;;) {
    if (limit.left() === 0) throw new Error('no other worker has answered in time');
    const pid = await ask();
    if (!before.includes(pid) && typeof pid === 'number') return pid;
    await setTimeout(20);
  }
}

/** Spins in as many processes as make each processor busy four times over. */
function oversubscribe(t) {
  const count = availableParallelism() * 4;
  const spinning = Array.from({ length: count }, () => spawn('sh', ['-c', 'while :; do :; done']));
  const end = () => {
    for (const child of spinning) child.kill('SIGKILL');
  };
  t.teardown(end);
  return end;
}

/** Lets a process run for a tenth of the time only, until the returned function is called. */
function throttle(pid) {
  let goesOn = true;
  const run = async () => {
    while (goesOn) {
      process.kill(pid, 'SIGSTOP');
      await setTimeout(90);
      process.kill(pid, 'SIGCONT');
      await setTimeout(10);
    }
  };
  const done = run();
  return async () => {
    goesOn = false;
    await done;
  };
}

// The built-in module does not supervise.
if (!isBuiltin) {
  for (const wanted of NODES) {
    for (const kind of ['spin', 'wait', 'regExp', 'stop']) {
      test(`a worker that hangs is replaced, then killed (${kind}, Node ${wanted})`, async (t) => {
        const { path: node } = await findNode(wanted);
        const { program, pids, ask } = await startProgram(t, {}, node);
        const limit = new TimeLimit(HUNG_TIMEOUT + MARGIN);
        const cut = ask(kind);
        await untilOtherAnswers(ask, pids, limit);
        t.is(await cut, 'ECONNRESET');
        const { ms, stack, worker } = await program.line({ event: 'hung' });
        t.true(ms >= HUNG_TIMEOUT, `${ms} ms`);
        if (kind === 'stop') t.is(stack, null);
        else t.true(stack.startsWith(frameOf(kind).start), stack);
        t.like(await program.line({ event: 'replace', reason: 'hung' }), { from: worker, to: 3 });
        t.like(await program.line({ event: 'exit' }), { id: worker, signal: 'SIGKILL' });
        await program.end();
      });
    }
  }

  test('a worker that hangs is replaced while the primary is blocked', async (t) => {
    const { program, pids, ask } = await startProgram(t);
    program.send(['block', 10_000]);
    await program.line({ event: 'blocking' });
    const cut = ask('spin');
    await untilOtherAnswers(ask, pids);
    t.is(await cut, 'ECONNRESET');
    t.is(program.seen({ event: 'unblocked' }).length, 0, 'no JavaScript has run in the primary');
    const { stack } = await program.line({ event: 'hung' });
    t.true(stack.startsWith(frameOf('spin').start), stack);
    await program.end();
  });

  test('without surge, a worker that hangs is killed first', async (t) => {
    const { program, ask } = await startProgram(t, { maxSurge: 0 });
    const cut = ask('spin');
    const { worker } = await program.line({ event: 'hung' });
    t.is(await cut, 'ECONNRESET');
    await program.line({ event: 'replace', reason: 'hung' });
    const kinds = program.lines.map(({ event }) => event);
    t.true(kinds.indexOf('exit') < kinds.lastIndexOf('replace'));
    t.like(await program.line({ event: 'exit' }), { id: worker, signal: 'SIGKILL' });
    await program.end();
  });

  test('a worker that waits for a processor does not hang', async (t) => {
    const { program, ask } = await startProgram(t, { hungTimeout: 1_500 });
    const end = oversubscribe(t);
    // Each takes a second of processor time, which is some seconds now.
    const begin = Date.now();
    const answers = await Promise.all([ask('compute'), ask('compute')]);
    const took = Date.now() - begin;
    end();
    t.true(
      answers.every((answer) => typeof answer === 'number'),
      answers.join(),
    );
    t.true(took > 1_500, `the machine was busy: ${took} ms`);
    t.is(program.seen({ event: 'hung' }).length, 0);
    await program.end();
  });

  test('a worker that gets a tenth of a processor does not hang', async (t) => {
    const { program, pids, ask } = await startProgram(t, { hungTimeout: 1_000 });
    const [pid] = pids;
    const end = throttle(pid);
    const until = Date.now() + 5_000;
    while (Date.now() < until) await ask();
    await end();
    t.is(program.seen({ event: 'hung' }).length, 0);
    await program.end();
  });

  test('a worker that collects garbage for five seconds does not hang', async (t) => {
    const { program, ask } = await startProgram(t, { hungTimeout: 7_000 });
    t.is(typeof (await ask('collect/5000')), 'number');
    t.is(program.seen({ event: 'hung' }).length, 0);
    await program.end();
  });

  test('a worker at a breakpoint does not hang', async (t) => {
    const inspectPort = await freePort();
    const options = { workers: 1, inspectPort, execArgv: ['--inspect'], hungTimeout: 1_000 };
    const { program, pids, ask } = await startProgram(t, options);
    const [target] = await (await fetch(`http://127.0.0.1:${inspectPort}/json`)).json();
    const client = new WebSocket(target.webSocketDebuggerUrl);
    await once(client, 'open');
    const paused = new Promise((resolve) => {
      client.on('message', (text) => {
        if (JSON.parse(text).method === 'Debugger.paused') resolve();
      });
    });
    client.send(JSON.stringify({ id: 1, method: 'Debugger.enable' }));
    const answer = ask('pause');
    await paused;
    await setTimeout(3_500);
    t.is(program.seen({ event: 'hung' }).length, 0);
    client.close();
    t.is(await answer, pids[0]);
    // Without a client it may.
    const cut = ask('spin');
    await program.line({ event: 'hung' });
    t.is(await cut, 'ECONNRESET');
    await program.end();
  });

  test('a blocked worker is reported while it is, at most once a second', async (t) => {
    const { program, ask } = await startProgram(t, { hungTimeout: 0, blockedTimeout: 200 });
    t.is(typeof (await ask('block/100')), 'number');
    t.is(program.seen({ event: 'blocked' }).length, 0);
    const answer = ask('block/3500');
    const [first] = await program.linesLike({ event: 'blocked' }, 1);
    t.is(typeof (await answer), 'number');
    program.send(['status']);
    const { blocked } = await program.line({ event: 'status' });
    const { start: frame, place } = frameOf('block');
    t.like(blocked, [{ at: place }]);
    t.is(blocked.length, 1);
    const [{ count }] = blocked;
    // The status may know of a report before JavaScript has heard of it.
    const reports = await program.linesLike({ event: 'blocked' }, count);
    for (const { stack, worker } of reports) {
      t.true(stack.startsWith(frame), stack);
      t.is(worker, first.worker);
    }
    t.true(first.ms >= 200 && first.ms < 3_500, `${first.ms} ms`);
    // The first after 200 ms, and at most one in each second after it.
    t.true(count >= 2 && count <= 4, `${count} reports`);
    await program.end();
  });

  test('without blockedTimeout nothing is reported', async (t) => {
    const { program, ask } = await startProgram(t, { hungTimeout: 0 });
    t.is(typeof (await ask('block/1500')), 'number');
    program.send(['status']);
    t.deepEqual((await program.line({ event: 'status' })).blocked, []);
    t.is(program.seen({ event: 'blocked' }).length, 0);
    await program.end();
  });
}
