'use strict';

// Node's permission model. Node asks it in C++ before it starts a process; our addon does not. Loaded only in
// processes that have permissions.

const diagnostics = require('node:diagnostics_channel');
const errors = require('../errors.js');
const nodeOptions = require('./node-options.js');

const [major, minor] = process.versions.node.split('.').map(Number);

// The versions whose child processes have the permissions of their parent.
const COPIES = major > 24 || (major === 24 && minor >= 4) || (major === 22 && minor >= 18);
// Node 22 and newer accept both spellings, Node 20 only the second.
const ENABLE = ['--permission', '--experimental-permission'];
const AUDIT = '--permission-audit';
// Options whose value may be the next argument.
const LISTS = ['--allow-fs-read', '--allow-fs-write'];

const denials = diagnostics.channel('node:permission-model:child');

/** The option that an argument names. Node takes underscores for hyphens. */
function optionOf(arg) {
  return arg.split('=', 1)[0].replaceAll('_', '-');
}

function isEnabling(arg) {
  const option = optionOf(arg);
  return ENABLE.includes(option) || option === AUDIT;
}

function isGranting(option) {
  // V8's --allow-natives-syntax has the same prefix.
  return option.startsWith('--allow-') && process.allowedNodeEnvironmentFlags.has(option);
}

/** The flags that gave this process its permissions, each with its value in one argument. */
function ownFlags() {
  const { execArgv } = process;
  return execArgv.flatMap((arg, index) => {
    const option = optionOf(arg);
    if (!isEnabling(arg) && !isGranting(option)) return [];
    return LISTS.includes(option) && !arg.includes('=') ? [`${arg}=${execArgv[index + 1]}`] : [arg];
  });
}

/**
 * Adds the permissions of this process to the environment of a worker, unless its flags or its
 * environment name some already. Node does so for child processes.
 */
function copyTo(env, execArgv) {
  if (!COPIES) return;
  const given = env.NODE_OPTIONS ?? '';
  if ([...execArgv, ...nodeOptions.split(given)].some(isEnabling)) return;
  const options = [given, ...ownFlags().map(nodeOptions.quote)].filter(Boolean).join(' ');
  if (options !== given) env.NODE_OPTIONS = options;
}

/** Whether Node only reports what is not permitted. */
function isAudit() {
  const given = [...process.execArgv, ...nodeOptions.split(process.env.NODE_OPTIONS ?? '')];
  const options = given.map(optionOf);
  return options.includes(AUDIT) && !options.some((option) => ENABLE.includes(option));
}

/**
 * Refuses what Node refuses to `child_process`.
 *
 * @throws `ERR_ACCESS_DENIED`
 */
function checkFork() {
  if (process.permission.has('child')) return;
  const resource = process.execPath;
  // As Node does since it has audits (src/permission/permission.cc).
  denials.publish({ permission: 'ChildProcess', resource, drop: undefined });
  if (!isAudit()) throw errors.accessDenied('ChildProcess', '--allow-child-process', resource);
}

module.exports = { checkFork, copyTo };
