'use strict';

// Load balancers in front of machines: the configurations of `deploy/`, with the addresses of a test.

const { writeFileSync } = require('node:fs');
const path = require('node:path');
const { ask, startDaemon } = require('./daemon');
const { readDeployFile, replaceAll } = require('./files');
const { freePort } = require('../free-port');
const { temporaryDirectory } = require('../temporary');
const { findProgram } = require('../../../tools/debian-packages');

/** The machines in the configuration of HAProxy. */
const NAMES = ['one', 'two'];

const BALANCERS = {
  haproxy: {
    file: 'haproxy/haproxy.cfg',
    listens: 'bind :80',
    admin: (port) => ({ 'port 9100': `port ${port}` }),
    command: (file) => ['haproxy', '-db', '-f', file],
    adapt: (text) => text,
    // It says so when a machine has passed enough checks, or failed enough.
    isUp: (output, index) => {
      const last = (state) => output.lastIndexOf(`Server app/${NAMES[index]} is ${state}`);
      return last('UP') >= last('DOWN');
    },
    stop: 'SIGUSR1',
  },
  nginx: {
    file: 'nginx/nginx.conf',
    listens: 'listen 80;',
    command: (file, directory) => ['nginx', '-e', 'stderr', '-p', directory, '-c', file],
    // What the package of a distribution has by itself.
    adapt: (text, directory) =>
      [
        'daemon off;',
        `pid ${directory}/nginx.pid;`,
        'error_log stderr info;',
        process.getuid() === 0 ? 'user root;' : '',
        text.replace('http {', `http {\n${temporaryPaths(directory)}`),
      ].join('\n'),
    // It checks none, and tries each.
    isUp: () => true,
    stop: 'SIGQUIT',
  },
};

function temporaryPaths(directory) {
  return ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `  ${name}_temp_path ${directory}/${name};`)
    .join('\n');
}

/**
 * Starts HAProxy or nginx in front of two machines; resolves when it answers.
 *
 * @param {'haproxy' | 'nginx'} kind
 * @param {object[]} machines
 * @param {Record<string, string>} [replacements] in the configuration
 */
async function startBalancer(t, kind, machines, replacements = {}) {
  const { file, listens, admin, command, adapt, isUp, stop } = BALANCERS[kind];
  const directory = temporaryDirectory(t);
  const target = { host: '127.0.0.1', port: await freePort() };
  const address = `${target.host}:${target.port}`;
  const text = replaceAll(readDeployFile(file), {
    '10.0.0.11:8000': `${machines[0].host}:${machines[0].port}`,
    '10.0.0.12:8000': `${machines[1].host}:${machines[1].port}`,
    [listens]: listens.replace(/\S*:?80/, address),
    ...admin?.(machines[0].admin),
    ...replacements,
  });
  const place = path.join(directory, path.basename(file));
  writeFileSync(place, adapt(text, directory));
  const [program, ...args] = command(place, directory);
  const daemon = startDaemon(t, findProgram(program), args);
  await daemon.until(async () => (await ask(target)).status === 200, 'it answers');
  return {
    daemon,
    target,
    address,
    /** Waits until it sends requests to a machine that has been started again. */
    untilUp: (machine) =>
      daemon.until(() => isUp(daemon.output, machines.indexOf(machine)), 'the machine is up'),
    stop: () => daemon.stop(stop),
  };
}

module.exports = { startBalancer };
