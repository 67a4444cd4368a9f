// A user's program in CommonJS. `npm run lint` compiles it, but does not run it.
import type { Cluster as NodeCluster, Worker as NodeWorker } from 'node:cluster';

import type { Worker as ImportedWorker } from 'rs-cluster';

import http = require('node:http');
import cluster = require('rs-cluster');

const settings: cluster.ClusterSettings = { killMode: 'immediate', killTimeout: 10, silent: true };
if (cluster.isPrimary) {
  cluster.setupPrimary(settings);
  const worker: cluster.Worker = cluster.fork({ GREETING: 'hello' });
  worker.on('listening', (address: cluster.Address) => console.log(address.port));
  worker.pause().resume();
  const isPaused: boolean | undefined = cluster.workers?.[1]?.isPaused();
  console.log(isPaused);
  worker.send({ any: 'thing' }, (error: Error | null) => console.log(error));
  cluster.on('exit', (gone, code, signal) => console.log(gone.id, code.toFixed(), signal));
  cluster
    .once('online', (online) => online.pause())
    .on('listening', (it, { port }) => it.send(port));
  cluster.prependListener('setup', ({ queueTimeout }) => console.log(queueTimeout));
  cluster.on('message', (sender, message, handle) => sender.send(message, handle));
  cluster.on('any other', (one: number, other: string) => console.log(one, other));
  const nodeCluster: NodeCluster = cluster;
  nodeCluster.on('exit', (gone) => console.log(gone.process.pid));
  // @ts-expect-error
  cluster.on('online', (online) => online.paws());
  cluster.disconnect(() => console.log(cluster.settings.killMode));
  const { listeners, workers }: cluster.Stats = cluster.stats();
  console.log(listeners[0]?.handoverTimes.length, workers[1]?.open);
  console.log(listeners[0]?.parked, listeners[0]?.moved, workers[1]?.moved);
  const options: cluster.DrainOptions = { timeout: 1000, reason: 'reload', handOverIdle: false };
  const drained: Promise<cluster.DrainResult> = worker.drain(options);
  drained.then(({ cut }) => console.log(cut.toFixed(), worker.isDraining()));
  worker.drain().catch(() => {});
  worker
    .on('message', (message, handle) => worker.send(message, handle))
    .once('exit', (code, signal) => console.log(code.toFixed(), signal))
    .prependListener('error', ({ message }) => console.log(message))
    .on('any other', (one: number) => console.log(one));
  // A worker goes where Node's own is expected.
  const nodeWorker: NodeWorker = worker;
  nodeWorker.on('listening', ({ port }) => console.log(port));
  // And where the type is expected that a program imports by its name.
  const imported: ImportedWorker = worker;
  imported.on('exit', (code) => console.log(code.toFixed()));
  // @ts-expect-error
  worker.drain({ timeout: '1 s' });
  cluster.setupPrimary({ handOverIdle: false });
  // @ts-expect-error
  cluster.setupPrimary({ handOverIdle: 'no' });
  // @ts-expect-error
  cluster.setupPrimary({ killMode: 'brutal' });
  const supervised: cluster.SuperviseOptions = {
    exec: 'app.js',
    workers: 'auto',
    env: () => ({ VERSION: '2' }),
    maxRestarts: { count: 5, within: 60_000 },
    maxMemory: '512M',
  };
  const supervisor: cluster.Supervisor = cluster.supervise(supervised);
  supervisor
    .on('hung', ({ worker: { id }, ms, stack }) => console.log(id, ms, stack?.split('\n')))
    .once('replace', ({ from, to, reason }) => console.log(from?.toFixed(), to.toFixed(), reason))
    .on('backoff', ({ slot, delay, failures }) => console.log(slot, delay, failures));
  const reloaded: Promise<cluster.ReloadResult> = supervisor.reload({
    signal: AbortSignal.timeout(100),
  });
  reloaded.catch(({ code, phase, stderr }: cluster.SupervisorError) => {
    console.log(code, phase === 'canary', stderr?.length);
  });
  supervisor
    .on('upgrade', ({ pid, generation, ms }) => console.log(pid.toFixed(), generation, ms))
    .upgrade({ directory: '/srv/app', execPath: 'node', args: ['app.js'], timeout: 60_000 })
    .then(({ pid }: cluster.UpgradeResult) => console.log(pid.toFixed()));
  // @ts-expect-error
  supervisor.upgrade({ node: '/usr/bin/node' });
  supervisor.scale('+1').then((count) => console.log(count.toFixed()));
  const { slots, draining, blocked, events, history }: cluster.Status = supervisor.status();
  console.log(slots[0]?.state === 'waiting', draining[0]?.memory?.toFixed(), blocked[0]?.at);
  console.log(slots[0]?.total.rescued.toFixed(), draining[0]?.since?.toFixed());
  console.log(events.map(({ time, type, slot }) => [time.toFixed(), type === 'exit', slot]));
  console.log(history.p99.map((microseconds) => microseconds?.toFixed()));
  const log = ({ level, event, message }: cluster.LogEntry) =>
    console.log(level === 'warn', event === 'backoff', message);
  cluster.supervise({ log });
  // @ts-expect-error
  cluster.supervise({ log: 'xml' });
  // @ts-expect-error
  cluster.supervise({ readyWhen: 'online' });
  // @ts-expect-error
  supervisor.scale('two');
} else {
  cluster.worker?.ready();
  cluster.worker
    ?.on('draining', ({ reason, deadline }) => {
      const left: number = deadline - Date.now();
      console.log(reason?.toUpperCase(), left);
    })
    .once('drain', () => console.log(cluster.worker?.isDraining()));
  // @ts-expect-error
  cluster.worker?.on('draining', (info) => console.log(info.timeout));
  http
    .createServer(({ socket }, response) => {
      cluster.worker?.pin(socket);
      // @ts-expect-error
      cluster.worker?.pin(response);
      response.end(`${cluster.worker?.id}`);
    })
    .listen(8000);
}
