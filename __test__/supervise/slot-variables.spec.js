'use strict';

const { once } = require('node:events');
const { serial: test } = require('ava');
const { startInternal } = require('../helpers/internal');

const PROGRAM = `
const { INSTANCE, PORT } = process.env;
process.send({ INSTANCE, PORT, pid: process.pid });
require('node:http').createServer().listen(0, '127.0.0.1');
process.on('message', () => process.exit(1));
`;
const SLOT_ENV = [{ name: 'INSTANCE' }, { name: 'PORT', offset: 3000 }];

/** What the next `count` workers after the first `before` have said. */
async function said(app, before, count) {
  const isSaid = ({ message }) => message?.INSTANCE !== undefined;
  while (app.lines.filter(isSaid).length < before + count) {
    await once(app, 'news');
  }
  return app.lines
    .filter(isSaid)
    .slice(before)
    .map(({ message }) => [message.INSTANCE, message.PORT])
    .sort();
}

test('each worker knows its slot by variables, after a crash and a reload too', async (t) => {
  const env = { INSTANCE: 'x' };
  const app = startInternal(t, {
    program: PROGRAM,
    options: { env },
    internal: { slotEnv: SLOT_ENV },
  });
  await app.ready();
  const both = [
    ['0', '3000'],
    ['1', '3001'],
  ];
  t.deepEqual(await said(app, 0, 2), both);
  const second = app.lines.find(({ message }) => message?.INSTANCE === '1');
  process.kill(second.message.pid, 'SIGKILL');
  t.deepEqual(await said(app, 2, 1), [both[1]]);
  await app.line({ on: 'supervisor', event: 'replace', slot: 1 });
  app.send({ do: 'reload' });
  t.is((await app.line({ done: 'reload' })).error, undefined);
  t.deepEqual(await said(app, 3, 2), both);
  app.send({ do: 'scale', args: [3] });
  t.is((await app.line({ done: 'scale' })).value, 3);
  t.deepEqual(await said(app, 5, 1), [['2', '3002']]);
  await app.end();
});

test('a name that is not one of a variable is refused', async (t) => {
  for (const name of ['', 'A=B', 'A\0', 7]) {
    const internal = { slotEnv: [{ name }] };
    const { code, stderr } = await startInternal(t, { program: '', internal }).exited;
    t.is(code, 1);
    t.regex(stderr, /internal\.slotEnv\[0\]\.name/);
  }
});

test('supervise() itself does not take what is internal', async (t) => {
  const options = { internal: { rehearse: true } };
  const { code, stderr } = await startInternal(t, { program: '', options }).exited;
  t.is(code, 1);
  t.regex(stderr, /ERR_INVALID_ARG_VALUE/);
  t.regex(stderr, /options\.internal/);
});
