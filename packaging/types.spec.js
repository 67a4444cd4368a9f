'use strict';

const fs = require('node:fs');
const path = require('node:path');
const test = require('ava');
const { NODES } = require('./lib/nodes.js');
const { makeMainPackage } = require('./lib/main-package.js');
const { ROOT, pack } = require('./lib/packages.js');
const { temporaryDirectory } = require('../__test__/helpers/temporary.js');
const { fetchPackage } = require('../tools/package.js');
const { runTool } = require('../tools/run-tool.js');

const PROGRAMS = path.join(ROOT, '__test__', 'types');
const TSC = path.join(ROOT, 'node_modules', '.bin', 'tsc');

/** Makes a project with the packed package, these types of Node, and the programs of the type tests. */
async function prepare(t, types) {
  const project = temporaryDirectory(t);
  const modules = path.join(project, 'node_modules');
  fs.mkdirSync(path.join(modules, 'rs-cluster'), { recursive: true });
  const { file } = await pack(makeMainPackage(path.join(project, 'main')), project);
  const unpack = ['-xf', file, '--strip-components=1', '-C', path.join(modules, 'rs-cluster')];
  await runTool('tar', unpack);
  // The types of Node have dependencies of their own.
  fs.cpSync(path.join(types, '..', '..'), modules, { recursive: true });
  const programs = fs.readdirSync(PROGRAMS).filter((name) => /\.m?ts$/.test(name));
  for (const name of programs) fs.copyFileSync(path.join(PROGRAMS, name), path.join(project, name));
  return { project, programs };
}

for (const version of NODES) {
  test(`programs compile, strictly, with the types of Node ${version}`, async (t) => {
    const types = await fetchPackage(`@types/node@${version}`);
    const { project, programs } = await prepare(t, types);
    t.true(programs.length > 1);
    // The second resolution is that of bundlers.
    for (const module of version === NODES.at(-1) ? ['node16', 'preserve'] : ['node16']) {
      // Libraries are checked too, because `index.d.ts` is one.
      const options = ['--strict', '--noEmit', '--target', 'es2022', '--types', 'node'];
      const args = [...options, '--skipLibCheck', 'false', '--module', module, ...programs];
      await t.notThrowsAsync(runTool(TSC, args, { cwd: project }));
    }
  });
}
