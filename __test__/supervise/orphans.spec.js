'use strict';

const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const { serial: test } = require('ava');
const { compiled } = require('../helpers/compiled');
const { startInternal } = require('../helpers/internal');
const { namespaceLauncher } = require('../helpers/namespace');
const { becomesTrue } = require('../../tools/process-group');

const LIMIT = 20_000;
const BLOCKED = 3_500;
const COUNT = 5;

// Each process that a worker leaves behind becomes a child of the primary, and ends a little later.
const PROGRAM = `
const { execFileSync } = require('node:child_process');
process.on('message', (what) => {
  if (what === 'exit') process.exit(9);
});
for (let count = 0; count < ${COUNT}; count += 1) {
  const command = 'sleep 0.2 >/dev/null 2>&1 & echo $!';
  process.send({ left: Number(execFileSync('sh', ['-c', command])) });
}
process.send({ worker: process.pid });
require('node:http').createServer().listen(0, '127.0.0.1');
`;

/** Its state and its parent, by the numbers of the process namespace of this test; undefined once it is gone. */
function processOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state, parent: Number(parent) };
  } catch {
    return undefined;
  }
}

const isGone = (pid) => processOf(pid) === undefined;

/** The values of this property in the messages of workers, as soon as there are so many. */
async function told(app, name, count) {
  for (;;) {
    const values = app.lines.map(({ message }) => message?.[name]).filter(Boolean);
    if (values.length >= count) return values;
    await once(app, 'news');
  }
}

/** As process 1, but without a namespace of its own, which takes privileges. */
const startReaper = (t, { internal = { reapOrphans: true }, launcher } = {}) =>
  startInternal(t, {
    program: PROGRAM,
    options: { workers: 1 },
    internal,
    launcher: launcher ?? [compiled('subreaper')],
  });

const linux = process.platform === 'linux' ? test : test.skip;

linux('processes that workers have left are reaped', async (t) => {
  const app = startReaper(t);
  await app.ready();
  const left = await told(app, 'left', COUNT);
  t.true(await becomesTrue(() => left.every(isGone), LIMIT));
  await app.end();
});

linux('without reapOrphans they stay zombies', async (t) => {
  const app = startReaper(t, { internal: {} });
  await app.ready();
  const left = await told(app, 'left', COUNT);
  const areZombies = () => left.every((pid) => processOf(pid)?.state === 'Z');
  t.true(await becomesTrue(areZombies, LIMIT));
  t.deepEqual(
    left.map((pid) => processOf(pid).parent),
    left.map(() => app.pid),
  );
  await app.end();
});

linux('workers and child processes of the primary keep their exit codes', async (t) => {
  const app = startReaper(t);
  await app.ready();
  const [pid] = await told(app, 'worker', 1);
  process.kill(pid, 'SIGUSR2');
  t.like(await app.line({ exited: 1 }), { code: null, signal: 'SIGUSR2' });
  await told(app, 'worker', 2);
  app.send({ do: 'execute', args: ['sh', ['-c', 'exit 7']] });
  t.is((await app.line({ done: 'execute' })).value, 7);
  await app.end();
});

linux('a worker that ends while the primary is stuck is not taken for an orphan', async (t) => {
  const app = startReaper(t);
  await app.ready();
  const [pid] = await told(app, 'worker', 1);
  const left = await told(app, 'left', COUNT);
  app.send({ do: 'block', args: [BLOCKED] });
  await app.line({ blocked: true });
  process.kill(pid, 'SIGKILL');
  // Two looks at least.
  t.true(await becomesTrue(() => left.every(isGone), LIMIT));
  await app.line({ done: 'block' });
  t.like(await app.line({ exited: 1 }), { code: null, signal: 'SIGKILL' });
  await told(app, 'worker', 2);
  await app.end();
});

linux('process 1 reaps what is left to it', async (t) => {
  const launcher = namespaceLauncher();
  if (launcher === undefined) {
    t.pass();
    return t.log(
      'this user may not make a namespace; the other tests have a process that inherits like process 1',
    );
  }
  const app = startReaper(t, { launcher });
  await app.ready();
  await told(app, 'left', COUNT);
  const isClean = async () => {
    const { length } = app.seen({ done: 'zombies' });
    app.send({ do: 'zombies' });
    const { value } = (await app.linesLike({ done: 'zombies' }, length + 1)).at(-1);
    t.is(value.self, 1);
    return value.orphans === 0 && value.zombies === 0;
  };
  t.true(await becomesTrue(isClean, LIMIT));
  await app.end();
});
