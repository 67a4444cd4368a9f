'use strict';

const test = require('ava');
const { runBlock } = require('../helpers/block');
const { compareOutput } = require('../helpers/block-output');
const { Document } = require('../helpers/documents');
const { isBuiltin } = require('../helpers/implementation');

const SERVER = `const http = require('node:http');
http.createServer((request, response) => response.end('hello')).listen(8000, () => console.log('listens'));
process.on('SIGTERM', () => process.exit(Number(process.argv[2] ?? 0)));
`;
const CLIENT = `require('node:http').get({ port: 8000 }, (response) => response.pipe(process.stdout));\n`;
const files = { 'server.js': SERVER, 'client.js': CLIENT };

function block(text, what = '', kind = 'run') {
  return { language: 'sh', place: 'a document', text: `${text}\n`, what, kind };
}

const service = block('node server.js', 'asks=1; prints=/listens/', 'service');
const client = block('node client.js', 'service; asks=1; answers=/hello/; prints=/hello/');

if (!isBuiltin) {
  test('a service runs alone, until SIGTERM ends it', async (t) => {
    await runBlock(t, service, { files, printed: 'listens\n' });
    t.pass();
  });

  test('a block runs beside the service above it', async (t) => {
    await runBlock(t, client, { files, service, printed: 'hello\n' });
    t.pass();
  });

  test('a service has to end with code 0, also beside a block', async (t) => {
    const failing = block('node server.js 3', 'asks=1', 'service');
    const message = 'it ended with 3 instead of 0';
    await t.throwsAsync(runBlock(t, failing, { files }), { message });
    await t.throwsAsync(runBlock(t, client, { files, service: failing }), { message });
  });

  test('a block that needs a service has one above', async (t) => {
    const message = 'a document: no service is above';
    await t.throwsAsync(runBlock(t, client, { files }), { message });
  });

  test('a block ends with the code that the document says', async (t) => {
    await runBlock(t, block("sh -c 'exit 2'", 'exits=2'), { files });
    const message = 'it ended with 2 instead of 0';
    await t.throwsAsync(runBlock(t, block("sh -c 'exit 2'"), { files }), { message });
  });

  test('a step that does not exist is an error', async (t) => {
    const message = 'a document: there is no step ask=1';
    await t.throwsAsync(runBlock(t, block('true', 'ask=1'), { files }), { message });
  });
}

test('an output may differ in numbers, units and spaces only', (t) => {
  const output = 'SLOT  PID   MEMORY   UPTIME\n0     4711  52.1 MB  900 ms\n';
  const printed = 'SLOT  PID  MEMORY  UPTIME\n0     31   1 GB    3m\n';
  t.notThrows(() => compareOutput(output, printed, { like: '' }));
  t.throws(() => compareOutput(output, printed, {}));
  t.throws(() => compareOutput(`${output}more\n`, printed, { like: '' }), {
    message: 'it printed more:\nmore',
  });
  t.notThrows(() => compareOutput(`${output}more\n`, printed, { like: '', partly: '' }));
  t.throws(() => compareOutput(output, `${printed}less\n`, { like: '', partly: '' }), {
    message: 'it did not print:\nless',
  });
});

test('the service of a block is the last one above it', (t) => {
  const supervise = new Document('docs/supervise.md');
  t.is(supervise.serviceFor(supervise.blocks[0]), undefined);
});
