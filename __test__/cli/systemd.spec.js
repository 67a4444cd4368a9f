'use strict';

const { spawnSync } = require('node:child_process');
const { mkdirSync, symlinkSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { BIN, freshUser, runCli } = require('../helpers/cli');
const { execPath, isBuiltin } = require('../helpers/implementation');
const { temporaryDirectory } = require('../helpers/temporary');

function inDirectory(t, cwd = temporaryDirectory(t)) {
  writeFileSync(path.join(cwd, 'server.js'), "throw new Error('must not run');\n");
  return { spawn: { cwd }, env: { ...freshUser(t), PWD: cwd } };
}

async function unitOf(t, args, options = inDirectory(t)) {
  const { code, stdout, stderr } = await runCli(t, ['systemd', ...args], options);
  t.deepEqual([code, stderr], [0, '']);
  const value = (key) => new RegExp(`^${key}=(.*)$`, 'm').exec(stdout)?.[1];
  return { stdout, value };
}

if (!isBuiltin) {
  test('a unit runs the program with the same options, and reloads it', async (t) => {
    const options = inDirectory(t);
    const args = [
      '--user',
      'web',
      '--name',
      'shop',
      '-w',
      '2',
      '--prefix',
      '--drain-timeout',
      '2m',
    ];
    const { stdout, value } = await unitOf(t, [...args, 'server.js', '--port', '80 80'], options);
    const command = `${execPath} ${BIN}`;
    t.is(
      value('ExecStart'),
      `${command} run --name=shop --workers=2 --prefix --drain-timeout=2m server.js --port "80 80"`,
    );
    t.is(value('ExecReload'), `${command} reload --control /run/shop/shop.sock`);
    t.is(value('User'), 'web');
    t.is(value('WorkingDirectory'), options.spawn.cwd);
    t.is(value('TimeoutStopSec'), '135');
    const file = path.join(options.spawn.cwd, 'shop.service');
    writeFileSync(file, stdout.replace('User=web', 'User=root'));
    const { error, stderr } = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' });
    if (error === undefined) t.false(stderr.includes('shop.service'), stderr);
  });

  test('started in a link to a release, a unit follows the link', async (t) => {
    const place = temporaryDirectory(t);
    mkdirSync(path.join(place, '42'));
    symlinkSync('42', path.join(place, 'current'));
    const { value } = await unitOf(t, ['server.js'], inDirectory(t, path.join(place, 'current')));
    t.is(value('WorkingDirectory'), path.join(place, 'current'));
    t.true(
      value('ExecStart').includes(` run --directory=${path.join(place, 'current')} server.js`),
    );
  });

  test('what a unit can not express is refused in one line', async (t) => {
    const { code, stderr } = await runCli(
      t,
      ['systemd', '--user', 'a b', 'server.js'],
      inDirectory(t),
    );
    t.is(code, 2);
    t.regex(stderr, /^rs-cluster: a user or a group can't be "a b"\n$/);
    const missing = await runCli(t, ['systemd', 'missing.js'], inDirectory(t));
    t.is(missing.code, 1);
    t.regex(missing.stderr, /^rs-cluster: there is no program missing\.js\./);
  });
}
