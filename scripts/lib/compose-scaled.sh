# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # shares its variables with compose-test
# The steps of compose-test with three instances behind the balancer. Sourced by it.

callers=8 # requests at the same time

try_scaled() {
  export SAMPLE_DATA=true COMPOSE_PROFILES=scaled
  start_all
  check "with the profile, three instances are ready" eventually 60 instances_are 3
  check "an answer has the id of its request" says 'x-request-id: from-the-caller' \
    on_engine curl --silent --include --header 'x-request-id: from-the-caller' "$(balanced fast/1)"

  begin_load
  await_answers 1500
  report "three instances"
  check "the three share the load" shared_evenly
  check "no request has failed" no_failures

  local killed
  begin_phase
  killed=$(container_of ai-service-replica | head -n 1)
  logged "${engine[@]}" docker kill "$killed"
  # Not many: the locks of the killed instance outlive these phases, and a call for such a user takes LOCK_WAIT_SECS.
  await_answers 200
  report "one killed"
  check "of an instance that is killed, only requests in flight may fail" failures_at_most "$callers"
  check "the balancer has noticed" eventually 20 instances_are 2
  logged "${engine[@]}" docker start "$killed"
  check "started again, it is used again" eventually 60 instances_are 3

  begin_phase
  logged "${compose[@]}" restart ai-service
  check "an instance that is restarted is used again" eventually 60 instances_are 3
  await_answers 200
  report "one restarted"
  check "no request has failed for the restart" no_failures
  end_load

  logged "${compose[@]}" stop ai-service ai-service-replica
  check "without an instance, the balancer answers as the service does" says '"code":"unavailable"' \
    on_engine curl --silent "$(balanced fast/1)"
  remove_project
  unset SAMPLE_DATA COMPOSE_PROFILES
}

balanced() { echo "http://127.0.0.1:8080/api/job-agent/recommendations/$1"; }

# Its exporter is reached from within its network only.
balancer_metrics() { in_service curl --silent http://balancer:8404/metrics; }

# instances_are COUNT
instances_are() { balancer_metrics | grep -Fx "haproxy_backend_active_servers{proxy=\"instances\"} $1"; }

# Answers of each instance: a number a line.
answers_of_instances() {
  balancer_metrics | sed -nE 's/^haproxy_server_http_responses_total\{proxy="instances",server="[^"]*",code="2xx"\} //p' |
    grep -v '^0$'
}

# Each has a fifth at least; a third would be even.
shared_evenly() {
  answers_of_instances | tee /dev/stderr |
    awk '{ sum += $1; if (NR == 1 || $1 < least) least = $1 } END { exit !(NR == 3 && 5 * least >= sum) }'
}

# Callers who calculate and read in turn, on connections that stay open. A line of load.log is a status and a time in
# seconds.
begin_load() {
  # The callers may not have begun when it is read.
  : >"$work/load.log"
  # shellcheck disable=SC2016 # the shell over there expands it
  spawn_tied load "${engine[@]}" bash -c '
    caller() {
      while true; do
        curl "${options[@]}" -X POST "$1calculate/[1-12]?force=true"
        curl "${options[@]}" "$1fast/[1-12]"
        curl "${options[@]}" -X POST "$1calculate/[1-12]?background=true"
      done
    }
    options=(--silent --output /dev/null --max-time 90 --write-out "%{http_code} %{time_total}\n")
    for ((n = 0; n < $2; n++)); do caller "$1" & done
    wait
  ' load "$(balanced '')" "$callers"
  begin_phase
}

end_load() {
  kill -- "-${pid[load]}"
  wait "${pid[load]}" || true
  unset 'pid[load]'
}

# From here on, answers are counted from zero.
begin_phase() { first_answer=$(($(wc -l <"$work/load.log") + 1)); }
answers_of_phase() { tail -n "+$first_answer" "$work/load.log"; }
failures() { answers_of_phase | grep -cv '^2'; }
no_failures() { failures_at_most 0; }
failures_at_most() { [ "$(failures)" -le "$1" ]; }

# await_answers COUNT: as many more.
await_answers() {
  local until=$(($(wc -l <"$work/load.log") + $1))
  eventually 180 has_answers "$until" || die "the balancer does not answer"
}
has_answers() { [ "$(wc -l <"$work/load.log")" -ge "$1" ]; }

# report TITLE: the figures of the phase.
report() {
  say "$1: $(answers_of_phase | sort -n -k 2 | awk '
    { time[NR] = $2; if ($1 !~ /^2/) failed++ }
    END { printf "%d requests, %d failed; p50 %.0f ms, p99 %.0f ms, longest %.0f ms", NR, failed,
      1000 * time[int(NR * 0.5) + 1], 1000 * time[int(NR * 0.99)], 1000 * time[NR] }'
    ); answers of each instance so far: $(answers_of_instances | paste -sd ' ')"
}
