'use strict';

// Prometheus itself: it scrapes the admin endpoint, and its tool checks the metrics and the alert rules.

const { execFileSync } = require('node:child_process');
const { writeFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { parse, stringify } = require('yaml');
const { ask, startDaemon } = require('../helpers/deploy/daemon');
const { deployFile, readDeployFile, replaceAll } = require('../helpers/deploy/files');
const { startMachines } = require('../helpers/deploy/machine');
const { runPython } = require('../helpers/deploy/python');
const { ALERT_TESTS } = require('../helpers/deploy/alert-tests');
const { freePort } = require('../helpers/free-port');
const { temporaryDirectory } = require('../helpers/temporary');
const { findProgram } = require('../../tools/debian-packages');

const RULES = deployFile('prometheus/alerts.yml');
const PROGRAM = path.join(__dirname, '../fixtures/deploy/answers.js');
const HOST = '127.0.0.1';
// Parses strictly, and prints how many metrics there are.
const PARSE = `
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
print(len(list(text_string_to_metric_families(open(sys.argv[1]).read()))))
`;
const OPEN_METRICS = { accept: 'application/openmetrics-text; version=1.0.0' };

async function startProgram(t) {
  const env = ({ host, port }) => ({ HOST: host, PORT: `${port}` });
  const [machine] = await startMachines(t, [HOST], { run: () => ['-w', '2', PROGRAM], env });
  return machine;
}

/** Runs promtool; throws what it complains about. */
function promtool(args, input) {
  const options = { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] };
  return execFileSync(findProgram('promtool'), args, options);
}

test('promtool has no objection to the metrics, and for those who ask they are OpenMetrics', async (t) => {
  const machine = await startProgram(t);
  await ask({ host: HOST, port: machine.port });
  await machine.command('reload');
  const { body } = await machine.probe('/metrics');
  t.regex(body, /^rs_cluster_workers_ready 2(\.0)?$/m);
  t.is(promtool(['check', 'metrics'], body), '');
  t.throws(() => promtool(['check', 'metrics'], 'some_metric{ 1\n'), { message: /parsing error/ });
  const { body: open } = await machine.probe('/metrics', OPEN_METRICS);
  const file = path.join(temporaryDirectory(t), 'metrics');
  writeFileSync(file, open);
  const families = Number(await runPython('-c', PARSE, file));
  t.is(families, body.match(/^# TYPE /gm).length);
  writeFileSync(file, open.replace('# EOF\n', ''));
  await t.throwsAsync(runPython('-c', PARSE, file), { message: /EOF/ });
  t.is((await machine.stop()).code, 0);
});

test('Prometheus scrapes a primary, and loads the alert rules', async (t) => {
  const machine = await startProgram(t);
  const directory = temporaryDirectory(t);
  const config = replaceAll(readDeployFile('prometheus/prometheus.yml'), {
    '[alerts.yml]': `[${RULES}]`,
    '127.0.0.1:9100': `${HOST}:${machine.admin}`,
    'scrape_configs:': 'global: { scrape_interval: 1s, evaluation_interval: 1s }\nscrape_configs:',
  });
  const file = path.join(directory, 'prometheus.yml');
  writeFileSync(file, config);
  const port = await freePort();
  const daemon = startDaemon(t, findProgram('prometheus'), [
    `--config.file=${file}`,
    `--storage.tsdb.path=${directory}/data`,
    `--web.listen-address=${HOST}:${port}`,
  ]);
  const fetched = async (path) => {
    const { status, body } = await ask({ host: HOST, port, path });
    return status === 200 ? JSON.parse(body).data : undefined;
  };
  const value = async (query) => {
    const data = await fetched(`/api/v1/query?query=${encodeURIComponent(query)}`);
    return data?.result[0]?.value[1];
  };
  await daemon.until(async () => (await value('rs_cluster_workers_ready')) === '2', 'it scrapes');
  t.is(await value('up'), '1');
  const isEvaluated = ({ health }) => health === 'ok';
  const rules = async () => (await fetched('/api/v1/rules')).groups.flatMap((group) => group.rules);
  await daemon.until(async () => (await rules()).every(isEvaluated), 'the rules are evaluated');
  const alerts = async () => (await fetched('/api/v1/alerts')).alerts;
  await daemon.until(async () => (await alerts()).length === 0, 'there is no alert');
  t.is((await machine.stop()).code, 0);
  await daemon.until(async () => (await value('up')) === '0', 'the primary is gone');
});

test('promtool accepts the alert rules', (t) => {
  t.regex(promtool(['check', 'rules', RULES]), /SUCCESS: \d+ rules found/);
});

test('every alert has a test', (t) => {
  const rules = parse(readDeployFile('prometheus/alerts.yml')).groups.flatMap((it) => it.rules);
  t.deepEqual(new Set(ALERT_TESTS.map(({ alert }) => alert)), new Set(rules.map((it) => it.alert)));
});

/** What promtool is to check: how many alerts of this name fire at this time. */
const testOf = ({ alert, at, series, fires }) => ({
  interval: '15s',
  input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
  promql_expr_test: [
    {
      expr: `count(ALERTS{alertname="${alert}",alertstate="firing"}) or vector(0)`,
      eval_time: at,
      exp_samples: [{ labels: '{}', value: fires ? 1 : 0 }],
    },
  ],
});

/** Lets promtool check when alerts fire; throws what differs. */
function checkAlerts(t, alertTests) {
  const file = path.join(temporaryDirectory(t), 'tests.yml');
  const tests = alertTests.map(testOf);
  writeFileSync(file, stringify({ rule_files: [RULES], evaluation_interval: '15s', tests }));
  return promtool(['test', 'rules', file]);
}

test('alerts fire when they should, and only then', (t) => {
  t.regex(checkAlerts(t, ALERT_TESTS), /SUCCESS/);
  const opposite = ALERT_TESTS.map((it) => ({ ...it, fires: !it.fires }));
  const { stdout, stderr } = t.throws(() => checkAlerts(t, opposite));
  t.is(`${stdout}${stderr}`.match(/^\s*expr: /gm).length, ALERT_TESTS.length);
});
