-- Searches for wrk: a file of bodies, each in two parts around digits that are counted up.
-- Arguments: path of the file, path of the request, first count.

local bodies = {}
local count = 0
local place = 0
local path

function init(args)
  for line in io.lines(args[1]) do
    local tab = line:find("\t", 1, true)
    bodies[#bodies + 1] = { line:sub(1, tab - 1), line:sub(tab + 1) }
  end
  path = args[2]
  count = tonumber(args[3])
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  count = count + 1
  place = place % #bodies + 1
  local body = bodies[place]
  return wrk.format("POST", path, nil, body[1] .. string.format("%07d", count % 10000000) .. body[2])
end

function done(summary, latency, requests)
  local failed = summary.errors
  io.stderr:write(string.format(
    '{"requests":%d,"seconds":%.6f,"failed":%d,"p50_ms":%.3f,"p95_ms":%.3f,"p99_ms":%.3f}\n',
    summary.requests, summary.duration / 1e6,
    failed.connect + failed.read + failed.write + failed.status + failed.timeout,
    latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3))
end
