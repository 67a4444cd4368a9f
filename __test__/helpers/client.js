'use strict';

const dgram = require('node:dgram');
const { once } = require('node:events');
const http = require('node:http');
const https = require('node:https');
const net = require('node:net');

/** Sends one request on its own connection, or one of `options.agent`; resolves to the answered JSON. */
async function get(target, options) {
  return JSON.parse(await getText(target, options));
}

/** Sends one request in the same way as `get`; resolves to the answered text. */
async function getText(target, options) {
  const { get } = target.protocol === 'https:' ? https : http;
  const request = get({ agent: false, ...target, ...options });
  const [response] = await once(request, 'response');
  return text(response);
}

/** Sends requests one after the other; resolves to how many each worker has answered, by its id. */
async function countAnswers(target, count, ask = get) {
  const answers = {};
  for (let i = 0; i < count; i += 1) {
    const { id } = await ask(target);
    answers[id] = (answers[id] ?? 0) + 1;
  }
  return answers;
}

/**
 * Sends at least ten requests, one after the other, until each of these workers has answered, however they share
 * them; resolves to the answers. No other worker may answer.
 */
async function askEach(target, ids, ask = get) {
  const answers = [];
  const silent = new Set(ids);
  while (silent.size > 0 || answers.length < 10) {
    const answer = await ask(target);
    if (!ids.includes(answer.id)) throw new Error(`worker ${answer.id} answered`);
    silent.delete(answer.id);
    answers.push(answer);
  }
  return answers;
}

/** Connects, and resolves to the JSON that the server sends before it ends the connection. */
async function read(target) {
  return JSON.parse(await text(net.connect(target)));
}

/** Sends datagrams one after the other; resolves to the JSON of all answers, from any worker. */
async function askDatagrams({ host, port }, messages) {
  const socket = dgram.createSocket(net.isIPv4(host) ? 'udp4' : 'udp6');
  const answers = [];
  socket.on('message', (answer, from) => answers.push({ ...JSON.parse(answer), from: from.port }));
  for (const message of messages) {
    socket.send(message, port, host);
    await once(socket, 'message');
  }
  socket.close();
  return answers;
}

async function text(stream) {
  let all = '';
  for await (const chunk of stream.setEncoding('utf8')) all += chunk;
  return all;
}

/** The code of the error with which a connection attempt ends, or undefined. */
async function connectionError(target) {
  const socket = net.connect(target);
  try {
    await once(socket, 'connect');
    return undefined;
  } catch (error) {
    return error.code;
  } finally {
    socket.destroy();
  }
}

module.exports = { askDatagrams, askEach, connectionError, countAnswers, get, getText, read, text };
