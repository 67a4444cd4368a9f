'use strict';

// Which program an application of PM2's ecosystem file runs: one that Node runs, in workers.

const { existsSync, realpathSync } = require('node:fs');
const path = require('node:path');
const ConfigError = require('./config-error.js');

/** What PM2 runs by another program, by the extension. */
const FOREIGN = new Map([
  ['.sh', 'bash'],
  ['.py', 'python'],
  ['.rb', 'ruby'],
  ['.php', 'php'],
  ['.pl', 'perl'],
  ['.coffee', 'coffee'],
  ['.ls', 'lsc'],
]);
const PACKAGE_MANAGERS = ['npm', 'npx', 'yarn', 'pnpm', 'bun'];
const ONLY_NODE = 'rs-cluster runs programs of Node only';
const OTHERS = 'Run others by systemd, Docker or PM2 itself';

/**
 * @param {string} script
 * @param {string} cwd an absolute path
 * @param {string} file the ecosystem file
 * @returns {string} the absolute path of the program
 * @throws {ConfigError}
 */
function findScript(script, cwd, file) {
  checkKind(script);
  const program = path.resolve(cwd, script);
  if (existsSync(program)) return program;
  if (/\s/.test(script)) {
    throw new ConfigError(
      `script: "${script}" is a command of a shell`,
      'Let script be the file that Node runs, and give its arguments in args, those of Node in node_args',
    );
  }
  const beside = path.resolve(path.dirname(file), script);
  const hint = existsSync(beside)
    ? `Like PM2, rs-cluster starts from the working directory: run it in ${path.dirname(beside)}, or set cwd`
    : undefined;
  throw new ConfigError(`script: there is no ${program}`, hint);
}

function checkKind(script) {
  const name = path.basename(script);
  if (name === script && PACKAGE_MANAGERS.includes(name)) {
    throw new ConfigError(
      `script: "${name}" would run in the workers instead of your server`,
      'Let script be the file that its script in package.json starts',
    );
  }
  if (script === 'serve') {
    throw new ConfigError(
      'script: "serve" is the file server of PM2',
      'Use nginx, Caddy or the npm package "serve"',
    );
  }
  const interpreter = FOREIGN.get(path.extname(script));
  if (interpreter !== undefined) {
    throw new ConfigError(`script: ${script} is run by ${interpreter}; ${ONLY_NODE}`, OTHERS);
  }
}

/** @throws {ConfigError} unless the interpreter is the Node that runs here */
function checkInterpreter(interpreter) {
  if (interpreter === undefined || interpreter === 'node') return;
  if (/^node@/.test(interpreter)) {
    throw new ConfigError(
      `interpreter: "${interpreter}": workers are run by the Node that runs rs-cluster, here ${process.version}`,
      `Start rs-cluster by that version: nvm exec ${interpreter.slice('node@'.length)} npx rs-cluster run …`,
    );
  }
  if (!path.isAbsolute(interpreter) || path.basename(interpreter) !== 'node') {
    throw new ConfigError(`interpreter: "${interpreter}"; ${ONLY_NODE}`, OTHERS);
  }
  if (isThisNode(interpreter)) return;
  throw new ConfigError(
    `interpreter: ${interpreter}: workers are run by the Node that runs rs-cluster, here ${process.execPath}`,
    `Start rs-cluster by it: ${interpreter} node_modules/.bin/rs-cluster run …`,
  );
}

function isThisNode(file) {
  try {
    return realpathSync(file) === realpathSync(process.execPath);
  } catch {
    return false;
  }
}

module.exports = { checkInterpreter, findScript };
