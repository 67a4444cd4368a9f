'use strict';

const { mkdirSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { FIXTURES, fixturePath, run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { install } = require('../helpers/installation');
const { temporaryDirectory } = require('../helpers/temporary');
const { isAtLeast, majorVersion } = require('../helpers/version');

const ROOT = path.join(__dirname, '../..');

const ENABLE = majorVersion < 22 ? '--experimental-permission' : '--permission';
const READS = `--allow-fs-read=${ROOT}`;
// The flags that a primary needs.
const GRANTS = [READS, '--allow-addons', '--allow-child-process'];
// The flags without the last one.
const WITHOUT_CHILDREN = GRANTS.slice(0, -1);

const FILES = [fixturePath('shared/report'), '/etc/passwd'];
const PERMITTED = { scopes: [true, false, false], reads: [true, false] };
const FREE = { scopes: Array(3).fill('undefined'), reads: Array(2).fill('undefined') };

// Since these versions, child processes have the permissions of their parent.
const copies = isAtLeast('24.4.0') || (majorVersion === 22 && isAtLeast('22.18.0'));

/** What a worker reports about its permissions, and how it ended. */
async function permissions(t, { settings = {}, env = {}, before = '0', ...how }) {
  const { files = FILES, nodeArgs = [ENABLE, ...GRANTS], environment } = how;
  const args = [settings, env, before, ...files];
  const options = { args, nodeArgs, env: environment, warns: true };
  const { lines, code } = await run(t, 'environment/permissions', options);
  t.is(code, 0);
  return lines;
}

test('a worker without the permission model is unrestricted, as its primary is', async (t) => {
  const [worker, exit] = await permissions(t, { nodeArgs: [] });
  t.like(worker, FREE);
  t.deepEqual(exit, { code: 0 });
});

if (majorVersion >= 20) {
  test('a worker has the permissions of its primary by its flags', async (t) => {
    const [worker, exit] = await permissions(t, {});
    t.like(worker, { ...PERMITTED, execArgv: [ENABLE, ...GRANTS] });
    t.deepEqual(exit, { code: 0 });
  });

  test('a worker with its own flags has the permissions of its primary, where Node copies them', async (t) => {
    const execArgv = ['--no-deprecation'];
    const [worker, exit] = await permissions(t, { settings: { execArgv } });
    const options = copies ? [ENABLE, ...GRANTS].join(' ') : 'undefined';
    t.deepEqual(worker, { ...(copies ? PERMITTED : FREE), options, execArgv });
    t.deepEqual(exit, { code: 0 });
  });

  test('a worker whose flags name permissions has only those', async (t) => {
    const execArgv = [ENABLE, ...WITHOUT_CHILDREN];
    const [worker] = await permissions(t, { settings: { execArgv } });
    const scopes = [false, false, false];
    t.deepEqual(worker, { ...PERMITTED, scopes, options: 'undefined', execArgv });
  });

  test('a worker whose environment names permissions has only those', async (t) => {
    const NODE_OPTIONS = [ENABLE, ...WITHOUT_CHILDREN].join(' ');
    const how = { settings: { execArgv: [] }, env: { NODE_OPTIONS } };
    const [worker] = await permissions(t, how);
    const scopes = [false, false, false];
    t.deepEqual(worker, { ...PERMITTED, scopes, options: NODE_OPTIONS, execArgv: [] });
  });

  test('permissions in the environment are inherited with it', async (t) => {
    const NODE_OPTIONS = [ENABLE, ...GRANTS].join(' ');
    const how = { settings: { execArgv: [] }, environment: { NODE_OPTIONS }, nodeArgs: [] };
    const [worker] = await permissions(t, how);
    t.deepEqual(worker, { ...PERMITTED, options: NODE_OPTIONS, execArgv: [] });
  });
}

if (copies) {
  test('permissions are added to the options that a worker has in its environment', async (t) => {
    const how = { settings: { execArgv: [] }, env: { NODE_OPTIONS: '--title=its-own' } };
    const [worker] = await permissions(t, how);
    const options = ['--title=its-own', ENABLE, ...GRANTS].join(' ');
    t.deepEqual(worker, { ...PERMITTED, options, execArgv: [] });
  });

  // Node copies these in a form that it can't read, or reads differently.
  if (!isBuiltin) {
    test('permissions for paths with spaces and quotes are copied', async (t) => {
      const place = path.join(temporaryDirectory(t), 'a "b" \\c');
      mkdirSync(place);
      const nodeArgs = [ENABLE, `--allow-fs-read=${place}`, ...GRANTS];
      const how = { settings: { execArgv: [] }, files: [place, '/etc/passwd'], nodeArgs };
      t.like((await permissions(t, how))[0], PERMITTED);
    });

    test('permissions whose values are separate arguments are copied', async (t) => {
      const nodeArgs = [ENABLE, ...GRANTS.flatMap((flag) => flag.split('='))];
      const how = { settings: { execArgv: [] }, nodeArgs };
      t.like((await permissions(t, how))[0], PERMITTED);
    });

    test('permissions are copied whatever arguments the program has', async (t) => {
      const args = [{}, {}, '0', ...FILES, ENABLE].map((arg) =>
        typeof arg === 'string' ? arg : JSON.stringify(arg),
      );
      const how = { settings: { execArgv: [], args } };
      const { scopes } = PERMITTED;
      t.like((await permissions(t, how))[0], { scopes, reads: [true, false, true] });
    });

    if (majorVersion === 22) {
      test('permissions enabled by their older name are copied', async (t) => {
        const nodeArgs = ['--experimental-permission', ...GRANTS];
        const how = { settings: { execArgv: [] }, nodeArgs };
        t.like((await permissions(t, how))[0], PERMITTED);
      });
    }
  }
}

if (isAtLeast('24.21.0')) {
  test('a primary that has dropped the permission to start processes cannot fork', async (t) => {
    const before = "process.permission.drop('child')";
    const thrown = 'ERR_ACCESS_DENIED';
    t.deepEqual(await permissions(t, { before }), [{ thrown, permission: 'ChildProcess' }]);
  });

  test('a primary that has dropped its other permissions can fork', async (t) => {
    const before = "['fs.read', 'addon'].forEach((scope) => process.permission.drop(scope))";
    const [worker, exit] = await permissions(t, { before });
    t.like(worker, PERMITTED);
    t.deepEqual(exit, { code: 0 });
  });

  test('an audit of permissions does not refuse fork()', async (t) => {
    const nodeArgs = ['--permission-audit', ...WITHOUT_CHILDREN];
    const [worker, exit] = await permissions(t, { nodeArgs });
    t.like(worker, { ...PERMITTED, scopes: [false, false, false] });
    t.deepEqual(exit, { code: 0 });
  });
}

if (majorVersion >= 20 && !isBuiltin) {
  test('the package and its workers read only the package', async (t) => {
    const home = install(t);
    const nodeArgs = [
      ENABLE,
      `--allow-fs-read=${FIXTURES}`,
      `--allow-fs-read=${path.dirname(home)}`,
      '--allow-addons',
      '--allow-child-process',
    ];
    for (const settings of [{}, { execArgv: [] }]) {
      const how = { environment: { CLUSTER: home }, nodeArgs, settings };
      const [worker, exit] = await permissions(t, how);
      t.like(worker, copies || !settings.execArgv ? PERMITTED : FREE);
      t.deepEqual(exit, { code: 0 });
    }
  });
}
