'use strict';

// What a configuration file says, as a value. A `.json` file may have comments, unquoted names and trailing commas, as
// PM2 accepts them.

const { readFileSync, statSync } = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { isNativeError } = require('node:util/types');
const vm = require('node:vm');
const ConfigError = require('./config-error.js');

const MODULES = ['.js', '.cjs', '.mjs', '.ts', '.cts', '.mts'];
// What older versions of Node say of a .js file that is an ES module.
const ES_MODULE = /token '?export|import statement/;
const YAML = ['.yml', '.yaml'];
const BYTE_ORDER_MARK = /^\uFEFF/;
const EVALUATED_WITHIN = 1_000;

/**
 * @param {string} file relative to the working directory
 * @param {string} [env] what `--env` says, for a file that exports a function
 * @returns {Promise<{ value: unknown, isMade?: boolean }>} whether a function of the file has made it
 * @throws {ConfigError}
 */
async function readConfigFile(file, env) {
  const full = path.resolve(file);
  const extension = path.extname(full).toLowerCase();
  checkFile(file, full);
  if (YAML.includes(extension)) {
    const converted = `${path.basename(file, path.extname(file))}.json`;
    throw new ConfigError(
      `${file}: YAML is not supported`,
      `Convert it: npx js-yaml ${file} > ${converted}`,
    );
  }
  if (extension === '.json') return { value: parse(file, readFileSync(full, 'utf8')) };
  if (!MODULES.includes(extension)) {
    throw new ConfigError(
      `${file}: a configuration file ends in ${['.json', ...MODULES].join(', ')}`,
    );
  }
  const exported = await load(file, full);
  if (typeof exported !== 'function') return { value: exported };
  return { value: await call(file, exported, env), isMade: true };
}

function checkFile(file, full) {
  try {
    if (statSync(full).isFile()) return;
  } catch (error) {
    if (error.code === 'ENOENT') throw new ConfigError(`${file}: there is no such file`);
    throw new ConfigError(`${file}: ${error.message}`);
  }
  throw new ConfigError(`${file}: not a file`);
}

function parse(file, source) {
  const text = source.replace(BYTE_ORDER_MARK, '');
  try {
    return JSON.parse(text);
  } catch {
    return evaluate(file, text);
  }
}

/** Evaluates an object literal of JavaScript, without access to anything. */
function evaluate(file, text) {
  try {
    const value = vm.runInNewContext(`(${text}\n)`, Object.create(null), {
      filename: file,
      timeout: EVALUATED_WITHIN,
    });
    // Objects of this realm, and values only.
    return JSON.parse(JSON.stringify(value));
  } catch (error) {
    throw new ConfigError(`${file}: ${describe(error)}`);
  }
}

async function load(file, full) {
  let namespace;
  try {
    namespace = await import(pathToFileURL(full).href);
  } catch (error) {
    const isModule = error?.name === 'SyntaxError' && ES_MODULE.test(error.message);
    const hint = isModule ? 'A file with import and export has the extension .mjs' : undefined;
    throw new ConfigError(`${file}: ${describe(error)}`, hint);
  }
  // A transpiled module is the default export of a CommonJS module.
  const { default: exported = namespace } = namespace;
  return exported?.__esModule && exported.default !== undefined ? exported.default : exported;
}

async function call(file, make, env) {
  try {
    return await make(env);
  } catch (error) {
    throw new ConfigError(`${file}: ${describe(error)}`);
  }
}

/** An error of the file in one line, with the place of a syntax error, which its stack begins with. */
function describe(error) {
  if (!isNativeError(error)) return `it throws ${String(error)}`;
  const [place] = (error.stack ?? '').split('\n');
  const [message] = error.message.split('\n');
  const line = error.name === 'SyntaxError' ? /:(\d+)$/.exec(place)?.[1] : undefined;
  return `${line === undefined ? '' : `line ${line}: `}${error.name}: ${message}`;
}

module.exports = readConfigFile;
