import http from 'node:http';
import { worker } from 'rs-cluster';

http.createServer((_request, response) => response.end(`${worker.id}`)).listen(0);
