'use strict';

const { serial: test } = require('ava');
const { DEFAULTS } = require('../helpers/deploy/defaults');
const { deployFile } = require('../helpers/deploy/files');
const { runPython } = require('../helpers/deploy/python');

const PROGRAM = `
import hcl2, json, sys
print(json.dumps(hcl2.load(open(sys.argv[1]))))
`;

test('the job of Nomad is HCL, and its times fit', async (t) => {
  const output = await runPython('-c', PROGRAM, deployFile('nomad/app.nomad.hcl'));
  // Strings come with their quotes.
  const text = (value) => JSON.parse(value);
  const seconds = (value) => Number(/^(\d+)s$/.exec(text(value))[1]);
  const [job] = JSON.parse(output).job.map((it) => it['"app"']);
  const [group] = job.group.map((it) => it['"app"']);
  const [task] = group.task.map((it) => it['"app"']);
  const [check] = group.service[0].check;
  t.is(text(task.kill_signal), 'SIGTERM');
  t.true(seconds(task.kill_timeout) * 1000 > DEFAULTS.drainTimeout + DEFAULTS.killTimeout);
  t.true(seconds(task.shutdown_delay) > seconds(check.interval));
  t.is(text(check.path), '/readyz');
  t.is(text(check.port), 'admin');
});
