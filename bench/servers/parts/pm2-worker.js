'use strict';

// A worker of PM2, which says that it is ready, and leaves on SIGINT, as PM2's documentation tells.

const { startWorker } = require('./traffic-worker.js');

const { listening, close } = startWorker();
listening.then(() => process.send('ready'));
process.once('SIGINT', async () => {
  await close();
  process.exit();
});
