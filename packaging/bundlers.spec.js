'use strict';

const { execFile } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { promisify } = require('node:util');
const { serial: test } = require('ava');
const { makeMainPackage } = require('./lib/main-package.js');
const { install } = require('../__test__/helpers/installation.js');
const { temporaryDirectory } = require('../__test__/helpers/temporary.js');
const { fetchPackage } = require('../tools/package.js');

// Forks a worker, which ends when it has answered.
const PROGRAM = `
if (cluster.isPrimary) {
  const worker = cluster.fork();
  worker.on('message', () => worker.disconnect());
  worker.on('exit', (code) => console.log('exited with code ' + code));
} else process.send('hello');
`;
const SOURCES = {
  'app.js': `const cluster = require('rs-cluster');${PROGRAM}`,
  'app.mjs': `import cluster from 'rs-cluster';${PROGRAM}`,
};
const EXTERNAL = ['rs-cluster'];

async function loadPackage(specifier) {
  return require(await fetchPackage(specifier));
}

/**
 * Each bundles a program into a file, without the modules named `external`. It throws, or returns the warnings of
 * the bundler.
 */
const bundlers = {
  async esbuild({ input, output, external }) {
    const { build } = await loadPackage('esbuild@0.28.2');
    const options = { bundle: true, platform: 'node', logLevel: 'silent' };
    const { warnings } = await build({
      ...options,
      entryPoints: [input],
      outfile: output,
      external,
    });
    return warnings;
  },
  async ncc({ input, output, external }) {
    const ncc = await loadPackage('@vercel/ncc@0.45.0');
    const { code, assets } = await ncc(input, { externals: external, cache: false, quiet: true });
    fs.writeFileSync(output, code);
    return Object.keys(assets);
  },
  async rollup({ input, output, external }) {
    const { rollup } = await loadPackage('rollup@4.68.8');
    const { nodeResolve } = await loadPackage('@rollup/plugin-node-resolve@16.0.3');
    const commonjs = await loadPackage('@rollup/plugin-commonjs@29.0.3');
    const warnings = [];
    const bundle = await rollup({
      input,
      external,
      plugins: [nodeResolve({ preferBuiltins: true }), commonjs()],
      onwarn: (warning) => warnings.push(warning),
    });
    await bundle.write({ file: output, format: output.endsWith('.mjs') ? 'es' : 'cjs' });
    await bundle.close();
    return warnings;
  },
  async webpack({ input, output, external }) {
    const webpack = await loadPackage('webpack@5.112.2');
    const externals = Object.fromEntries(external.map((name) => [name, `commonjs ${name}`]));
    const [directory, filename] = [path.dirname(output), path.basename(output)];
    const options = { mode: 'production', target: 'node', externals, entry: input };
    const compiler = webpack({ ...options, output: { path: directory, filename } });
    const stats = await promisify(compiler.run.bind(compiler))();
    return [...stats.compilation.errors, ...stats.compilation.warnings];
  },
};

/** Makes a directory with the package installed, and with a bundled program. */
async function bundle(t, name, { source, external = [] }) {
  const directory = temporaryDirectory(t);
  makeMainPackage(install(t, undefined, directory));
  for (const [file, text] of Object.entries(SOURCES)) {
    fs.writeFileSync(path.join(directory, file), text);
  }
  const output = path.join(directory, 'out', `bundle${path.extname(source)}`);
  fs.mkdirSync(path.dirname(output));
  const complaints = await bundlers[name]({
    input: path.join(directory, source),
    output,
    external,
  });
  t.deepEqual(complaints, []);
  return output;
}

async function run(file) {
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [file], { timeout: 30_000 });
    return stdout;
  } catch ({ stderr }) {
    return stderr;
  }
}

for (const name of Object.keys(bundlers)) {
  const sources = name === 'rollup' ? Object.keys(SOURCES) : ['app.js'];
  for (const source of sources) {
    test(`${name}: a bundle of ${source} runs, with rs-cluster as an external`, async (t) => {
      const file = await bundle(t, name, { source, external: EXTERNAL });
      t.is(await run(file), 'exited with code 0\n');
    });

    test(`${name}: a bundle of ${source} that contains rs-cluster reports what is wrong`, async (t) => {
      const file = await bundle(t, name, { source });
      t.regex(await run(file), /ERR_RS_CLUSTER_NO_PRELOAD.* \(as an external\)/);
    });
  }
}
