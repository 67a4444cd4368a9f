'use strict';

// PM2, whose package is at $PM2, and its `reload`. Its argument has the number of `workers`, their
// `servers` (see parts/traffic-worker.js), and the `timeout` of a worker.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { promisify } = require('node:util');
const { obey } = require('./parts/obey.js');

// PM2 keeps its sockets and logs there.
const home = fs.mkdtempSync(path.join(os.tmpdir(), 'pm2-'));
process.env.PM2_HOME = home;
process.env.PM2_SILENT = 'true';
process.on('exit', () => fs.rmSync(home, { recursive: true, force: true }));

const pm2 = require(process.env.PM2);
const { workers, timeout, ...settings } = JSON.parse(process.argv[2]);
const NAME = 'traffic';

// The output of PM2 must not be mixed with the answers.
const write = process.stdout.write.bind(process.stdout);
process.stdout.write = (text, ...rest) => (text.startsWith('{') ? write(text, ...rest) : true);

async function replace() {
  const started = Date.now();
  await promisify(pm2.reload.bind(pm2))(NAME);
  return { replaced: workers, ms: Date.now() - started };
}

async function main() {
  // Without a daemon, the workers are children of this process.
  await promisify(pm2.connect.bind(pm2))(true);
  await promisify(pm2.start.bind(pm2))({
    name: NAME,
    script: require.resolve('./parts/pm2-worker.js'),
    instances: workers,
    exec_mode: 'cluster',
    wait_ready: true,
    listen_timeout: timeout,
    kill_timeout: timeout,
    env: { TRAFFIC: JSON.stringify(settings) },
  });
  obey(replace, () => process.exit())({ listening: workers });
}

main();
