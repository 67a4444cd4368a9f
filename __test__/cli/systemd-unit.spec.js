'use strict';

const test = require('ava');
const socketUnit = require('../../lib/cli/systemd-socket.js');
const unit = require('../../lib/cli/systemd-unit.js');

const SERVICE = {
  name: 'shop',
  node: '/usr/bin/node',
  script: '/srv/shop/node_modules/rs-cluster/bin/rs-cluster.js',
  args: ['run', '--admin', '9100', '/srv/shop/server.js', '--verbose'],
};

/** The values of a key, in their order. */
function valuesOf(text, key) {
  const lines = text.split('\n').filter((line) => line.startsWith(`${key}=`));
  return lines.map((line) => line.slice(key.length + 1));
}

const firstOf = (options, key) => valuesOf(unit({ ...SERVICE, ...options }), key)[0];
const start = (...args) => firstOf({ args }, 'ExecStart').split('rs-cluster.js ')[1];

test('a unit has three sections, and what a supervised program needs', (t) => {
  const text = unit({
    ...SERVICE,
    description: 'The shop',
    user: 'shop',
    workingDirectory: '/srv',
  });
  t.deepEqual(text.match(/^\[.*\]$/gm), ['[Unit]', '[Service]', '[Install]']);
  t.true(text.endsWith('\n') && !text.includes('undefined'));
  const expected = {
    Description: 'The shop',
    Type: 'notify',
    NotifyAccess: 'main',
    ExecStart: `/usr/bin/node ${SERVICE.script} run --admin 9100 /srv/shop/server.js --verbose`,
    ExecReload: '/bin/kill -HUP $MAINPID',
    User: 'shop',
    WorkingDirectory: '/srv',
    FileDescriptorStoreMax: '1024',
    RuntimeDirectory: 'shop',
    RuntimeDirectoryMode: '0700',
    Restart: 'on-failure',
    TimeoutStartSec: '70',
    TimeoutStopSec: '45',
    WatchdogSec: '30',
    KillMode: 'mixed',
    OOMPolicy: 'continue',
    LimitNOFILE: '65536',
    AmbientCapabilities: 'CAP_NET_BIND_SERVICE',
    WantedBy: 'multi-user.target',
  };
  for (const [key, value] of Object.entries(expected)) t.deepEqual(valuesOf(text, key), [value]);
  t.deepEqual(valuesOf(text, 'Environment'), ['NODE_ENV=production', 'FDSTORE=1024']);
  // Node compiles JavaScript to memory that it executes.
  t.false(text.includes('MemoryDenyWriteExecute'));
});

test('the time to stop fits the timeouts of the workers', (t) => {
  const times = { drainTimeout: 60_500, shutdownDelay: 5_000, killTimeout: 1_000 };
  t.is(firstOf(times, 'TimeoutStopSec'), '77');
  t.is(firstOf({ readyTimeout: 300_000 }, 'TimeoutStartSec'), '310');
});

test('a reload may be a command', (t) => {
  const reload = ['reload', '--control', '/run/shop/shop.sock'];
  const expected = `/usr/bin/node ${SERVICE.script} reload --control /run/shop/shop.sock`;
  t.is(firstOf({ reload }, 'ExecReload'), expected);
});

test('root keeps its capabilities, with which it becomes another user', (t) => {
  for (const user of [undefined, 'root', '0']) {
    t.is(firstOf({ user }, 'CapabilityBoundingSet'), undefined);
  }
});

test('arguments arrive as they are', (t) => {
  t.is(start('a b', "it's"), `"a b" "it's"`);
  t.is(start('say "hi"', 'back\\slash'), String.raw`"say \"hi\"" "back\\slash"`);
  t.is(start('100%', '%n'), '"100%%" "%%n"');
  t.is(start('$HOME', 'a $5 b', '$$'), '"$$HOME" "a $$5 b" "$$$$"');
  t.is(start('', ';', '*'), '"" ";" "*"');
  t.is(start('two\nlines', 'tab\there', '\u0001'), String.raw`"two\nlines" "tab\there" "\x01"`);
  t.is(start('café', '--port=80'), '"café" --port=80');
});

test('in the path of the executable variables are not replaced', (t) => {
  const text = firstOf({ node: '/opt/my $node 100%/node' }, 'ExecStart');
  t.true(text.startsWith('"/opt/my $node 100%%/node" '), text);
});

test('variables have quotes, and dollars that stay', (t) => {
  const environment = { GREETING: 'say "hi" for 5 $ (100 %)', EMPTY: '' };
  const text = unit({ ...SERVICE, environment, environmentFile: '/etc/shop env' });
  t.deepEqual(valuesOf(text, 'Environment'), [
    'NODE_ENV=production',
    'FDSTORE=1024',
    String.raw`"GREETING=say \"hi\" for 5 $ (100 %%)"`,
    'EMPTY=',
  ]);
  t.deepEqual(valuesOf(text, 'EnvironmentFile'), ['/etc/shop env']);
  t.is(firstOf({ environment: { NODE_ENV: 'test' } }, 'Environment'), 'NODE_ENV=test');
});

test('paths and texts that have no quotes in a unit have specifiers', (t) => {
  t.is(firstOf({ workingDirectory: '/srv/a "b" 1%' }, 'WorkingDirectory'), '/srv/a "b" 1%%');
  t.is(firstOf({ description: '50% off $' }, 'Description'), '50%% off $');
});

test('what a unit can not express is an error', (t) => {
  const bad = [
    { name: 'a/b' },
    { name: '' },
    { user: 'a b' },
    { node: 'node' },
    { workingDirectory: 'relative' },
    { workingDirectory: '/ends with a backslash\\' },
    { workingDirectory: '/ends with a space ' },
    { description: 'two\nlines' },
    { environment: { 'A B': '1' } },
  ];
  for (const options of bad) {
    t.throws(
      () => unit({ ...SERVICE, ...options }),
      { instanceOf: RangeError },
      JSON.stringify(options),
    );
  }
});

test('a socket unit lists the addresses, and refuses what systemd would not take', (t) => {
  const addresses = ['80', '127.0.0.1:8080', '[::1]:8080', '/run/shop.sock', '@shop'];
  const text = socketUnit('shop', addresses);
  t.deepEqual(valuesOf(text, 'ListenStream'), addresses);
  t.deepEqual(text.match(/^\[.*\]$/gm), ['[Unit]', '[Socket]', '[Install]']);
  t.deepEqual(valuesOf(text, 'WantedBy'), ['sockets.target']);
  for (const bad of ['', '0', '65536', 'shop:80', '::1:80', '[127.0.0.1]:80', '@', '/a b', '/%n']) {
    t.throws(() => socketUnit('shop', [bad]), { instanceOf: RangeError }, bad);
  }
});
