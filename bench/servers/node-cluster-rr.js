'use strict';

const cluster = require('node:cluster');
const { serve } = require('./parts/cluster-primary.js');

serve(cluster, cluster.SCHED_RR);
