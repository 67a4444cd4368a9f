'use strict';

// socket.io on several machines: Redis carries what is for the clients of other workers, here and on other machines.
//
//   rs-cluster run --policy source-hash server.js

const http = require('node:http');
const cluster = require('rs-cluster');
const { createAdapter } = require('@socket.io/redis-adapter');
const { createClient } = require('redis');
const { Server } = require('socket.io');

const { HOST, PORT = 8000, REDIS = 'redis://127.0.0.1:6379' } = process.env;

async function start() {
  const publisher = createClient({ url: REDIS });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  const server = http.createServer();
  const io = new Server(server, { adapter: createAdapter(publisher, subscriber) });
  io.on('connection', (socket) => {
    socket.on('join', (room, joined) => {
      socket.join(room);
      joined(process.pid);
    });
    socket.on('say', (room, text) => io.to(room).emit('said', text));
    socket.on('say to all', (text) => io.emit('said to all', text));
  });
  // Clients connect again by themselves when their connection ends, and so get another worker.
  cluster.worker?.once('draining', () => io.engine.close());
  server.listen(Number(PORT), HOST);
}

start();
