'use strict';

const path = require('node:path');
const { EXIT, usageError } = require('../errors.js');
const { RUN_OPTIONS } = require('../run-options.js');

/** Options of this command, which are not options of `run`. */
const OWN = [
  { name: 'user', value: 'NAME', help: 'who runs it (default: you, unless you are root)' },
  { name: 'group', value: 'NAME', help: 'its group (default: that of the user)' },
  {
    name: 'socket',
    value: 'ADDRESS',
    multiple: true,
    help: 'print the socket unit instead, with this address',
  },
];

module.exports = {
  name: 'systemd',
  summary: 'print a unit of systemd that runs a program',
  usage: '[options] PROGRAM [args…]',
  description:
    'Prints a service unit that runs the program as rs-cluster run does from the\n' +
    'current directory, and reloads it by systemctl reload. Takes the options of\n' +
    'run as well. With --socket it prints a socket unit by which systemd listens for\n' +
    'the service: on a port, host:port, a path, or @name.',
  options: [...OWN, ...RUN_OPTIONS.map((it) => ({ ...it, shownBy: 'user' })).filter(isOption)],
  examples: [
    'rs-cluster systemd --user web -w auto server.js > shop.service',
    'sudo cp shop.service /etc/systemd/system/ && sudo systemctl enable --now shop',
    'rs-cluster systemd --socket 443 --name shop server.js > shop.socket',
  ],
  positionals: [0, Number.POSITIVE_INFINITY],
  isProgramLast: true,
  async run(values, positionals, raw) {
    const { toSuperviseOptions } = require('../supervise-options.js');
    const { options } = await toSuperviseOptions('systemd', values, positionals);
    try {
      const facts = factsOf(options, values, argsOf(positionals, raw));
      process.stdout.write(unitOf(facts, values.socket));
    } catch (error) {
      if (error instanceof RangeError) throw usageError(error.message);
      throw error;
    }
    return EXIT.done;
  },
};

/** The unit of the service, or that of its sockets. */
function unitOf(facts, sockets) {
  if (sockets !== undefined) return require('../systemd-socket.js')(facts.name, sockets);
  return require('../systemd-unit.js')(facts);
}

/** As `unit()` wants them. */
function factsOf(options, { user = currentUser(), group }, args) {
  const { programName } = require('../../supervisor/program-name.js');
  const Directory = require('../../supervisor/directory.js');
  const directory = new Directory();
  const { name = programName({ settings: options }), control = `/run/${name}/${name}.sock` } =
    options;
  const { readyTimeout, drainTimeout, shutdownDelay, killTimeout } = options;
  const isLink = directory.path !== directory.resolve() && options.directory === undefined;
  const place = isLink ? [`--directory=${directory.path}`] : [];
  return {
    name,
    node: process.execPath,
    script: below(directory, path.resolve(__dirname, '../../../bin/rs-cluster.js')),
    args: ['run', ...place, ...args],
    reload: control === false ? undefined : ['reload', '--control', path.resolve(control)],
    user,
    group,
    workingDirectory: directory.path,
    readyTimeout,
    drainTimeout,
    shutdownDelay,
    killTimeout,
  };
}

/** The path of a file by the link, if the directory is one: releases come and go. */
function below(directory, file) {
  const rest = path.relative(directory.resolve(), file);
  return rest.startsWith('..') || path.isAbsolute(rest) ? file : path.join(directory.path, rest);
}

/** The arguments of `run`. */
function argsOf(positionals, raw) {
  const given = Object.entries(raw).filter(([name]) => !OWN.some((own) => own.name === name));
  const options = given.flatMap(([name, value]) =>
    [value].flat().map((one) => (one === true ? `--${name}` : `--${name}=${one}`)),
  );
  return [...options, ...positionals];
}

/** Undefined for root: a server needs none of its rights. */
function currentUser() {
  const { uid, username } = require('node:os').userInfo();
  return uid === 0 ? undefined : username;
}

function isOption({ name }) {
  return name !== undefined;
}
