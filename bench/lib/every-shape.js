'use strict';

/**
 * Every shape of traffic, for the addresses of each kind of server: `http`, `https`, `h2c`, `h2` and `unix`.
 * There is so little of it that two cores serve it at ease: failures must not come from overload.
 */
function everyShape(at) {
  const plain = [
    { shape: 'connections', count: 4, think: [10, 30] },
    { shape: 'connections', name: 'open', rate: 100 },
    { shape: 'get', count: 16, think: [10, 30] },
    { shape: 'post', count: 40, think: [0, 3] },
    // Around the time at which the client closes, a second before Node's server does.
    { shape: 'post', name: 'late', count: 16, think: [3_500, 4_500] },
    { shape: 'pipeline', count: 2, depth: 16, think: [50, 150] },
    { shape: 'silent', count: 16, think: [0, 3_000] },
    { shape: 'halfHead', count: 8, think: [0, 2_000] },
    { shape: 'upload', count: 4, bytes: 10_000, think: [5, 15] },
    // Without a pause the next request begins as the body ends, so the connection is never idle.
    { shape: 'upload', name: 'early', early: true, count: 2, bytes: 10_000, think: [200, 400] },
    { shape: 'download', count: 4, think: [5, 15] },
    { shape: 'events', count: 4, think: [5, 15] },
    { shape: 'events', name: 'endless', endless: true, count: 4 },
    { shape: 'webSockets', count: 50, think: [100, 300] },
    // Fewer than a backlog holds, or most of them would only wait to be sent again.
    { shape: 'burst', count: 200 },
  ].map((shape) => ({ address: at.http, ...shape }));
  return [
    ...plain,
    { shape: 'post', name: 'unix', count: 4, think: [5, 15], address: at.unix },
    { shape: 'post', name: 'tls-1-3', tls: '1.3', count: 8, think: [5, 15], address: at.https },
    { shape: 'connections', name: 'tls-1-2', tls: '1.2', think: [10, 30], address: at.https },
    { shape: 'http2', name: 'h2c', count: 2, think: [100, 300], address: at.h2c },
    {
      shape: 'http2',
      name: 'h2',
      tls: '1.3',
      bytes: 0,
      count: 2,
      think: [50, 150],
      address: at.h2,
    },
  ];
}

module.exports = { everyShape };
