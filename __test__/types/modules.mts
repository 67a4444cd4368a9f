// A user's program as an ES module. `npm run lint` compiles it, but does not run it.
import http from 'node:http';
import cluster, {
  type Address,
  type ClusterSettings,
  type DrainingInfo,
  type DrainOptions,
  type DrainResult,
  fork,
  isPrimary,
  isWorker,
  type KillMode,
  type Supervisor,
  setupPrimary,
  supervise,
  Worker,
  worker,
  workers,
} from 'rs-cluster';
import 'rs-cluster/register';

const killMode: KillMode = 'immediate';
const settings: ClusterSettings = { killMode, silent: true };
if (isPrimary) {
  setupPrimary(settings);
  const first: Worker = fork({ GREETING: 'hello' });
  first.on('listening', (address: Address) => console.log(address.port));
  const options: DrainOptions = { timeout: 0 };
  first.drain(options).then(({ cut }: DrainResult) => console.log(cut));
  console.log(first instanceof Worker, Object.keys(workers ?? {}));
  cluster.on('exit', (gone, code) => console.log(gone.id, code.toFixed()));
  const supervisor: Supervisor = supervise({ workers: 2 });
  supervisor.on('cut', (info) => console.log(info.worker.id, info.connections.toFixed()));
  await supervisor.stop({ timeout: 0 });
  // @ts-expect-error
  setupPrimary({ killMode: 'brutal' });
} else if (isWorker) {
  const onDraining = ({ reason, deadline }: DrainingInfo) => console.log(reason, deadline);
  worker?.on('draining', onDraining);
  http.createServer((_request, response) => response.end(`${worker?.id}`)).listen(8000);
}
