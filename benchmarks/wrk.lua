-- Requests of many people in turn, and what came of them as one line of JSON. OPERATION and PEOPLE (a file of lines
-- "token document_id") come from the environment.
local people = {}
for line in io.lines(os.getenv("PEOPLE")) do
  local token, document = line:match("(%S+) (%S+)")
  people[#people + 1] = { token = token, document = document }
end
local operation = os.getenv("OPERATION")
local requests, turn = {}, 0

local function build(number, person)
  local headers = { ["Authorization"] = "Bearer " .. person.token }
  if operation == "live" then return wrk.format("GET", "/health/live") end
  if operation == "me" then return wrk.format("GET", "/api/v1/auth/me", headers) end
  if operation == "list" then return wrk.format("GET", "/api/v1/documents", headers) end
  if operation == "detail" then return wrk.format("GET", "/api/v1/documents/" .. person.document, headers) end
  headers["Content-Type"] = "application/json"
  return wrk.format("PATCH", "/api/v1/documents/" .. person.document, headers, '{"tags": ["part ' .. number .. '"]}')
end

function init(args)
  for number, person in ipairs(people) do requests[number] = build(number, person) end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "rps": %.1f, "p50_ms": %.3f, "p95_ms": %.3f, "p99_ms": %.3f, "errors": %d}\n',
    summary.requests, summary.requests / (summary.duration / 1e6),
    latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
