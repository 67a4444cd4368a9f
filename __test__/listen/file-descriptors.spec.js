'use strict';

const { serial: test } = require('ava');
const { checkTurns } = require('../helpers/app');
const { askDatagrams, askEach, countAnswers } = require('../helpers/client');
const { start } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { majorVersion } = require('../helpers/version');

const HOST = '127.0.0.1';

/** Starts two workers that listen on one descriptor; `program.target` is its address. */
async function startWith(t, kind, bound) {
  const program = start(t, 'listen/file-descriptor', { args: [kind, bound] });
  const [first, second] = await program.linesLike({ server: 'listening' }, 2);
  t.deepEqual(first.at, second.at);
  t.is(first.at.address, HOST);
  program.target = { host: HOST, port: first.at.port };
  return program;
}

/** Resolves to the arguments of the primary's 'listening' events. */
async function events(program) {
  const lines = await program.linesLike({ on: 'cluster', event: 'listening' }, 2);
  return lines.map(({ args }) => args[0]);
}

test('workers share a descriptor of their primary in turn', async (t) => {
  const program = await startWith(t, 'http', 'net');
  const { port } = program.target;
  await askEach(program.target, [1, 2]);
  await checkTurns(t, program, { 1: 5, 2: 5 });
  const [event] = await events(program);
  const { fd, ...address } = event;
  t.deepEqual(address, { addressType: null, address: null, port });
  const { lines } = await program.end();
  // The built-in module closes the descriptor with the last worker.
  t.deepEqual(lines.at(-1), { fd, isOpen: !isBuiltin });
});

test('workers share a UDP descriptor of their primary', async (t) => {
  const program = await startWith(t, 'udp4', 'udp4');
  const { port } = program.target;
  t.deepEqual((await askDatagrams(program.target, ['text']))[0].heard, 'text');
  const [event] = await events(program);
  const { fd, ...address } = event;
  t.deepEqual(address, { addressType: 'udp4', address: null, port });
  const { lines } = await program.end();
  t.deepEqual(lines.at(-1), { fd, isOpen: !isBuiltin });
});

const KINDS = { file: 'a file', net: 'a TCP socket', udp4: 'a UDP socket' };
for (const [kind, bound, syscall] of [
  ['net', 'file', 'bind'],
  ['net', 'udp4', 'bind'],
  ['udp4', 'file', 'open'],
  ['udp4', 'net', 'open'],
]) {
  test(`the descriptor of ${KINDS[bound]} is an error for a ${kind} server`, async (t) => {
    const program = start(t, 'listen/file-descriptor', { args: [kind, bound] });
    for (const id of [1, 2]) {
      const error = await program.line({ server: 'error', id });
      t.deepEqual(error, { server: 'error', id, code: 'EINVAL', syscall });
    }
    await program.end();
  });
}

// With the built-in module of Node 18, the primary throws when it tries to make another handle of this one.
for (const what of isBuiltin && majorVersion < 20 ? [] : ['handle', 'server']) {
  test(`a worker that listens with its own ${what} does not share it`, async (t) => {
    const program = start(t, 'listen/own-handle', { args: [what] });
    const lines = await program.linesLike({ server: 'listening' }, 2);
    t.not(lines[0].at.port, lines[1].at.port);
    for (const { id, at } of lines) {
      t.deepEqual(await countAnswers({ host: HOST, port: at.port }, 4), { [id]: 4 });
    }
    await program.end();
    t.deepEqual(program.seen({ on: 'cluster', event: 'listening' }), []);
  });
}
