'use strict';

const cluster = require(process.env.RS_CLUSTER);
const { serve } = require('./parts/cluster-primary.js');

serve(cluster, cluster.SCHED_RR);
