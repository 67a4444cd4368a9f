'use strict';

const { EXIT } = require('../errors.js');
const { RUN_OPTIONS } = require('../run-options.js');

/** Options of this command, which are not options of `run`. */
const OWN = [
  { name: 'user', value: 'NAME', help: 'who runs it (default: you, unless you are root)' },
  { name: 'group', value: 'NAME', help: 'its group (default: that of the user)' },
];

module.exports = {
  name: 'systemd',
  summary: 'print a unit of systemd that runs a program',
  usage: '[options] PROGRAM [args…]',
  description:
    'Prints a service unit that runs the program as rs-cluster run does from the\n' +
    'current directory. Takes the options of run as well.',
  options: [...OWN, ...RUN_OPTIONS.map((it) => ({ ...it, shownBy: 'user' })).filter(isOption)],
  examples: [
    'rs-cluster systemd --user web -w auto server.js > shop.service',
    'sudo cp shop.service /etc/systemd/system/ && sudo systemctl enable --now shop',
  ],
  positionals: [0, Number.POSITIVE_INFINITY],
  isProgramLast: true,
  async run(values, positionals, raw) {
    const { toSuperviseOptions } = require('../supervise-options.js');
    const { options } = await toSuperviseOptions('systemd', values, positionals);
    const { unit } = require('../systemd-unit.js');
    process.stdout.write(unit(factsOf(options, values, commandOf(positionals, raw))));
    return EXIT.done;
  },
};

/** What the unit is made of. `command` is an array of arguments, the first of which is a path. */
function factsOf(options, { user = currentUser(), group }, command) {
  const { programName } = require('../../supervisor/program-name.js');
  const Directory = require('../../supervisor/directory.js');
  const { name = programName({ settings: options }) } = options;
  return { name, command, user, group, directory: new Directory().path, options };
}

/** The command line of `run`, with the absolute paths that a unit needs. */
function commandOf(positionals, raw) {
  const path = require('node:path');
  const given = Object.entries(raw).filter(([name]) => !OWN.some((own) => own.name === name));
  const options = given.flatMap(([name, value]) =>
    [value].flat().map((one) => (one === true ? `--${name}` : `--${name}=${one}`)),
  );
  const bin = path.resolve(__dirname, '../../../bin/rs-cluster.js');
  return [process.execPath, bin, 'run', ...options, ...positionals];
}

/** Undefined for root: a server needs none of its rights. */
function currentUser() {
  const { uid, username } = require('node:os').userInfo();
  return uid === 0 ? undefined : username;
}

function isOption({ name }) {
  return name !== undefined;
}
