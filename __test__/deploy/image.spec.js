'use strict';

// The Dockerfile: its syntax, what it promises, and its very commands, run as process 1.

const { existsSync, cpSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { DockerfileParser } = require('dockerfile-ast');
const { validate } = require('dockerfile-utils');
const { writeApplication } = require('../helpers/deploy/application');
const { ask } = require('../helpers/deploy/daemon');
const { deployFile, readDeployFile, replaceAll } = require('../helpers/deploy/files');
const { buildImage } = require('../helpers/deploy/image');
const { startAsFirst } = require('../helpers/deploy/namespaces');
const { environment } = require('../helpers/fixture');
const { freePort } = require('../helpers/free-port');
const { temporaryDirectory } = require('../helpers/temporary');
const { findProgram } = require('../../tools/debian-packages');
const { runTool } = require('../../tools/run-tool');

const DOCKERFILE = readDeployFile('docker/Dockerfile');
const PROGRAM = `
const http = require('node:http');
http.createServer((_, response) => response.end('from the image')).listen(process.env.PORT, '127.0.0.1');
`;

/** What is wrong with a Dockerfile. */
const problems = (text) => validate(text).map(({ message }) => message);

test('the Dockerfile has no mistakes, and one with a mistake is recognized', (t) => {
  t.deepEqual(problems(DOCKERFILE), []);
  t.regex(problems(replaceAll(DOCKERFILE, { 'USER node': 'USR node' }))[0], /Unknown instruction/);
  t.regex(problems(replaceAll(DOCKERFILE, { '--interval=10s': '--interval=x' }))[0], /duration/);
});

test('the Dockerfile builds one image with glibc, and one with musl, in two stages', (t) => {
  const froms = DockerfileParser.parse(DOCKERFILE).getFROMs();
  t.is(froms.length, 2);
  for (const from of froms) t.regex(from.getImage(), /^\$\{NODE\}$/);
  t.regex(DOCKERFILE, /^ARG NODE=node:22-slim$/m);
  t.regex(DOCKERFILE, /--build-arg NODE=node:22-alpine/);
});

/** Builds the image of a program, with free ports in the place of its own. */
async function image(t) {
  const place = temporaryDirectory(t);
  const context = await writeApplication(place, PROGRAM);
  cpSync(deployFile('docker/.dockerignore'), path.join(context, '.dockerignore'));
  const [port, admin] = [await freePort(), await freePort()];
  const built = await buildImage(replaceAll(DOCKERFILE, { 9100: `${admin}` }), context, place);
  return { ...built, cwd: path.join(built.root, built.directory), port, admin };
}

test('the image starts rs-cluster itself, as a user without rights, and has no more files than it needs', async (t) => {
  const { command, user, ports, healthCheck, cwd, admin } = await image(t);
  t.is(command[0], 'node_modules/.bin/rs-cluster');
  t.is(user, 'node');
  t.deepEqual(ports, ['8000', `${admin}`]);
  t.is(healthCheck[0], 'node');
  t.true(existsSync(path.join(cwd, 'node_modules/rs-cluster/package.json')));
  t.true(existsSync(path.join(cwd, 'server.js')));
});

for (const under of ['', 'tini']) {
  test(`as process 1 ${under && `under ${under} `}the command of the image serves, and ends with 0 on SIGTERM`, async (t) => {
    const { command, env, healthCheck, cwd, port, admin } = await image(t);
    const launcher = under === '' ? [] : [findProgram(under), '--'];
    const options = { cwd, env: { ...environment(), ...env, PORT: `${port}` } };
    const first = startAsFirst(t, [...launcher, ...command], options);
    const isReady = async () =>
      (await ask({ host: '127.0.0.1', port: admin, path: '/readyz' })).status === 200;
    await first.until(isReady, 'it is ready');
    t.is((await ask({ host: '127.0.0.1', port })).body, 'from the image');
    const check = () => runTool(healthCheck[0], healthCheck.slice(1), { cwd });
    await check();
    t.deepEqual(await first.stop(), { code: 0, signal: null });
    await t.throwsAsync(check(), { message: /exit code 1/ });
  });
}
