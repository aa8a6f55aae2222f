-- Load by wrk: sends the requests of a file, which are separated by NUL bytes, in order, and prints the result as one
-- line of JSON. Usage: wrk -t1 -c64 -d5s -s bench/load/wrk.lua URL -- FILE
local requests = {}
local at = 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  for text in file:read("*a"):gmatch("[^%z]+") do
    requests[#requests + 1] = text
  end
  file:close()
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"answered":%d,"seconds":%.6f,"bytes":%d,"errors":%d,"latencyMs":{"p50":%.4f,"p99":%.4f,"p999":%.4f,"max":%.4f}}\n',
    summary.requests - errors.status, summary.duration / 1e6, summary.bytes,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3, latency.max / 1e3))
end
