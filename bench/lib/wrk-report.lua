-- wrk prints rounded figures for people; this adds the exact ones as one line of JSON.
-- Times are in microseconds. "status" counts the responses that are neither 2xx nor 3xx.

local FORMAT = '{"requests":%d,"duration":%d,'
  .. '"errors":{"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d},'
  .. '"latency":{"p50":%d,"p99":%d,"p999":%d,"max":%d}}\n'

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(FORMAT,
    summary.requests, summary.duration,
    errors.connect, errors.read, errors.write, errors.timeout, errors.status,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max))
end
