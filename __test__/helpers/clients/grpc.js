'use strict';

const { once } = require('node:events');
const { promisify } = require('node:util');
const { Client, credentials } = require('@grpc/grpc-js');
const service = require('../../fixtures/drain/frameworks/grpc-service');
const { Load, check } = require('./load');

const CHANNELS = 4;
const CALLS = 2;
const MESSAGES = 8;

/** Starts clients of gRPC, several with each channel, which also call a method that streams its answers. */
function startGrpc({ host, port }) {
  const channels = Array.from(
    { length: CHANNELS },
    // Channels to one address would share a connection otherwise.
    () =>
      new Client(`${host}:${port}`, credentials.createInsecure(), {
        'grpc.use_local_subchannel_pool': 1,
      }),
  );
  return new Load(CHANNELS * CALLS, {
    async ask({ client, number }) {
      const channel = channels[client % CHANNELS];
      if (number % 10 === 5) await count(channel);
      else await echo(channel, { client, number, ms: number % 10 === 7 ? 30 : 0 });
    },
    close() {
      for (const channel of channels) channel.close();
    },
  });
}

const deadline = () => ({ deadline: Date.now() + 10_000 });

async function echo(channel, request) {
  const { path, requestSerialize, responseDeserialize } = service.echo;
  const call = promisify(channel.makeUnaryRequest.bind(channel));
  const answer = await call(path, requestSerialize, responseDeserialize, request, deadline());
  check(JSON.stringify(answer), JSON.stringify(request));
}

async function count(channel) {
  const { path, requestSerialize, responseDeserialize } = service.count;
  const request = { to: MESSAGES, ms: 10 };
  const call = channel.makeServerStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    request,
    deadline(),
  );
  const numbers = [];
  call.on('data', ({ i }) => numbers.push(i));
  await once(call, 'end');
  check(numbers.join(), Array.from({ length: MESSAGES }, (_, i) => i).join());
}

module.exports = { startGrpc };
