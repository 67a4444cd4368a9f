'use strict';

// A primary of rs-cluster, whose argument has the options of `supervise()`.

require(process.env.RS_CLUSTER).supervise(JSON.parse(process.argv[2]));
