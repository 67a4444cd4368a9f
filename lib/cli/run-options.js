'use strict';

// The options of `run`, `check` and `systemd`, most of them by the names of those of `supervise()`.

const { number, oneOf, restarts, text, time, whole, words, workers } = require('./values.js');

/** The names of the scheduling policies, as `--policy` takes them, and those of `cluster`. */
const POLICIES = {
  'round-robin': 'SCHED_RR',
  'least-connections': 'SCHED_LEAST_CONNECTIONS',
  'source-hash': 'SCHED_SOURCE_HASH',
  'reuse-port': 'SCHED_REUSEPORT',
  none: 'SCHED_NONE',
};
const READY_WHEN = ['listening', 'ready'];
const LOGS = ['text', 'json', 'none'];

/**
 * `key` is the option of `supervise()`, if there is one by that meaning; `value` what help calls the value;
 * `words` the only values; `is` what completion looks for; `shownBy` the option whose line of the help stands for
 * this one too.
 */
const RUN_OPTIONS = [
  { group: 'Workers' },
  {
    name: 'workers',
    short: 'w',
    value: 'N|auto',
    parse: workers,
    key: 'workers',
    help: 'how many; auto: one a processor (default)',
  },
  {
    name: 'policy',
    value: 'NAME',
    words: Object.keys(POLICIES),
    help: 'how connections are distributed: round-robin, …',
  },
  {
    name: 'node-args',
    takesHyphens: true,
    value: 'ARGS',
    parse: words,
    multiple: true,
    help: "options of Node: '--enable-source-maps --inspect'",
  },
  {
    name: 'exec-argv',
    takesHyphens: true,
    value: 'ARGS',
    parse: words,
    multiple: true,
    shownBy: 'node-args',
    help: 'the same as --node-args',
  },
  {
    name: 'cwd',
    value: 'DIR',
    is: 'directory',
    key: 'cwd',
    help: 'working directory of the workers',
  },
  {
    name: 'directory',
    value: 'DIR',
    is: 'directory',
    key: 'directory',
    help: 'where the program lives; reloads follow a link',
  },
  {
    name: 'env-file',
    value: 'FILE',
    is: 'file',
    multiple: true,
    help: 'variables of the workers, read at each reload',
  },
  {
    name: 'uid',
    value: 'N',
    shown: '--uid N, --gid N',
    parse: whole,
    key: 'uid',
    help: 'user and group of the workers',
  },
  {
    name: 'gid',
    value: 'N',
    parse: whole,
    key: 'gid',
    shownBy: 'uid',
    help: 'group of the workers',
  },
  { group: 'Ready and replaced' },
  {
    name: 'ready-when',
    value: 'WHEN',
    words: READY_WHEN,
    key: 'readyWhen',
    help: 'listening (default), or ready: process.send("ready")',
  },
  {
    name: 'ready-timeout',
    value: 'TIME',
    parse: time,
    key: 'readyTimeout',
    help: '60s until ready',
  },
  {
    name: 'min-uptime',
    value: 'TIME',
    parse: time,
    key: 'minUptime',
    help: '1s alive, or the start has failed',
  },
  {
    name: 'max-surge',
    value: 'N',
    parse: whole,
    key: 'maxSurge',
    help: '1 worker more while replacing',
  },
  {
    name: 'drain-timeout',
    value: 'TIME',
    parse: time,
    key: 'drainTimeout',
    help: '30s to finish what a worker serves',
  },
  {
    name: 'kill-timeout',
    value: 'TIME',
    parse: time,
    key: 'killTimeout',
    help: '5s from SIGTERM to SIGKILL',
  },
  {
    name: 'queue-timeout',
    value: 'TIME',
    parse: time,
    key: 'queueTimeout',
    help: '5s for connections without a worker',
  },
  {
    name: 'shutdown-delay',
    value: 'TIME',
    parse: time,
    key: 'shutdownDelay',
    help: '0 (Kubernetes: 5s) served on before a stop',
  },
  {
    name: 'max-generations',
    value: 'N',
    parse: whole,
    key: 'maxGenerations',
    help: '3 that may drain at a time',
  },
  {
    name: 'no-hand-over-idle',
    boolean: true,
    key: 'handOverIdle',
    set: false,
    help: 'close idle connections of leaving workers',
  },
  { group: 'Failures and limits' },
  {
    name: 'restart-delay',
    value: 'TIME',
    parse: time,
    key: 'restartDelay',
    help: '100ms after a failure, growing',
  },
  {
    name: 'max-restart-delay',
    value: 'TIME',
    parse: time,
    key: 'maxRestartDelay',
    help: '15s at most',
  },
  {
    name: 'max-restarts',
    value: 'N[/TIME]',
    parse: restarts,
    key: 'maxRestarts',
    help: 'per slot, as in 5/1m (default: unlimited)',
  },
  {
    name: 'hung-timeout',
    value: 'TIME',
    parse: time,
    key: 'hungTimeout',
    help: '60s of a blocked event loop; 0: never',
  },
  {
    name: 'blocked-timeout',
    value: 'TIME',
    parse: time,
    key: 'blockedTimeout',
    help: 'report blocked event loops (default: off)',
  },
  {
    name: 'max-memory',
    value: 'SIZE',
    parse: text,
    key: 'maxMemory',
    help: 'recycle at, as in 512M (default: off)',
  },
  {
    name: 'max-age',
    value: 'TIME',
    parse: time,
    key: 'maxAge',
    help: 'recycle after (default: off)',
  },
  {
    name: 'max-requests',
    value: 'N',
    parse: whole,
    key: 'maxRequests',
    help: 'recycle after (default: off)',
  },
  {
    name: 'jitter',
    value: 'PART',
    parse: number,
    key: 'jitter',
    help: '0.1: these limits differ by 10 %',
  },
  { group: 'Operation' },
  { name: 'name', value: 'NAME', key: 'name', help: "default: that in the program's package.json" },
  {
    name: 'control',
    value: 'PATH',
    is: 'file',
    key: 'control',
    help: 'control socket; --no-control: none',
  },
  {
    name: 'no-control',
    boolean: true,
    key: 'control',
    set: false,
    shownBy: 'control',
    help: 'no control socket',
  },
  {
    name: 'no-systemd',
    boolean: true,
    key: 'systemd',
    set: false,
    shownBy: 'control',
    help: 'tell systemd nothing',
  },
  {
    name: 'admin',
    value: 'ADDRESS',
    key: 'admin',
    help: 'page and metrics: port, host:port, or path',
  },
  { name: 'log', value: 'KIND', words: LOGS, help: 'text (default), json or none, to stderr' },
  { name: 'prefix', boolean: true, help: 'begin each line of the workers with their slot' },
  {
    name: 'config',
    short: 'c',
    value: 'FILE',
    is: 'file',
    help: 'ecosystem.config.js of PM2, instead of PROGRAM',
  },
  { name: 'only', value: 'NAME', help: 'the application in that file' },
  { name: 'env', value: 'NAME', help: 'its variables: env_NAME' },
].map((it) => (it.words ? { ...it, parse: oneOf(it.words) } : it));

module.exports = { POLICIES, RUN_OPTIONS };
