'use strict';

const { readFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { temporaryDirectory } = require('../helpers/temporary');

const endings = {
  exit: { code: 3, signal: null },
  SIGKILL: { code: null, signal: 'SIGKILL' },
  disconnect: { code: 0, signal: null },
};
for (const [way, ending] of Object.entries(endings)) {
  test(`the output of a silent worker that ends by ${way} is complete`, async (t) => {
    const { lines } = await run(t, 'environment/silent-output', { args: [way, 'from the start'] });
    const received = { stdout: 5_000_000, stderr: 1_000_000 };
    t.deepEqual(lines, [{ received, ended: ['stderr', 'stdout'], ...ending }]);
  });
}

test('the output of a killed worker can still be read after its exit', async (t) => {
  const { lines } = await run(t, 'environment/silent-output', { args: ['SIGKILL', 'at the exit'] });
  const received = { stdout: 50_000, stderr: 10_000 };
  t.deepEqual(lines, [{ received, ended: ['stderr', 'stdout'], ...endings.SIGKILL }]);
});

test('unread output does not delay the close event', async (t) => {
  const { lines } = await run(t, 'environment/silent-output', { args: ['SIGKILL', 'never'] });
  t.deepEqual(lines, [{ received: { stdout: 0, stderr: 0 }, ended: [], ...endings.SIGKILL }]);
});

for (const [name, stdio, input, output] of [
  ['the standard streams', 'pipe', 0, 1],
  ['a further pipe, both ways', ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'], 4, 4],
  ['several further pipes', ['ignore', 'pipe', 'inherit', 'ipc', 'pipe', 'pipe'], 5, 4],
]) {
  test(`a worker reads what its primary writes, and answers, by ${name}`, async (t) => {
    const { lines, code } = await run(t, 'environment/echo-stdio', {
      args: [stdio, input, output].map((it) => JSON.stringify(it)),
    });
    t.is(code, 0);
    t.deepEqual(lines, [{ whole: true }]);
  });
}

/** Resolves to the streams of `worker.process` with this stdio, and what the worker wrote to `fd`. */
async function writeTo(t, stdio, fd) {
  const file = path.join(temporaryDirectory(t), 'file');
  const settings = `{
    exec: __dirname + '/writes.js',
    args: ['${fd}'],
    stdio: ${stdio.replaceAll('FILE', JSON.stringify(file))},
  }`;
  const { lines, code, stdout } = await run(t, 'shared/worker-settings', { args: [settings, {}] });
  t.is(code, 0);
  const printed = lines.find((line) => line.fd === fd)?.text;
  const { stdio: streams } = lines.find((line) => 'spawnfile' in line);
  return { streams, printed, stdout, read: () => readFileSync(file, 'utf8') };
}

const [no, yes] = [false, true];
const strings = {
  "'pipe'": [yes, yes, yes, no],
  "'overlapped'": [yes, yes, yes, no],
  "'ignore'": [no, no, no, no],
  "'inherit'": [no, no, no, no],
};
for (const [stdio, streams] of Object.entries(strings)) {
  test(`stdio ${stdio} stands for all three streams`, async (t) => {
    const outcome = await writeTo(t, stdio, 1);
    t.deepEqual(outcome.streams, streams);
    t.is(outcome.printed, streams[1] ? 'written' : undefined);
    t.is(outcome.stdout.includes('written'), stdio !== "'ignore'");
  });
}

const targets = {
  'a descriptor': "['ignore', fs.openSync(FILE, 'w'), 2, 'ipc']",
  'a stream': "['ignore', { fd: fs.openSync(FILE, 'w') }, 2, 'ipc']",
};
for (const [name, stdio] of Object.entries(targets)) {
  test(`stdio may name ${name}`, async (t) => {
    const outcome = await writeTo(t, stdio, 1);
    t.deepEqual(outcome.streams, [no, no, no, no]);
    t.is(outcome.read(), 'written');
  });
}

test('stdio may name a stream of another process', async (t) => {
  const { lines, code, stdout } = await run(t, 'environment/stream-of-other-process');
  t.is(code, 0);
  t.deepEqual(lines, [{ stdout: null, isOpen: true }]);
  t.true(stdout.includes('written'));
});

test("stdio 'inherit' is the descriptor with the same number, even above 2", async (t) => {
  // Each of these names the primary's own descriptor 1.
  for (const stdout of ['process.stdout', "'inherit'", '1']) {
    const outcome = await writeTo(t, `['ignore', ${stdout}, 2, 'ipc']`, 1);
    t.true(outcome.stdout.endsWith('written'), stdout);
  }
  const outcome = await writeTo(t, "[0, 1, 2, 'ipc', undefined, null, 1]", 6);
  t.deepEqual(outcome.streams, [no, no, no, no, no, no, no]);
  t.true(outcome.stdout.endsWith('written'));
});

for (const number of [0, 1, 2]) {
  test(`a file that a worker opens once its channel is gone does not become its stream ${number}`, async (t) => {
    const { lines, code } = await run(t, 'environment/channel-as-standard-stream', {
      env: { NUMBER: `${number}` },
    });
    t.is(code, 0);
    t.deepEqual(lines, [{ seen: ['hello', 'disconnect'], opened: 'behind the standard streams' }]);
  });
}
