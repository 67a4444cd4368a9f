'use strict';

const { serial: test } = require('ava');
const { startApp } = require('../helpers/app');
const { askEach } = require('../helpers/client');
const { fixturePath } = require('../helpers/fixture');

const NODE_OPTIONS = `--require ${fixturePath('environment/user-preload')}`;

for (const [EARLY, does] of Object.entries({
  loader: 'registers a module loader',
  thread: 'starts a thread',
  child: 'runs a child process',
  listeners: 'listens to the channel for a while',
})) {
  test(`a user's preload that ${does} does not harm a worker`, async (t) => {
    const app = await startApp(t, { workers: 2 }, { env: { NODE_OPTIONS, EARLY } });
    await t.notThrowsAsync(askEach(app.target, [1, 2]));
    await app.end();
  });
}
