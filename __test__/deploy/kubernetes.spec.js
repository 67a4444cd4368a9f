'use strict';

// The manifests against the schemas of Kubernetes, and against what rs-cluster does by default.

const { writeFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { parseAllDocuments } = require('yaml');
const { readDeployFile, deployFile, replaceAll } = require('../helpers/deploy/files');
const { runPython } = require('../helpers/deploy/python');
const { temporaryDirectory } = require('../helpers/temporary');
const { DEFAULTS } = require('../helpers/deploy/defaults');

const MANIFESTS = 'kubernetes/app.yaml';
// The oldest and the newest version that the validator and the manifests have in common.
const VERSIONS = ['1.25.0', '1.37.0'];

// Strict: fields that the schemas do not know are refused.
const PROGRAM = `
import sys, yaml, kubernetes_validate
for manifest in yaml.safe_load_all(open(sys.argv[1])):
    try:
        kubernetes_validate.validate(manifest, sys.argv[2], strict=True)
    except kubernetes_validate.ValidationError as error:
        sys.exit(error.message)
    print(manifest['kind'])
`;

/** Resolves to the kinds of the manifests in a file, or rejects with what is wrong with one. */
async function validate(file, version) {
  return (await runPython('-c', PROGRAM, file, version)).split('\n');
}

function manifests() {
  return Object.fromEntries(
    parseAllDocuments(readDeployFile(MANIFESTS)).map((document) => {
      const manifest = document.toJS();
      return [manifest.kind, manifest];
    }),
  );
}

const pod = () => manifests().Deployment.spec.template.spec;

for (const version of VERSIONS) {
  test(`Kubernetes ${version} accepts the manifests`, async (t) => {
    const kinds = await validate(deployFile(MANIFESTS), version);
    t.deepEqual(kinds, ['Deployment', 'Service', 'PodDisruptionBudget']);
  });
}

for (const [what, replacements, message] of [
  [
    'a field of another name',
    { terminationGracePeriodSeconds: 'terminationGracePeriod' },
    /'terminationGracePeriod' was unexpected/,
  ],
  ['a value of another type', { 'minAvailable: 1': 'minAvailable: [1]' }, /\[1\] is not valid/],
  [
    'a container without a name',
    { '- name: app\n          image': '- image' },
    /'name' is a required property/,
  ],
]) {
  test(`a manifest with ${what} is refused`, async (t) => {
    const file = path.join(temporaryDirectory(t), 'app.yaml');
    writeFileSync(file, replaceAll(readDeployFile(MANIFESTS), replacements));
    await t.throwsAsync(validate(file, VERSIONS[1]), { message });
  });
}

test('Kubernetes waits longer for a pod to end than a stop takes by default', (t) => {
  const { kubernetesShutdownDelay, drainTimeout, killTimeout } = DEFAULTS;
  const longest = kubernetesShutdownDelay + drainTimeout + killTimeout;
  t.true(pod().terminationGracePeriodSeconds * 1000 > longest);
});

test('a pod is out of the endpoints before its workers stop to serve', (t) => {
  const { periodSeconds, failureThreshold } = pod().containers[0].readinessProbe;
  t.true(periodSeconds * failureThreshold * 1000 < DEFAULTS.kubernetesShutdownDelay);
  t.is(pod().containers[0].lifecycle, undefined, 'no preStop');
});

test('probes ask the admin port that the image opens', (t) => {
  const [container] = pod().containers;
  const { containerPort } = container.ports.find(({ name }) => name === 'admin');
  const probes = ['startupProbe', 'readinessProbe', 'livenessProbe'];
  t.deepEqual(
    probes.map((name) => container[name].httpGet),
    ['/readyz', '/readyz', '/livez'].map((path) => ({ path, port: 'admin' })),
  );
  t.true(readDeployFile('docker/Dockerfile').includes(`"--admin", "0.0.0.0:${containerPort}"`));
  const { annotations } = manifests().Deployment.spec.template.metadata;
  t.is(annotations['prometheus.io/port'], `${containerPort}`);
});

test('the Service and the budget select the pods', (t) => {
  const { Deployment, Service, PodDisruptionBudget } = manifests();
  const { labels } = Deployment.spec.template.metadata;
  t.deepEqual(Deployment.spec.selector.matchLabels, labels);
  t.deepEqual(Service.spec.selector, labels);
  t.deepEqual(PodDisruptionBudget.spec.selector.matchLabels, labels);
  const ports = Deployment.spec.template.spec.containers[0].ports.map(({ name }) => name);
  t.true(ports.includes(Service.spec.ports[0].targetPort));
});
