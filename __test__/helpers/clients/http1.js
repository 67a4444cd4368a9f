'use strict';

const { once } = require('node:events');
const http = require('node:http');
const https = require('node:https');
const { text } = require('../client');
const { Load, check } = require('./load');
const { requestOf } = require('./requests');

const CLIENTS = 8;

/**
 * Starts clients that keep their connections alive, one each.
 *
 * @param {object} target `port`, `host`, and for TLS `ca`
 * @returns {Load} with `clients`, `opened`, the number of connections that they have opened, and `told`, how
 *   often an answer has said that the connection ends
 */
function startHttp1(target) {
  const { Agent, request } = target.ca ? https : http;
  const agents = Array.from({ length: CLIENTS }, () => countConnections(new Agent(AGENT), opens));
  const load = new Load(CLIENTS, { ask, close });

  function opens() {
    load.opened += 1;
  }

  async function ask({ client, number, signal }) {
    const { method, path, body, verify } = requestOf({ client, number });
    const headers = body === undefined ? {} : { 'Content-Type': 'text/plain' };
    const options = { ...target, agent: agents[client], method, path, headers, signal };
    const [response] = await once(request(options).end(body), 'response');
    const answer = await text(response);
    check(`${response.statusCode}`, '200');
    verify(answer);
    if (response.headers.connection === 'close') load.told += 1;
  }

  function close() {
    for (const agent of agents) agent.destroy();
  }

  return Object.assign(load, { clients: CLIENTS, opened: 0, told: 0 });
}

const AGENT = { keepAlive: true, maxSockets: 1 };

function countConnections(agent, opens) {
  const { createConnection } = agent;
  agent.createConnection = function create(...args) {
    opens();
    return createConnection.apply(this, args);
  };
  return agent;
}

module.exports = { startHttp1 };
