'use strict';

const { execFile } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { promisify } = require('node:util');
const { serial: test } = require('ava');
const { makeRunnable } = require('./lib/main-package.js');
const { temporaryDirectory } = require('../__test__/helpers/temporary.js');
const { findNode } = require('../tools/node-binary.js');
const { fetchPackage } = require('../tools/package.js');

const run = promisify(execFile);

const HOME = makeRunnable();

// The name by which Node finds what was injected into an executable.
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

const PROGRAM = `
const { createRequire } = require('node:module');
const args = process.argv.slice(2);
const cluster = createRequire(__filename)(process.env.CLUSTER);
if (cluster.isPrimary) {
  const worker = cluster.fork();
  worker.on('message', (message) => {
    console.log(JSON.stringify(message));
    worker.disconnect();
  });
} else process.send({ id: cluster.worker.id, args, now: process.argv.slice(2), execArgv: process.execArgv });
`;

/** Makes an executable of Node and a program. */
async function build(t, node, options) {
  const directory = temporaryDirectory(t);
  const at = (name) => path.join(directory, name);
  fs.writeFileSync(at('main.js'), PROGRAM);
  const config = { main: at('main.js'), output: at('blob'), disableExperimentalSEAWarning: true };
  fs.writeFileSync(at('sea.json'), JSON.stringify({ ...config, ...options }));
  await run(node, ['--experimental-sea-config', at('sea.json')]);
  fs.copyFileSync(node, at('program'));
  const { inject } = require(await fetchPackage('postject@1.0.0-alpha.6'));
  const blob = fs.readFileSync(at('blob'));
  await inject(at('program'), 'NODE_SEA_BLOB', blob, { sentinelFuse: FUSE });
  return at('program');
}

/** Resolves to what the worker of such a program reports. */
async function ask(t, version, cluster, options) {
  const { path: node } = await findNode(version);
  const program = await build(t, node, options);
  const env = { ...process.env, CLUSTER: cluster, NODE_OPTIONS: undefined };
  const { stdout } = await run(program, ['an argument'], { env, timeout: 30_000 });
  return JSON.parse(stdout);
}

// On other systems, executables have to be signed.
if (process.platform === 'linux') {
  for (const version of ['20', '26']) {
    test(`a worker of a single executable of Node ${version} is started as by node:cluster`, async (t) => {
      const ours = await ask(t, version, HOME);
      t.is(ours.id, 1);
      t.is(ours.args.at(-1), 'an argument');
      const builtin = await ask(t, version, 'node:cluster');
      // The path of the executable is among the arguments.
      const normal = (worker) => ({
        ...worker,
        args: worker.args.slice(1),
        now: worker.now.slice(1),
      });
      t.deepEqual(normal(ours), normal(builtin));
    });
  }

  test('a process of a single executable that takes no options becomes a worker when it loads the package', async (t) => {
    const { id, args, now } = await ask(t, '26', HOME, { execArgvExtension: 'none' });
    t.is(id, 1);
    t.deepEqual(args, now);
    t.is(args.at(-1), 'an argument');
  });
}
