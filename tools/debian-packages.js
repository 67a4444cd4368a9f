'use strict';

// Programs that tests start, and the Debian packages that have them.

const { spawnSync } = require('node:child_process');
const { accessSync, constants, existsSync } = require('node:fs');
const path = require('node:path');
const { UserError } = require('./user-error.js');

// Where servers are, which the path of a user who is not root often lacks.
const MORE_PLACES = ['/usr/sbin', '/sbin'];
// The scripts of packages ask this program whether they may start a service; 101 is no.
const POLICY = '/usr/sbin/policy-rc.d';
const REFUSE = `printf '%s\\n' '#!/bin/sh' 'exit 101' > ${POLICY} && chmod 755 ${POLICY}`;
const OPTIONS = ['-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=600'];

/**
 * @typedef {object} Package
 * @property {string} name of the Debian package
 * @property {string[]} [programs] each is one name, or more with `|` between them, of which one is enough; by default
 *   the name of the package
 * @property {string[]} [command] a command that succeeds where the package is installed, if its programs do not tell
 */

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The path of a program, or undefined. */
function findProgram(name) {
  const places = [...(process.env.PATH ?? '').split(path.delimiter), ...MORE_PLACES];
  return places.map((place) => path.join(place, name)).find(isExecutable);
}

/** The first of the names that is a program's, `chromium|google-chrome`; its path, or undefined. */
function findOneOf(names) {
  return names
    .split('|')
    .map(findProgram)
    .find((file) => file !== undefined);
}

/** The programs of these packages that are not there: `[{ program, name }]`. */
function findMissing(packages) {
  return packages.flatMap(({ name, programs = [name], command }) => {
    if (command) return succeeds(command) ? [] : [{ program: name, name }];
    return programs.filter((program) => !findOneOf(program)).map((program) => ({ program, name }));
  });
}

function succeeds([program, ...args]) {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

/** The command that installs the packages of these programs. */
function installCommand(missing) {
  const names = [...new Set(missing.map(({ name }) => name))].sort();
  return ['apt-get', 'install', '-y', '--no-install-recommends', ...names];
}

/** Runs a command as root; returns whether it succeeds. */
function runAsRoot(...command) {
  const sudo = process.getuid() === 0 ? [] : ['sudo', '-n'];
  const [program, ...args] = [...sudo, 'env', 'DEBIAN_FRONTEND=noninteractive', ...command];
  const { status, error } = spawnSync(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (error) throw new UserError(`${program} can't be started: ${error.message}`);
  return status === 0;
}

/** Keeps packages from starting their services; returns the function that allows it again. */
function forbidServices() {
  if (existsSync(POLICY)) return () => {};
  runAsRoot('sh', '-c', REFUSE);
  return () => runAsRoot('rm', '-f', POLICY);
}

/** Installs the packages of these programs, and starts none of their services. */
function install(missing) {
  const names = installCommand(missing).slice(4);
  const allowServices = forbidServices();
  process.once('exit', allowServices);
  const attempt = () => runAsRoot('apt-get', 'install', ...OPTIONS, ...names);
  // The lists of packages may be missing, or too old.
  const installed = attempt() || (runAsRoot('apt-get', 'update') && attempt());
  process.removeListener('exit', allowServices);
  allowServices();
  if (!installed) throw new UserError(`apt-get could not install ${names.join(' ')}`);
}

function describeMissing(missing, hint) {
  const programs = missing.map(({ program }) => program.replaceAll('|', ' or ')).join(', ');
  return `Missing: ${programs}. Install with\n\n  ${installCommand(missing).join(' ')}\n\nor let "${hint}" do it.\n`;
}

/**
 * Returns whether the programs of these packages are there. Otherwise they are installed, or named with the commands
 * that install them.
 *
 * @param {Package[]} packages
 * @param {boolean} mayInstall
 * @param {string} hint the command that would install them
 */
function providePackages(packages, mayInstall, hint) {
  const missing = findMissing(packages);
  if (missing.length > 0 && mayInstall) install(missing);
  const left = mayInstall ? findMissing(packages) : missing;
  if (left.length > 0) process.stderr.write(describeMissing(left, hint));
  return left.length === 0;
}

module.exports = {
  findMissing,
  findOneOf,
  findProgram,
  installCommand,
  providePackages,
  runAsRoot,
};
