'use strict';

const { parseArgs } = require('node:util');
const { usageError } = require('./errors.js');
const { didYouMean } = require('./suggest.js');

const HELP = { name: 'help', short: 'h', boolean: true, help: 'print this' };
const NEGATIVE = /^-\d+$/;
const OLDEST = '18.7';

/** The options of a command, without the headings between them. */
function optionsOf({ options = [] }) {
  return [...options.filter(({ name }) => name !== undefined), HELP];
}

/**
 * @param {object} command as the files in `commands/` export them
 * @param {string[]} args what follows its name
 * @returns {{ values: object, positionals: string[], raw: object }} the values by the names of the options, each
 *   parsed, and `raw` as they were written; an array of them for an option that may come several times
 */
function parse(command, args) {
  // Older versions of Node 18 have none, or one that does not tell where the program is.
  if (!isAtLeast(OLDEST))
    throw usageError(`rs-cluster needs Node ${OLDEST} or newer`, `This is ${process.version}`);
  const options = optionsOf(command);
  const { head, rest } = split(command, options, args);
  let parsed;
  try {
    parsed = parseArgs({
      args: joined(head, options),
      options: toConfig(options),
      allowPositionals: true,
    });
  } catch (error) {
    throw explain(error, command, options);
  }
  const positionals = [...parsed.positionals, ...rest];
  const values = Object.fromEntries(
    Object.entries(parsed.values).map(([name, given]) => {
      const { parse: check, multiple } = options.find((it) => it.name === name);
      const one = (text) => check?.(`--${name}`, text) ?? text;
      return [name, multiple ? given.map(one) : one(given)];
    }),
  );
  if (!values.help) checkCount(command, positionals);
  return { values, positionals, raw: parsed.values };
}

function isAtLeast(version) {
  const [major, minor] = version.split('.').map(Number);
  const [ourMajor, ourMinor] = process.versions.node.split('.').map(Number);
  return ourMajor > major || (ourMajor === major && ourMinor >= minor);
}

/** Divides the arguments into those to parse, and those that are taken as they are. */
function split({ isProgramLast, takesNegative }, options, args) {
  if (takesNegative) {
    return {
      head: args.filter((it) => !NEGATIVE.test(it)),
      rest: args.filter((it) => NEGATIVE.test(it)),
    };
  }
  if (!isProgramLast) return { head: args, rest: [] };
  const program = tokensOf(args, options).find(({ kind }) => kind !== 'option');
  if (program === undefined) return { head: args, rest: [] };
  const before = args.slice(0, program.index);
  const after = args.slice(program.index + 1);
  if (program.kind === 'option-terminator') return { head: before, rest: after };
  // Our options may follow the program, up to the first argument that is not one of them.
  const ours = options.filter((it) => it !== HELP);
  const names = ours.map(({ name }) => name);
  const isOurs = ({ kind, name }) => kind === 'option' && names.includes(name);
  const own = tokensOf(after, ours).find((token) => !isOurs(token));
  const end = own?.index ?? after.length;
  const skipped = own?.kind === 'option-terminator' ? 1 : 0;
  return {
    head: [...before, ...after.slice(0, end)],
    rest: [args[program.index], ...after.slice(end + skipped)],
  };
}

function tokensOf(args, options) {
  const config = { args, options: toConfig(options), strict: false, tokens: true };
  return parseArgs({ ...config, allowPositionals: true }).tokens;
}

/** Values that begin with a hyphen are taken for options unless they are part of the same argument. */
function joined(args, options) {
  const names = options.filter((it) => it.takesHyphens).map(({ name }) => `--${name}`);
  return args.flatMap((arg, index) => {
    if (names.includes(args[index - 1])) return [];
    const isNamed = names.includes(arg) && index + 1 < args.length;
    return isNamed ? [`${arg}=${args[index + 1]}`] : [arg];
  });
}

function toConfig(options) {
  return Object.fromEntries(
    options.map(({ name, short, boolean, multiple }) => [
      name,
      {
        type: boolean ? 'boolean' : 'string',
        ...(short && { short }),
        ...(multiple && { multiple }),
      },
    ]),
  );
}

/** What Node says of wrong arguments, in our words. */
function explain(error, command, options) {
  const help = `See rs-cluster ${command.name} --help`;
  if (error.code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
    const [, option] = /'(.+?)'/.exec(error.message);
    const known = options.map(({ name }) => `--${name}`);
    const hint = command.notOurs?.[option] ?? didYouMean(option, known) ?? help;
    return usageError(`there is no option ${option} of ${command.name}`, hint);
  }
  const [, short, long] = /^Option '(-\w)?(?:, )?(--[\w-]+)?/.exec(error.message) ?? [];
  if (error.code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE') {
    const isMissing = /argument missing|ambiguous/.test(error.message);
    const what = isMissing ? 'needs a value' : 'takes no value';
    const { value } = options.find(({ name }) => `--${name}` === long) ?? {};
    return usageError(`${long ?? short} ${what}`, isMissing ? `Write ${long}=${value}` : help);
  }
  if (error.code?.startsWith('ERR_PARSE_ARGS_')) {
    const [line] = error.message.split('\n');
    return usageError(line[0].toLowerCase() + line.slice(1).replace(/\.$/, ''), help);
  }
  return error;
}

function checkCount({ name, usage, positionals: [least, most] = [0, 0] }, given) {
  const help = `Usage: rs-cluster ${name} ${usage}`.trim();
  if (given.length < least) throw usageError(`${name} needs more: ${missing(usage)}`, help);
  if (given.length > most) {
    throw usageError(`${name} does not take '${given[most]}'`, help);
  }
}

/** The first name in capitals of a usage. */
function missing(usage) {
  return /(?<![A-Z[=-])\b[A-Z]+\b/.exec(usage.replace(/\[[^\]]*\]/g, ''))?.[0] ?? usage;
}

module.exports = { optionsOf, parse };
