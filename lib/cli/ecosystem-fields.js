'use strict';

// The fields of an application in PM2's ecosystem file.

const JOURNAL = 'journald, Docker or logrotate keep and rotate logs';
const LOGS = `the workers write to the stdout and stderr of rs-cluster: redirect them; ${JOURNAL}`;
const WATCH = 'during development, use node --watch';
const PM2_PLUS = 'rs-cluster has no service like PM2 Plus: use --admin, which has /metrics';

/** Other names; besides, each name may be written in camel case. */
const ALIASES = {
  script: ['exec', 'cmd', 'command'],
  exec_interpreter: ['interpreter'],
  node_args: ['interpreterArgs', 'interpreter_args'],
  cron_restart: ['cron'],
  merge_logs: ['combine_logs'],
  out_file: ['out', 'output', 'out_log'],
  error_file: ['error', 'err', 'err_file', 'err_log'],
  log_file: ['log'],
  pid_file: ['pid'],
  uid: ['user'],
};

/** What has a counterpart, and the types of its values. Text that is a number counts as a number, as in PM2. */
const USED = {
  script: ['string'],
  name: ['string'],
  append_env_to_name: ['boolean'],
  cwd: ['string'],
  args: ['array', 'string'],
  node_args: ['array', 'string'],
  exec_interpreter: ['string'],
  exec_mode: ['string'],
  instances: ['number', 'string'],
  env: ['object'],
  filter_env: ['boolean', 'array', 'string'],
  port: ['number'],
  instance_var: ['string'],
  increment_var: ['string'],
  uid: ['number', 'string'],
  gid: ['number', 'string'],
  max_memory_restart: ['number', 'string'],
  wait_ready: ['boolean'],
  listen_timeout: ['number'],
  kill_timeout: ['number'],
  restart_delay: ['number'],
  exp_backoff_restart_delay: ['number'],
  max_restarts: ['number'],
  min_uptime: ['number', 'string'],
  autorestart: ['boolean'],
  source_map_support: ['boolean'],
  disable_source_map_support: ['boolean'],
};

/** What has none, and what to do instead. Nothing is said of the values that ask for what happens anyway. */
const UNUSED = {
  autostart: { silent: [true], advice: 'rs-cluster starts one program, when you start it' },
  automation: { silent: [true, false], advice: PM2_PLUS },
  cron_restart: {
    silent: [0, '0', false, ''],
    advice: 'let a timer of systemd or cron run "rs-cluster reload", or use maxAge',
  },
  deep_monitoring: { silent: [false], advice: PM2_PLUS },
  disable_logs: { silent: [false], advice: 'redirect the output: > /dev/null' },
  disable_trace: { silent: [true], advice: PM2_PLUS },
  error_file: { advice: LOGS },
  event_loop_inspector: { silent: [false], advice: PM2_PLUS },
  execute_command: { silent: [false], advice: 'rs-cluster runs programs of Node only' },
  force: { silent: [false], advice: 'each rs-cluster is a process of its own, with a --name' },
  ignore_watch: { silent: [false], advice: WATCH },
  install_url: { advice: 'install the program by npm, before the start' },
  io: { advice: PM2_PLUS },
  kill_retry_time: { silent: [100], advice: 'the kernel tells when a worker has ended' },
  log_date_format: {
    silent: [''],
    advice: 'journald and Docker note the time of each line; so may your logger',
  },
  log_file: { silent: [false], advice: LOGS },
  log_type: { silent: [''], advice: 'lines pass unchanged; --log json is for those of rs-cluster' },
  merge_logs: {
    silent: [true],
    advice: 'logs are merged; --prefix begins each line with its slot',
  },
  namespace: {
    silent: ['default'],
    advice: 'use a --name for each program, or a slice of systemd',
  },
  name_prefix: { advice: 'use --name' },
  out_file: { advice: LOGS },
  pid_file: { advice: '"rs-cluster status --json" has the pids' },
  pmx: { silent: [true, false], advice: PM2_PLUS },
  post_update: { advice: 'run these commands in your deployment, before "rs-cluster reload"' },
  shutdown_with_message: {
    silent: [false],
    advice: "a worker leaves by itself; its event 'draining' says so to a program that has to know",
  },
  stop_exit_codes: { advice: 'a worker that ends is replaced, whatever its exit code' },
  time: { silent: [false], advice: 'journald and Docker note the time of each line' },
  trace: { silent: [false], advice: PM2_PLUS },
  treekill: {
    silent: [true],
    advice: 'what a worker has started ends with it, unless it is detached',
  },
  username: { advice: 'use uid' },
  v8: { silent: [false], advice: PM2_PLUS },
  vizion: { silent: [true, false], advice: 'nothing reads the version from git' },
  watch: { silent: [false], advice: `${WATCH}; in production, run "rs-cluster reload"` },
  watch_delay: { advice: WATCH },
  watch_options: { advice: WATCH },
  windowsHide: { silent: [true, false], advice: 'rs-cluster does not run on Windows' },
  write: { silent: [false], advice: 'it is an option of a command of PM2' },
};

const NAMES = new Map();
for (const name of [...Object.keys(USED), ...Object.keys(UNUSED)]) {
  const camelCase = name.replace(/_([a-z])(?=[a-z])/g, (_, letter) => letter.toUpperCase());
  for (const alias of [name, ...(ALIASES[name] ?? []), camelCase]) NAMES.set(alias, name);
}

/** The name in PM2's schema of a field that may be written by another one. */
function nameOf(field) {
  return NAMES.get(field);
}

/** Whether a field is an environment by a name, such as `env_production`. */
function isNamedEnvironment(field) {
  return /^env_\S*$/.test(field);
}

module.exports = { UNUSED, USED, isNamedEnvironment, nameOf };
