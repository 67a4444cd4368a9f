'use strict';

// Python packages that tests need, in an environment of their own, fetched once.

const path = require('node:path');
const { cached } = require('../../../tools/cache');
const { runTool } = require('../../../tools/run-tool');

const PACKAGES = ['kubernetes-validate==1.37.0', 'prometheus-client==0.23.1', 'python-hcl2==8.1.4'];
const NAME = `python-${PACKAGES.join('+')}`;
const LIMIT = 240_000;
const MISSING = 'python3 is missing: apt-get install -y python3-venv';

/** The path of a Python that has the packages. */
async function pythonWithPackages() {
  const directory = await cached(NAME, async (place) => {
    await runTool('python3', ['-m', 'venv', place], { missing: MISSING, limit: LIMIT });
    const python = path.join(place, 'bin', 'python');
    const quiet = ['--quiet', '--disable-pip-version-check', '--no-compile'];
    await runTool(python, ['-m', 'pip', 'install', ...quiet, ...PACKAGES], { limit: LIMIT });
  });
  return path.join(directory, 'bin', 'python');
}

/** Runs Python with these arguments; resolves to what it prints, or rejects with what it complains about. */
async function runPython(...args) {
  return runTool(await pythonWithPackages(), args, { limit: LIMIT });
}

module.exports = { runPython };
