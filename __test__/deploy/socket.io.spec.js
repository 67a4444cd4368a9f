'use strict';

// socket.io on two machines, joined by Redis. On each machine the clients of one address stay with one worker.

const http = require('node:http');
const { serial: test } = require('ava');
const { io } = require('socket.io-client');
const { deployFile } = require('../helpers/deploy/files');
const { startMachines } = require('../helpers/deploy/machine');
const { startRedis } = require('../helpers/deploy/redis');
const { becomesTrue } = require('../../tools/process-group');

const HOSTS = ['127.0.0.2', '127.0.0.3'];
const CLIENTS_OF_EACH = 6;
const ROOM = 'room';
const LIMIT = 15_000;

const OPTIONS = ['-w', '2', '--policy', 'source-hash', '--drain-timeout', '5s'];

async function startChat(t) {
  const REDIS = await startRedis(t);
  const machines = await startMachines(t, HOSTS, {
    run: () => [...OPTIONS, deployFile('socket.io/server.js')],
    env: ({ host, port }) => ({ HOST: host, PORT: `${port}`, REDIS }),
  });
  // A client that has come before the last worker keeps its connection to one worker, and would get the next
  // connection to another: then no worker has its session.
  for (const machine of machines) {
    await come(async () => (await machine.status()).state === 'ready', 'all workers are ready');
  }
  return machines;
}

/** A client with an address of its own that polls, joins the room whenever it connects, and notes what it receives. */
function startClient(t, { host, port }, address, transport) {
  const agent = new http.Agent({ keepAlive: true, localAddress: address });
  const options = { forceNew: true, transports: [transport], agent, reconnectionDelay: 50 };
  const socket = io(`http://${host}:${port}`, options);
  const client = { socket, said: [], workers: [], toAll: [] };
  socket.on('connect', () => {
    socket.emit('join', ROOM, (pid) => client.workers.push(pid));
  });
  socket.on('said', (text) => client.said.push(text));
  socket.on('said to all', (text) => client.toAll.push(text));
  t.teardown(() => socket.disconnect());
  return client;
}

async function startClients(t, machines, transport) {
  const clients = machines.flatMap((machine, i) =>
    Array.from({ length: CLIENTS_OF_EACH }, (_, j) =>
      startClient(t, machine, `127.${i + 1}.${j * 40 + 1}.${j * 37 + 2}`, transport),
    ),
  );
  await come(() => clients.every(({ workers }) => workers.length > 0), 'clients join');
  return clients;
}

async function come(condition, what) {
  if (!(await becomesTrue(condition, LIMIT))) throw new Error(`it does not come to this: ${what}`);
}

for (const transport of ['polling', 'websocket']) {
  test(`rooms and broadcasts reach clients of both machines, by ${transport}`, async (t) => {
    t.timeout(120_000);
    const machines = await startChat(t);
    const clients = await startClients(t, machines, transport);
    const pids = new Set(clients.flatMap(({ workers }) => workers));
    t.true(pids.size > 2, 'more workers than one machine has serve them');
    for (const [index, client] of clients.entries()) {
      client.socket.emit('say', ROOM, `from ${index}`);
      client.socket.emit('say to all', `all from ${index}`);
    }
    const all = ({ said, toAll }) =>
      said.length === clients.length && toAll.length === clients.length;
    await come(() => clients.every(all), 'everything arrives, once');
    for (const machine of machines) t.is((await machine.stop()).code, 0);
  });

  test(`clients of the other machine miss nothing while one is reloaded, and its own come back, by ${transport}`, async (t) => {
    t.timeout(120_000);
    const machines = await startChat(t);
    const clients = await startClients(t, machines, transport);
    const here = clients.slice(0, CLIENTS_OF_EACH);
    const others = clients.slice(CLIENTS_OF_EACH);
    const [speaker] = others;

    let spoken = 0;
    const speech = setInterval(() => speaker.socket.emit('say', ROOM, spoken++), 20);
    t.teardown(() => clearInterval(speech));
    await machines[0].command('reload');
    const pids = (await machines[0].status()).slots.map(({ pid }) => pid);
    const isBack = ({ workers }) => pids.includes(workers.at(-1));
    await come(() => here.every(isBack), 'clients are in their room again, by new workers');
    const first = spoken + 1;
    await come(() => spoken > first + 10, 'more is said');
    clearInterval(speech);
    await come(() => clients.every(({ said }) => said.at(-1) === spoken - 1), 'all is received');

    const numbers = Array.from({ length: spoken }, (_, index) => index);
    for (const { said, workers } of others) {
      t.deepEqual(said, numbers);
      t.is(workers.length, 1);
    }
    for (const { said } of here) {
      t.deepEqual(said.slice(said.indexOf(first)), numbers.slice(first));
      t.is(new Set(said).size, said.length, 'nothing twice');
    }
    for (const { socket } of clients) socket.disconnect();
    for (const machine of machines) t.is((await machine.stop()).code, 0);
  });
}
