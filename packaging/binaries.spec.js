'use strict';

const { statSync } = require('node:fs');
const test = require('ava');
const { builtPackages } = require('./lib/packages.js');
const { NODES } = require('./lib/nodes.js');
const { targetOf } = require('../lib/addon/binary.js');
const { findNode } = require('../tools/node-binary.js');
const { runTool } = require('../tools/run-tool.js');

const missing = 'readelf is missing; on Debian: apt-get install binutils';
const readelf = (...args) => runTool('readelf', ['--wide', ...args], { missing });

/** The newest version of glibc that the file needs: `2.17`. */
async function glibcOf(file) {
  const versions = await readelf('--version-info', file);
  const numbers = [...versions.matchAll(/Name: GLIBC_([\d.]+)/g)].map(([, number]) => number);
  return numbers.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1);
}

/**
 * The functions that the file needs, and for which it names no version. The linker adds a version to each function
 * of the glibc that it links against. So these functions are not in that glibc: they are Node's, or those of a
 * newer glibc, and then loading fails where they are missing.
 */
async function unversioned(file) {
  const symbols = await readelf('--dyn-syms', file);
  const names = [...symbols.matchAll(/ GLOBAL +DEFAULT +UND (\S+)/g)].map(([, name]) => name);
  return names.filter((name) => !name.includes('@'));
}

const linux = builtPackages().filter(({ target }) => target.startsWith('linux-'));

for (const { target, binary } of linux) {
  test(`${target}: the binary is stripped, and exports only Node-API's entry point`, async (t) => {
    const sections = await readelf('--section-headers', binary);
    t.regex(sections, / \.dynsym /);
    t.notRegex(sections, / \.symtab | \.debug_/);
    const symbols = await readelf('--dyn-syms', binary);
    const shown = [...symbols.matchAll(/ GLOBAL +DEFAULT +\d+ (\S+)$/gm)].map(([, name]) => name);
    t.deepEqual(shown.sort(), ['napi_register_module_v1']);
    t.log(`${(statSync(binary).size / 1e6).toFixed(2)} MB`);
  });

  if (target.endsWith('-gnu')) {
    test(`${target}: the binary needs no newer glibc than Node itself`, async (t) => {
      const needed = await glibcOf(binary);
      t.regex(needed, /^2\.\d+$/);
      for (const version of NODES) {
        const node = await glibcOf((await findNode(version)).path);
        t.true(
          needed.localeCompare(node, 'en', { numeric: true }) <= 0,
          `Node ${version}: ${node}`,
        );
      }
      t.log(`glibc ${needed}`);
    });

    test(`${target}: the binary needs no function that its glibc does not have`, async (t) => {
      t.deepEqual(await unversioned(binary), []);
    });
  }
}

test('the binary of this machine is there', (t) => {
  t.true(builtPackages().some(({ target }) => target === targetOf(process)));
});
