'use strict';

const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const tls = require('node:tls');
const { serial: test } = require('ava');
const { startApp } = require('../helpers/app');
const { askEach, text } = require('../helpers/client');
const { fixturePath } = require('../helpers/fixture');

const ca = readFileSync(fixturePath('shared/keys/cert.pem'));

/** Connects; resolves to the worker, whether it resumed the given session, and the new session, if any. */
async function visit(target, options) {
  const socket = tls.connect({ ...target, ca, ...options });
  let session;
  socket.once('session', (ticket) => {
    session = ticket;
  });
  await once(socket, 'secureConnect');
  const reused = socket.isSessionReused();
  const { id } = JSON.parse(await text(socket));
  return { id, reused, session };
}

/** Checks that each of these workers resumes the given session, as often as it gets it. */
async function checkResumed(t, app, ids, options) {
  const visits = await askEach(app.target, ids, (target) => visit(target, options));
  t.true(visits.every(({ reused }) => reused));
}

for (const version of ['TLSv1.2', 'TLSv1.3']) {
  const options = { minVersion: version, maxVersion: version };

  test(`other workers resume a session by ${version} with one worker`, async (t) => {
    const app = await startApp(t, { workers: 2, kind: 'tls' });
    const first = await visit(app.target, options);
    t.false(first.reused);
    await checkResumed(t, app, [1, 2], { ...options, session: first.session });
    await app.end();
  });
}

test('a worker that starts later resumes a session, without the worker that began it', async (t) => {
  const app = await startApp(t, { workers: 2, kind: 'tls' });
  const { id, session } = await visit(app.target);
  app.send({ do: 'signal', id, signal: 'SIGKILL' });
  await app.line({ on: 'cluster', event: 'exit', id });
  app.send({ do: 'fork' });
  await app.line({ on: 'cluster', event: 'listening', id: 3 });
  await checkResumed(t, app, [3 - id, 3], { session });
  await app.end();
});
