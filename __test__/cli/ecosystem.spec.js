'use strict';

const { mkdirSync, readFileSync, writeFileSync } = require('node:fs');
const { userInfo } = require('node:os');
const path = require('node:path');
const test = require('ava');
const { loadConfig } = require('../../lib/cli/config');
const countProcessors = require('../../lib/supervisor/processors');
const { temporaryDirectory } = require('../helpers/temporary');

const processors = countProcessors();

/** What an application of PM2 becomes; its script `app.js` exists. */
async function load(t, app, given) {
  const cwd = temporaryDirectory(t);
  writeFileSync(path.join(cwd, 'app.js'), '');
  return loadFile(t, { apps: [{ script: 'app.js', cwd, ...app }] }, given);
}

async function loadFile(t, content, given) {
  const file = path.join(temporaryDirectory(t), 'ecosystem.json');
  writeFileSync(file, JSON.stringify(content));
  return loadConfig(file, given);
}

test('the least is a script, which runs in one worker', async (t) => {
  const { program, args, options, slotEnv, policy, warnings } = await load(t, {});
  const { directory, exec, ...others } = options;
  t.is(exec, path.join(directory, 'app.js'));
  t.is(program, exec);
  t.deepEqual(args, []);
  t.deepEqual(others, { name: 'app', args: [], execArgv: [], env: {}, workers: 1 });
  t.deepEqual(slotEnv, [{ name: 'NODE_APP_INSTANCE', offset: 0 }]);
  t.is(policy, undefined);
  t.deepEqual(warnings, []);
});

const LONG_DELAY = 20_000;

/** Fields, and the options that they become. */
for (const [fields, expected] of [
  [{ name: 'api' }, { name: 'api' }],
  [{ args: '--port 8000 -v' }, { args: ['--port', '8000', '-v'] }],
  [{ args: `a "b c" 'd e' --x="f g"` }, { args: ['a', 'b c', 'd e', '--x="f g"'] }],
  [{ args: ['a b', 1] }, { args: ['a b', '1'] }],
  [{ args: '' }, { args: [] }],
  [
    { node_args: '--inspect --max-old-space-size=100' },
    { execArgv: ['--inspect', '--max-old-space-size=100'] },
  ],
  [{ interpreter_args: ['--no-warnings'] }, { execArgv: ['--no-warnings'] }],
  [{ interpreterArgs: '--no-warnings' }, { execArgv: ['--no-warnings'] }],
  [{ nodeArgs: '--no-warnings' }, { execArgv: ['--no-warnings'] }],
  [
    { node_args: '-C dev', source_map_support: true },
    { execArgv: ['-C', 'dev', '--enable-source-maps'] },
  ],
  [{ source_map_support: true, disable_source_map_support: true }, { execArgv: [] }],
  [{ interpreter: 'node' }, {}],
  [{ exec_interpreter: process.execPath }, {}],
  [{ instances: 4 }, { workers: 4 }],
  [{ instances: '4', exec_mode: 'cluster' }, { workers: 4 }],
  [{ instances: 'max' }, { workers: 'auto' }],
  [{ instances: 0, exec_mode: 'cluster_mode' }, { workers: 'auto' }],
  [{ instances: -1 }, { workers: Math.max(1, processors - 1) }],
  [{ instances: '-1' }, { workers: Math.max(1, processors - 1) }],
  [{ instances: -processors - 1 }, { workers: 1 }],
  [{ instances: 1, exec_mode: 'fork' }, { workers: 1 }],
  [{ exec_mode: 'fork_mode' }, { workers: 1 }],
  [{ max_memory_restart: '300M' }, { maxMemory: 300 * 1024 ** 2 }],
  [{ max_memory_restart: '1G' }, { maxMemory: 1024 ** 3 }],
  [{ maxMemoryRestart: '2048K' }, { maxMemory: 2 * 1024 ** 2 }],
  [{ max_memory_restart: 2 ** 30 }, { maxMemory: 2 ** 30 }],
  [{ max_memory_restart: '1073741824' }, { maxMemory: 2 ** 30 }],
  [{ wait_ready: true }, { readyWhen: 'ready' }],
  [{ wait_ready: false }, {}],
  [{ listen_timeout: 90_000 }, { readyTimeout: 90_000 }],
  [{ kill_timeout: 5000 }, { drainTimeout: 5000 }],
  [{ killTimeout: '5000' }, { drainTimeout: 5000 }],
  [{ restart_delay: 4000 }, { restartDelay: 4000, maxRestartDelay: 4000 }],
  [{ restart_delay: 0 }, {}],
  [{ exp_backoff_restart_delay: 200 }, { restartDelay: 200, maxRestartDelay: 15_000 }],
  [
    { exp_backoff_restart_delay: LONG_DELAY },
    { restartDelay: LONG_DELAY, maxRestartDelay: LONG_DELAY },
  ],
  [
    { exp_backoff_restart_delay: 100, restart_delay: 9 },
    { restartDelay: 100, maxRestartDelay: 15_000 },
  ],
  [{ max_restarts: 10 }, { maxRestarts: 10 }],
  [{ max_restarts: '0' }, { maxRestarts: 0 }],
  [{ min_uptime: 2000 }, { minUptime: 2000 }],
  [{ min_uptime: '10s' }, { minUptime: 10_000 }],
  [{ min_uptime: '200' }, { minUptime: 200 }],
  [{ autorestart: true }, {}],
  [
    { env: { A: 1, B: true, C: { d: [1] }, E: null } },
    { env: { A: '1', B: 'true', C: '{"d":[1]}', E: 'null' } },
  ],
  [{ env: { PORT: 1 }, port: 9000 }, { env: { PORT: '9000' } }],
  [
    { uid: userInfo().uid },
    { uid: userInfo().uid, gid: userInfo().gid, env: { HOME: userInfo().homedir } },
  ],
  [
    { user: userInfo().username, gid: 0 },
    { uid: userInfo().uid, gid: 0, env: { HOME: userInfo().homedir } },
  ],
  [
    {
      merge_logs: true,
      watch: false,
      autostart: true,
      vizion: false,
      treekill: true,
      time: false,
      pmx: false,
    },
    {},
  ],
  [
    { cron_restart: 0, namespace: 'default', shutdown_with_message: false, kill_retry_time: 100 },
    {},
  ],
]) {
  test(`${JSON.stringify(fields)} has a counterpart`, async (t) => {
    const { options, warnings } = await load(t, fields);
    const { directory: _directory, exec: _exec, ...others } = options;
    const plain = { name: 'app', args: [], execArgv: [], env: {}, workers: 1 };
    t.deepEqual(others, { ...plain, ...expected });
    t.deepEqual(warnings, []);
  });
}

const NAMES = [
  [{ script: undefined, exec: 'app.js' }, 'exec'],
  [{ script: undefined, cmd: 'app.js' }, 'cmd'],
  [{ script: undefined, command: 'app.js' }, 'command'],
];
for (const [fields, name] of NAMES) {
  test(`the script may be called ${name}`, async (t) => {
    const { program, options } = await load(t, fields);
    t.is(path.basename(program), 'app.js');
    t.is(options.name, 'app');
  });
}

/** Fields whose effect differs, or which have none: a warning each. */
for (const [fields, ...expected] of [
  [
    { watch: true, ignore_watch: ['logs'] },
    /^watch: .*node --watch.*rs-cluster reload/,
    /^ignore_watch: .*node --watch/,
  ],
  [
    { watch: ['src'], watch_delay: 1, watch_options: {} },
    /^watch: /,
    /^watch_delay: /,
    /^watch_options: /,
  ],
  [{ out_file: 'o.log', error_file: 'e.log' }, /^out_file: .*journald/, /^error_file: .*logrotate/],
  [
    { output: 'o.log', err_log: 'e.log', log: true, pid: 'p' },
    /^output: /,
    /^err_log: /,
    /^log: /,
    /^pid: .*status --json/,
  ],
  [{ merge_logs: false }, /^merge_logs: .*--prefix/],
  [
    { log_date_format: 'YYYY', time: true, log_type: 'json' },
    /^log_date_format: /,
    /^time: /,
    /^log_type: .*--log json/,
  ],
  [{ cron_restart: '0 3 * * *' }, /^cron_restart: .*timer of systemd.*rs-cluster reload/],
  [{ cron: '0 3 * * *' }, /^cron: has no effect/],
  [{ shutdown_with_message: true }, /^shutdown_with_message: .*'draining'/],
  [{ treekill: false }, /^treekill: .*unless it is detached/],
  [{ namespace: 'web' }, /^namespace: .*--name/],
  [{ autostart: false }, /^autostart: /],
  [{ stop_exit_codes: [0] }, /^stop_exit_codes: .*whatever its exit code/],
  [
    { trace: true, io: {}, deep_monitoring: true },
    /^trace: .*--admin/,
    /^io: /,
    /^deep_monitoring: /,
  ],
  [{ post_update: ['npm ci'] }, /^post_update: .*before "rs-cluster reload"/],
  [{ color: true }, /^color: is unknown to PM2 and to rs-cluster$/],
  [{ instance: 2 }, /^instance: is unknown to PM2 and to rs-cluster\. Did you mean instances\?$/],
  [{ name: 'my shop' }, /^name: "my shop" is my-shop here: that is what --name takes$/],
  [{ maxMemory: '10' }, /^maxMemory: is unknown/],
  [{ exec_mode: 'fork', instances: 2 }, /^exec_mode: .*share their ports/],
  [{ increment_var: 'PORT', instances: 2 }, /^increment_var: if PORT is the port/],
  [
    { listen_timeout: 3000 },
    /^listen_timeout: PM2 goes on after 3000 ms.* it has 60 s, or --ready-timeout$/,
  ],
  [{ min_uptime: '1h' }, /^min_uptime: "1h" is limited to 30 s/],
  [{ max_memory_restart: '160' }, /^max_memory_restart: "160" is 160 bytes.*"300M"/],
  [{ autorestart: false }, /^autorestart: false: .* code 1/],
]) {
  test(`${JSON.stringify(fields)} is named in a warning`, async (t) => {
    const { warnings } = await load(t, fields);
    t.is(warnings.length, expected.length, warnings.join('\n'));
    for (const [index, pattern] of expected.entries()) t.regex(warnings[index], pattern);
    t.false(warnings.some((warning) => warning.includes('\n')));
  });
}

test('a field that differs has its effect all the same', async (t) => {
  const fields = { min_uptime: '1h', autorestart: false, instances: 2 };
  const { options } = await load(t, fields);
  const { minUptime, maxRestarts, workers } = options;
  t.deepEqual(
    { minUptime, maxRestarts, workers },
    { minUptime: 30_000, maxRestarts: 0, workers: 2 },
  );
});

for (const [fields, message, hint] of [
  [{ script: undefined }, /the application has no script$/],
  [
    { script: 'npm', args: 'start' },
    /script: "npm" would run in the workers/,
    /the file that its script in package\.json starts/,
  ],
  [{ script: 'node app.js' }, /"node app\.js" is a command of a shell$/, /node_args/],
  [{ script: 'serve' }, /the file server of PM2/, /nginx/],
  [{ script: 'a.py' }, /a\.py is run by python; rs-cluster runs programs of Node only$/, /systemd/],
  [{ script: 'gone.js' }, /script: there is no .*\/gone\.js$/],
  [{ interpreter: 'python3' }, /"python3"; rs-cluster runs programs of Node only$/],
  [{ interpreter: 'none' }, /"none"; rs-cluster runs programs of Node only$/],
  [
    { interpreter: 'node@16.20.0' },
    /workers are run by the Node that runs rs-cluster, here v\d/,
    /nvm exec 16\.20\.0/,
  ],
  [
    { interpreter: '/opt/other/node' },
    /workers are run by the Node that runs rs-cluster, here \//,
    /^Start .*\/opt\/other\/node /,
  ],
  [{ instances: 'many' }, /instances: "many" is not a number of workers, or "max"$/],
  [{ instances: 1.5 }, /instances: "1.5" is not a number/],
  [{ instances: true }, /instances: true is not of type number or string$/],
  [{ exec_mode: 'threads' }, /exec_mode: "threads" is not "cluster" or "fork"$/],
  [
    { max_memory_restart: 'lots' },
    /max_memory_restart: "lots" is not a size such as "300M" or "1G"$/,
  ],
  [{ min_uptime: '1d' }, /min_uptime: "1d" is not a time such as 2000, "10s", "5m" or "1h"$/],
  [{ wait_ready: 'yes' }, /wait_ready: "yes" is not of type boolean$/],
  [{ kill_timeout: '5s' }, /kill_timeout: "5s" is not of type number$/],
  [{ args: { a: 1 } }, /args: \{"a":1\} is not of type array or string$/],
  [{ env: ['A=1'] }, /env: \["A=1"\] is not of type object$/],
  [{ name: '–' }, /name: "–" has no letter or digit$/],
  [{ instance_var: 'A B' }, /instance_var: "A B" is not the name of a variable$/],
  [{ increment_var: '=' }, /increment_var: "=" is not the name of a variable$/],
  [{ uid: 'nobody-at-all' }, /uid: there is no user nobody-at-all$/],
  [{ gid: 'nothing-at-all' }, /gid: there is no group nothing-at-all$/],
]) {
  test(`${JSON.stringify(fields)} is an error`, async (t) => {
    const error = await t.throwsAsync(load(t, fields), { message });
    t.is(error.exitCode, 2);
    t.regex(error.message, /ecosystem\.json: /);
    t.false(error.message.includes('\n'));
    if (hint) t.regex(error.hint, hint);
  });
}

const ENVIRONMENTS = {
  env: { NODE_ENV: 'development', A: 'plain' },
  env_production: { NODE_ENV: 'production', B: 2 },
  env_staging: { NODE_ENV: 'staging' },
};

test('--env merges an environment over env', async (t) => {
  const { options } = await load(t, ENVIRONMENTS, { env: 'production' });
  t.deepEqual(options.env, { NODE_ENV: 'production', A: 'plain', B: '2' });
  const without = await load(t, ENVIRONMENTS);
  t.deepEqual(without.options.env, { NODE_ENV: 'development', A: 'plain' });
  t.deepEqual(without.warnings, []);
});

test('port goes over env, and env_NAME over port', async (t) => {
  const app = { port: 2, env: { PORT: 1 }, env_production: { PORT: 3 } };
  t.is((await load(t, app)).options.env.PORT, '2');
  t.is((await load(t, app, { env: 'production' })).options.env.PORT, '3');
});

test('an environment that the file does not have is named in a warning', async (t) => {
  const { options, warnings } = await load(t, ENVIRONMENTS, { env: 'test' });
  t.deepEqual(options.env, { NODE_ENV: 'development', A: 'plain' });
  t.deepEqual(warnings, [
    '--env test: the application has no env_test, only env, env_production, env_staging',
  ]);
});

test('an environment that is no object is an error if --env names it', async (t) => {
  const app = { env_variable: 'text' };
  await t.notThrowsAsync(load(t, app));
  const message = /env_variable: "text" is not an object of variables$/;
  await t.throwsAsync(load(t, app, { env: 'variable' }), { message });
});

test('the variables of a deployment come first', async (t) => {
  const cwd = temporaryDirectory(t);
  writeFileSync(path.join(cwd, 'app.js'), '');
  const content = {
    apps: [{ script: 'app.js', cwd, env: { A: 'env' }, env_production: {} }],
    deploy: { production: { user: 'node', env: { A: 'deploy', B: 'deploy' } } },
  };
  const { options, warnings } = await loadFile(t, content, { env: 'production' });
  t.deepEqual(options.env, { A: 'env', B: 'deploy' });
  t.deepEqual(warnings, ['deploy: deploy by another tool, which then runs "rs-cluster reload"']);
});

test.serial('filter_env takes variables of the primary away', async (t) => {
  process.env.RS_CLUSTER_SECRET = '1';
  t.teardown(() => delete process.env.RS_CLUSTER_SECRET);
  for (const filter of [true, 'RS_CLUSTER_SECRET', ['RS_CLUSTER']]) {
    const { options } = await load(t, { filter_env: filter, env: { PATH: '/bin' } });
    t.true(Object.hasOwn(options.env, 'RS_CLUSTER_SECRET'));
    t.is(options.env.RS_CLUSTER_SECRET, undefined);
    t.is(options.env.PATH, '/bin');
    t.is(Object.hasOwn(options.env, 'HOME'), filter === true);
  }
});

test('instance_var and increment_var become variables by slot', async (t) => {
  const app = { instance_var: 'INSTANCE', increment_var: 'PORT', env: { PORT: 3000 } };
  const { slotEnv } = await load(t, { ...app, instances: 2, wait_ready: true });
  t.deepEqual(slotEnv, [
    { name: 'INSTANCE', offset: 0 },
    { name: 'PORT', offset: 3000 },
  ]);
});

test('append_env_to_name appends it', async (t) => {
  const app = { name: 'api', append_env_to_name: true, env_production: {} };
  t.is((await load(t, app, { env: 'production' })).options.name, 'api-production');
  t.is((await load(t, app)).options.name, 'api');
});

const TWO = { apps: [{ script: 'api.js', name: 'api' }, { script: 'jobs/index.js' }] };

test('one of several applications has to be chosen', async (t) => {
  const error = await t.throwsAsync(loadFile(t, TWO), {
    message: /the file has 2 applications: api, index$/,
  });
  t.regex(error.hint, /^Choose one by --only NAME/);
});

test('--only chooses an application by its name', async (t) => {
  const cwd = temporaryDirectory(t);
  mkdirSync(path.join(cwd, 'jobs'));
  writeFileSync(path.join(cwd, 'jobs', 'index.js'), '');
  const apps = TWO.apps.map((app) => ({ ...app, cwd }));
  const { program } = await loadFile(t, { apps }, { only: 'index' });
  t.is(program, path.join(cwd, 'jobs', 'index.js'));
});

test('--only has to name one application', async (t) => {
  const error = await t.throwsAsync(loadFile(t, TWO, { only: 'web' }), {
    message: /--only web: no application of that name$/,
  });
  t.is(error.hint, 'The file has api, index');
  const apps = [TWO.apps[0], TWO.apps[0]];
  await t.throwsAsync(loadFile(t, { apps }, { only: 'api' }), {
    message: /--only api: 2 applications of that name$/,
  });
});

test('all shapes of the file are accepted', async (t) => {
  const cwd = temporaryDirectory(t);
  writeFileSync(path.join(cwd, 'app.js'), '');
  const app = { script: 'app.js', cwd };
  for (const content of [{ apps: [app] }, { apps: app }, { pm2: [app] }, [app], app]) {
    const { options, warnings } = await loadFile(t, content);
    t.is(options.name, 'app');
    t.deepEqual(warnings, []);
  }
});

test('a file without an application is an error', async (t) => {
  await t.throwsAsync(loadFile(t, { apps: [] }), { message: /the file has no application$/ });
  await t.throwsAsync(loadFile(t, { apps: ['app.js'] }), {
    message: /an application is an object, not "app\.js"$/,
  });
});

test('sections beside the applications are named in warnings', async (t) => {
  const cwd = temporaryDirectory(t);
  writeFileSync(path.join(cwd, 'app.js'), '');
  const apps = [{ script: 'app.js', cwd }];
  const { warnings } = await loadFile(t, { apps, deploy: {}, static: [], name: 'x' });
  t.is(warnings.length, 3);
  t.regex(warnings[0], /^deploy: .*rs-cluster reload/);
  t.regex(warnings[1], /^static: .*nginx/);
  t.regex(warnings[2], /^name: is unknown/);
});

test('a script beside the file, and not in the working directory, is told', async (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(path.join(directory, 'app.js'), '');
  const file = path.join(directory, 'ecosystem.json');
  writeFileSync(file, '{ "apps": [{ "script": "app.js" }] }');
  const error = await t.throwsAsync(loadConfig(file), { message: /there is no .*\/app\.js$/ });
  t.is(
    error.hint,
    `Like PM2, rs-cluster starts from the working directory: run it in ${directory}, or set cwd`,
  );
});

test('the document has all fields that have a counterpart', async (t) => {
  const { USED } = require('../../lib/cli/ecosystem-fields');
  const text = readFileSync(path.join(__dirname, '../../docs/from-pm2.md'), 'utf8');
  const missing = Object.keys(USED).filter((name) => !text.includes(`\`${name}`));
  t.deepEqual(missing, []);
});
