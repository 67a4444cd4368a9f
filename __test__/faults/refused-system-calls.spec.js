'use strict';

// How the primary starts workers, and exchanges messages with them, where the kernel or a filter of system
// calls refuses the usual way.

const { execFileSync, spawnSync } = require('node:child_process');
const os = require('node:os');
const { serial: test } = require('ava');
const { startApp, statsOf } = require('../helpers/app');
const { get } = require('../helpers/client');
const { canDeny, denying } = require('../helpers/deny');
const { run, start } = require('../helpers/fixture');
const { execPath, isBuiltin } = require('../helpers/implementation');
const { unprivileged } = require('../helpers/privileges');

if (canDeny && !isBuiltin) {
  const refusals = [
    ['EPERM', 'socketpair', 'socketpair'],
    ['ENOMEM', 'clone+4000', 'clone'],
    ['EAGAIN', 'clone+4000', `spawn ${execPath}`],
  ];
  for (const [code, denied, syscall] of refusals) {
    test(`fork() emits 'error' where the system refuses ${denied} by ${code}`, async (t) => {
      const program = start(t, 'lifecycle/fork-on-command', { launcher: denying(code, denied) });
      program.send({});
      t.deepEqual(await program.line({ error: code }), {
        error: code,
        errno: -os.constants.errno[code],
        syscall,
        path: execPath,
        pid: 'undefined',
      });
      await program.end();
    });
  }
}

const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;
// The limit on threads does not apply to root.
if (hasPrlimit && unprivileged && !isBuiltin) {
  test("fork() emits 'error' where there is no thread for the engine, and works later", async (t) => {
    const program = start(t, 'lifecycle/fork-on-command', { spawn: unprivileged });
    await program.line({ is: 'ready' });
    const limit = (soft) =>
      execFileSync('prlimit', [`--pid=${program.pid}`, `--nproc=${soft}:`], unprivileged);
    limit(1);
    program.send({});
    t.like(await program.line({ error: 'EAGAIN' }), { syscall: 'pthread_create' });
    limit(1000);
    program.send({});
    await program.line({ closed: [null, 'SIGKILL'] });
    await program.end();
  });
}

const withoutMemory = [];
if (canDeny) {
  withoutMemory.push(['the kernel has no memfd_create', denying('ENOSYS', 'memfd_create')]);
  withoutMemory.push(['a filter denies memfd_create', denying('EPERM', 'memfd_create')]);
}
if (hasPrlimit) withoutMemory.push(['the size limit of files is 0', ['prlimit', '--fsize=0']]);
const policies = isBuiltin
  ? ['rr', 'none']
  : ['rr', 'none', 'least-connections', 'source-hash', 'reuseport'];

for (const [name, launcher] of withoutMemory) {
  test(`messages arrive where ${name}`, async (t) => {
    const [{ lines, code }, usual] = await Promise.all([
      run(t, 'messages/json-values', { launcher }),
      run(t, 'messages/json-values'),
    ]);
    t.is(code, 0);
    t.deepEqual(lines, usual.lines);
  });
}
for (const policy of withoutMemory.length > 0 ? policies : []) {
  const [name, launcher] = withoutMemory.at(-1);
  test(`workers serve by ${policy} where ${name}`, async (t) => {
    const env = { NODE_CLUSTER_SCHED_POLICY: policy };
    const app = await startApp(t, { workers: 2 }, { launcher, env });
    const answers = [];
    for (let left = 20; left > 0; left -= 1) answers.push(await get(app.target));
    t.is(answers.length, 20);
    const served = new Set(answers.map(({ id }) => id));
    if (policy === 'rr' || policy === 'least-connections') t.is(served.size, 2);
    if (!isBuiltin) {
      const { workers } = await statsOf(app);
      t.deepEqual(
        Object.values(workers).map(({ waiting, open }) => [waiting, open]),
        [
          [0, 0],
          [0, 0],
        ],
      );
    }
    await app.end();
  });
}
