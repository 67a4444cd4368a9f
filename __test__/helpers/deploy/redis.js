'use strict';

const { once } = require('node:events');
const net = require('node:net');
const { startDaemon } = require('./daemon');
const { freePort } = require('../free-port');
const { temporaryDirectory } = require('../temporary');
const { findProgram } = require('../../../tools/debian-packages');

/** Whether a Redis answers. */
async function answers(port) {
  const socket = net.connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    socket.write('PING\r\n');
    const [reply] = await once(socket, 'data');
    return `${reply}` === '+PONG\r\n';
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Starts a Redis without files; resolves to its URL. */
async function startRedis(t) {
  const port = await freePort();
  const options = { port, bind: '127.0.0.1', save: '', appendonly: 'no' };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  const cwd = temporaryDirectory(t);
  const daemon = startDaemon(t, findProgram('redis-server'), args, { cwd });
  await daemon.until(() => answers(port), 'it answers');
  return `redis://127.0.0.1:${port}`;
}

module.exports = { startRedis };
