// Greets whom it is told to, and leaves when there is nobody else.
import { worker } from 'rs-cluster';

worker.on('message', (name) => {
  if (name === null) worker.disconnect();
  else worker.send({ greeting: `Hello ${name}, from worker ${worker.id}` });
});
