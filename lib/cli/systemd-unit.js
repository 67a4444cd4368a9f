'use strict';

// A unit file for systemd: systemd.service(5), systemd.exec(5), and systemd.syntax(7) for the quotes.

const SECOND = 1000;
/** What the end of a process takes beyond our own timeouts, in milliseconds. */
const MARGIN = 10 * SECOND;
const WATCHDOG = 30;
const OPEN_FILES = 65536;
/** Listening sockets that systemd stores while the primary is started again. */
const STORED = 1024;

const NAME = /^[A-Za-z0-9._-]{1,64}$/;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** A user or a group, by name or number. */
const ACCOUNT = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;
/** Words that need no quotes. */
const PLAIN = /^[\w/.:=,@+-]+$/;
const ESCAPES = { '\\': '\\\\', '"': '\\"', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * What does not get in the way of Node, which needs writable memory that can be executed, and netlink for
 * `os.networkInterfaces()`.
 */
const HARDENING = [
  ['NoNewPrivileges', 'yes'],
  ['PrivateTmp', 'yes'],
  ['ProtectSystem', 'full'],
  ['ProtectControlGroups', 'yes'],
  ['ProtectKernelTunables', 'yes'],
  ['ProtectKernelModules', 'yes'],
  ['ProtectKernelLogs', 'yes'],
  ['ProtectClock', 'yes'],
  ['ProtectHostname', 'yes'],
  ['RestrictAddressFamilies', 'AF_UNIX AF_INET AF_INET6 AF_NETLINK'],
  ['RestrictNamespaces', 'yes'],
  ['RestrictRealtime', 'yes'],
  ['RestrictSUIDSGID', 'yes'],
  ['LockPersonality', 'yes'],
  ['SystemCallArchitectures', 'native'],
];

/** For ports below 1024. Node ignores its environment if a process has any other capability. */
const CAPABILITIES = [
  ['AmbientCapabilities', 'CAP_NET_BIND_SERVICE'],
  ['CapabilityBoundingSet', 'CAP_NET_BIND_SERVICE'],
];

/**
 * The text of a unit by which systemd runs a program under `rs-cluster run`. Works with every systemd from 243 on.
 *
 * @param {object} it
 * @param {string} it.name of the service: 1 to 64 of `A-Za-z0-9._-`
 * @param {string} [it.description]
 * @param {string} it.node the path of Node
 * @param {string} it.script the path of the command `rs-cluster`
 * @param {string[]} it.args the arguments after it: `run`, its options, the program and what that gets
 * @param {string[]} [it.reload] the arguments for a command that reloads, and waits for the outcome; without it,
 *   `systemctl reload` sends SIGHUP, and does not wait
 * @param {string} [it.user] who runs it; the system's manager runs it as root otherwise
 * @param {string} [it.group]
 * @param {string} [it.workingDirectory]
 * @param {object} [it.environment] variables, beside `NODE_ENV=production`
 * @param {string} [it.environmentFile] a file that has more of them
 * @param {number} [it.openFiles] how many descriptors each process may have
 * @param {number} [it.readyTimeout] those of `supervise()`, in milliseconds
 * @param {number} [it.drainTimeout]
 * @param {number} [it.shutdownDelay]
 * @param {number} [it.killTimeout]
 * @throws {RangeError} for what a unit can't express
 */
function unit(it) {
  check(it);
  return `${[unitSection(it), serviceSection(it), installSection()].map(section).join('\n')}`;
}

function unitSection({ name, description = name }) {
  return [
    'Unit',
    ['Description', literal(description)],
    ['Wants', 'network-online.target'],
    ['After', 'network-online.target'],
  ];
}

function serviceSection(it) {
  const { name, node, script, args, reload, user, group } = it;
  const { environment, environmentFile, workingDirectory, openFiles = OPEN_FILES } = it;
  const { readyTimeout = 60 * SECOND, drainTimeout = 30 * SECOND } = it;
  const { shutdownDelay = 0, killTimeout = 5 * SECOND } = it;
  // systemd says itself how many it stores, but only from 254 on.
  const variables = Object.entries({ NODE_ENV: 'production', FDSTORE: STORED, ...environment });
  return [
    'Service',
    ['Type', 'notify'],
    ['NotifyAccess', 'main'],
    ['ExecStart', command([node, script, ...args])],
    ['ExecReload', reload ? command([node, script, ...reload]) : '/bin/kill -HUP $MAINPID'],
    ['User', user],
    ['Group', group],
    ['WorkingDirectory', workingDirectory && literal(workingDirectory)],
    ...variables.map(([key, value]) => ['Environment', quote(percent(`${key}=${value}`))]),
    ['EnvironmentFile', environmentFile && literal(environmentFile)],
    ['RuntimeDirectory', name],
    // It has the control socket.
    ['RuntimeDirectoryMode', '0700'],
    ['SyslogIdentifier', name],
    ['Restart', 'on-failure'],
    ['RestartSec', 1],
    ['TimeoutStartSec', seconds(readyTimeout + MARGIN)],
    ['TimeoutStopSec', seconds(shutdownDelay + drainTimeout + killTimeout + MARGIN)],
    ['WatchdogSec', WATCHDOG],
    // The primary ends the workers; what is left after that gets SIGKILL.
    ['KillMode', 'mixed'],
    ['FileDescriptorStoreMax', STORED],
    // It replaces a worker that the kernel has killed, too.
    ['OOMPolicy', 'continue'],
    ['LimitNOFILE', openFiles],
    ...HARDENING,
    ...(isRoot(user) ? [] : CAPABILITIES),
  ];
}

function installSection() {
  return ['Install', ['WantedBy', 'multi-user.target']];
}

function section([title, ...lines]) {
  const given = lines.filter(([, value]) => value !== undefined);
  return `[${title}]\n${given.map(([key, value]) => `${key}=${value}\n`).join('')}`;
}

function check({ name, user, group, node, workingDirectory, environmentFile, environment = {} }) {
  const fail = (what, value) => {
    throw new RangeError(`${what} can't be ${JSON.stringify(value)}`);
  };
  if (!NAME.test(name)) fail('the name of a service', name);
  for (const account of [user, group]) {
    if (account !== undefined && !ACCOUNT.test(account)) fail('a user or a group', account);
  }
  for (const path of [node, workingDirectory, environmentFile]) {
    if (path !== undefined && !path.startsWith('/')) fail('an absolute path', path);
  }
  for (const key of Object.keys(environment)) {
    if (!VARIABLE.test(key)) fail('the name of a variable', key);
  }
}

const isRoot = (user) => user === undefined || user === 'root' || user === '0';

/** What is executed. Variables are replaced in arguments, and not in the path of the executable. */
function command([file, ...args]) {
  const words = args.map((word) => word.replaceAll('$', '$$$$'));
  return [file, ...words].map((word) => quote(percent(word))).join(' ');
}

/** A text that systemd takes as it is, without quotes, but with specifiers. */
function literal(text) {
  // It would go on in the next line.
  if (/[\n\r]|\\$|^\s|\s$/.test(text)) {
    throw new RangeError(`a unit can't have ${JSON.stringify(text)}`);
  }
  return percent(text);
}

/** Specifiers begin with this. */
const percent = (text) => text.replaceAll('%', '%%');

function quote(word) {
  if (PLAIN.test(word)) return word;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what has to be escaped.
  const escaped = word.replace(/[\\"\u0001-\u001f\u007f]/g, (it) => ESCAPES[it] ?? hexadecimal(it));
  return `"${escaped}"`;
}

const hexadecimal = (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;

const seconds = (milliseconds) => Math.ceil(milliseconds / SECOND);

module.exports = unit;
