'use strict';

const http = require('node:http');

http.createServer((_request, response) => response.end(`${process.pid}`)).listen(0);
