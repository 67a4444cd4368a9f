'use strict';

const { serial: test } = require('ava');
const { checkTurns, startApp } = require('../helpers/app');
const { countAnswers, get } = require('../helpers/client');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

// The built-in module cannot pause workers.
if (!isBuiltin) {
  test('a worker is paused for both ends, whichever end has paused it', async (t) => {
    const { lines, code } = await run(t, 'policies/pause');
    t.is(code, 0);
    t.deepEqual(
      lines.filter(({ worker }) => worker !== undefined),
      [
        { after: 'paused', worker: true },
        { after: 'resumed', worker: false },
        { after: 'pause', worker: true },
        { after: 'resume', worker: false },
        // The worker reports this before it has learned what the primary did meanwhile, and after that.
        { after: 'both', worker: false },
        { after: 'end', worker: false },
      ],
    );
    t.deepEqual(
      lines.filter(({ primary }) => primary !== undefined),
      [
        { after: 'pause', primary: true },
        { after: 'resume', primary: false },
        { after: 'both', primary: false },
      ],
    );
  });

  test('a paused worker gets no connections until it is resumed', async (t) => {
    const app = await startApp(t, { workers: 3 });
    app.send({ do: 'pause', id: 2 });
    app.send({ do: 'pause', id: 2 });
    await app.line({ did: 'pause', id: 2, chained: true });
    await checkTurns(t, app, { 1: 10, 3: 10 });
    app.send({ do: 'resume', id: 2 });
    await app.line({ did: 'resume', id: 2, chained: true });
    await checkTurns(t, app, { 1: 10, 2: 10, 3: 10 });
    await app.end();
  });

  test('a worker pauses itself, and connections wait while all are paused', async (t) => {
    const app = await startApp(t, { workers: 2 });
    app.tell(1, { do: 'pause' });
    await app.line({ paused: 1, chained: true });
    // The primary learns of the pause with a delay.
    while ((await countAnswers(app.target, 4))[1] !== undefined);
    app.send({ do: 'pause', id: 2 });
    await app.line({ did: 'pause', id: 2 });
    const waiting = get(app.target);
    app.send({ do: 'resume', id: 1 });
    t.is((await waiting).id, 1);
    await app.end();
  });

  test('a paused worker keeps its connections, and can be disconnected', async (t) => {
    const app = await startApp(t, { workers: 2 });
    const answer = get(app.target, { path: '/hold' });
    const { id } = await app.line({ server: 'holds' });
    app.send({ do: 'pause', id });
    await app.line({ did: 'pause', id });
    app.send({ do: 'disconnect', id });
    app.tell(id, { do: 'release' });
    t.like(await answer, { id, held: true });
    await app.line({ on: 'cluster', event: 'exit', id, exitedAfterDisconnect: true });
    await app.end();
  });
}
