# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # shares its variables with compose-test
# The steps of compose-test. Sourced by it.

log=$work/output.log
compose=() # with the project and its file, wherever the engine is
passed=0 failed=0

use_own_engine() {
  local running building
  mkdir -p "$cache"
  exec {running}>"$cache/docker-sid.lock" # one engine at a time works on its folder
  run_stoppable flock "$running"
  exec {building}<"$cache" # with-servers builds there, too
  run_stoppable flock "$building"
  if [ ! -x "$engine_root/usr/sbin/dockerd" ]; then build_engine || no_engine; fi
  mounted[/project]=$repository
  mount_stand_in_sources
  exec {building}<&-
  start_engine || no_engine
  use_project /project
  build_stand_ins
}

no_engine() {
  say "no Docker engine can be had here: see above"
  exit 3
}

use_running_engine() {
  use_project "$repository"
}

# use_project FOLDER. Without its .env, which may hold a developer's settings.
use_project() {
  compose=("${engine[@]}" docker compose --project-name job-agent-compose-test
    --project-directory "$1" --env-file /dev/null)
  remove_project # that of a run that was killed
}

remove_project() {
  logged "${compose[@]}" --profile '*' down --volumes --remove-orphans
}

look_around() {
  if [ -n "$keep" ] && [ ${#compose[@]} -gt 0 ]; then
    say "everything is still there; press Enter to end. Beside it: ${engine[*]} bash"
    read -r || true
  fi
}

leave_nothing() {
  if [ ${#compose[@]} -gt 0 ]; then "${compose[@]}" --profile '*' down --volumes --remove-orphans --rmi local; fi
  if [ -n "${pid[engine]:-}" ]; then
    on_engine docker image prune --force
    stop_engine
  fi
} >/dev/null 2>&1

# logged COMMAND...: shows what COMMAND says only if it fails, and ends the run then.
logged() {
  if ! run_stoppable "$@" >"$log" 2>&1; then
    say "failed: $*"
    tail -n 40 "$log" >&2
    exit 1
  fi
}

# check SENTENCE COMMAND...
check() {
  local sentence=$1
  shift
  if "$@" >"$log" 2>&1; then
    passed=$((passed + 1))
    say "ok: $sentence"
  else
    failed=$((failed + 1))
    say "FAILED: $sentence: $*"
    tail -n 20 "$log" >&2
    service_log | tail -n 5 >&2
  fi
}

# eventually SECONDS COMMAND...
eventually() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    if ((SECONDS >= deadline)); then return 1; fi
    sleep 0.2
  done
}

container_of() { "${compose[@]}" ps --all --quiet "$1"; }
inspect() { on_engine docker inspect --format "$2" "$(container_of "$1")"; }
in_service() { on_engine docker exec "$(container_of ai-service)" "$@"; }
service_log() { "${compose[@]}" logs --no-log-prefix ai-service; }
is_healthy() { [ "$(inspect "$1" '{{.State.Health.Status}}')" = healthy ]; }
all_healthy() { is_healthy mysql && is_healthy redis && is_healthy ai-service; }

# says TEXT COMMAND...: whether COMMAND prints it.
says() {
  local text=$1
  shift
  "$@" | tee /dev/stderr | grep -F "$text"
}

# readme_curl PART: the command of the README that has it, as a reader pastes it.
readme_curl() {
  on_engine bash -c "$(grep -m 1 "^curl.*$1" "$repository/README.md") --silent --show-error --max-time 90"
}

api() {
  local method=$1 path=$2
  on_engine curl --silent --show-error --max-time 90 -X "$method" "http://127.0.0.1:8000/api/$path"
}

build_image() {
  local start=$SECONDS image=job-agent-compose-test-ai-service
  logged "${compose[@]}" build
  size() { on_engine docker image inspect --format '{{.Size}}' "$1" | awk '{ printf "%.1f MB", $1 / 1e6 }'; }
  say "image built in $((SECONDS - start)) s: $(size "$image"), of which $(size debian:bookworm-slim) are its base"
}

start_all() {
  logged "${compose[@]}" up --build --detach
  check "mysql, redis and ai-service become healthy" eventually 180 all_healthy
}

report_start_time() {
  local started listening healthy
  started=$(inspect ai-service '{{.State.StartedAt}}')
  listening=$(service_log | sed -nE 's/.*"timestamp":"([^"]+)".*"listening".*/\1/p')
  healthy=$(inspect ai-service \
    '{{range .State.Health.Log}}{{if eq .ExitCode 0}}{{.End.Format "2006-01-02T15:04:05.999Z07:00"}} {{end}}{{end}}')
  since_start() { echo "$(date +%s.%N -d "$1") $(date +%s.%N -d "$started")" | awk '{ printf "%.1f s", $1 - $2 }'; }
  say "ai-service listened $(since_start "$listening") after its start, and was healthy after $(since_start "${healthy%% *}")"
}

try_empty_database() {
  start_all
  report_start_time
  check "curl in the container finds it healthy" in_service curl -f http://localhost:8000/health
  check "job-agent healthcheck finds it healthy" in_service job-agent healthcheck
  check "it runs as an unprivileged user" [ "$(in_service id -u)" = 10001 ]
  check "an empty database answers that there is no analysis" \
    says '"code":"no_profile_analysis"' readme_curl calculate/1
  remove_project
}

try_sample_data() {
  export SAMPLE_DATA=true
  start_all
  check "the README's calculate computes the sample user" says '"success":true' readme_curl calculate/1
  check "sent again, it has nothing to do" says '"code":"up_to_date"' readme_curl calculate/1
  check "the README's fast shows the list" says '"matchScore":' readme_curl fast/1
  check "the README's status says current" says '"state":"current"' readme_curl status/1
  check "the README's trigger starts a batch" says '"batchId":1' readme_curl scheduler/trigger
  check "the batch finishes" eventually 30 says '"running":false' readme_curl scheduler/status
}

try_redis_outage() {
  logged "${compose[@]}" stop redis
  check "without Redis, it calculates" \
    says '"success":true' api POST 'job-agent/recommendations/calculate/1?force=true'
  check "the log says that Redis is unavailable" eventually 20 says 'Redis unavailable' service_log
  logged "${compose[@]}" start redis
  check "the log says that Redis is available again" eventually 20 says 'Redis available again' service_log
  check "with Redis again, it calculates" \
    says '"success":true' api POST 'job-agent/recommendations/calculate/1?force=true'
  check "it uses locks in Redis again" says cmdstat_set: \
    on_engine docker exec "$(container_of redis)" redis-cli info commandstats
}

try_stop() {
  local user start
  for user in 1 2 3 4; do
    check "a trigger in the background is accepted" says '"background":true' \
      api POST "job-agent/recommendations/calculate/$user?background=true&force=true"
  done
  start=$SECONDS
  logged "${compose[@]}" stop ai-service
  say "stopped in $((SECONDS - start)) s"
  check "a stop ends with exit status 0" says 0 inspect ai-service '{{.State.ExitCode}}'
  check "the log says that it finishes what has begun" says 'stopping: finishing what has begun' service_log
  check "nothing had to be handed over" [ -z "$(service_log | grep 'not everything was finished')" ]
  start_all
  check "started again, it has served every trigger" eventually 30 \
    says '"dueInRealTime":0' api GET scheduler/status
  check "the sample data is not loaded twice" says '"state":"current"' readme_curl status/1
  remove_project
}

# As a backend and a crawler do, in forms of their own: unsigned keys, flags in
# a BIT, and no columns yet that the crawler adds at its first save.
backend_creates_tables() {
  on_engine docker exec --interactive "$(container_of mysql)" \
    mysql --user=dreampath --password=dreampath --default-character-set=utf8mb4 dreampath <<'SQL'
CREATE TABLE users (user_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, is_active BIT(1) NOT NULL);
CREATE TABLE job_recommendations (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, user_id BIGINT UNSIGNED NOT NULL,
  job_name VARCHAR(100) NOT NULL, match_score DOUBLE, category VARCHAR(100));
CREATE TABLE job_listings (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, site_name VARCHAR(100) NOT NULL, job_id VARCHAR(255),
  title VARCHAR(500) NOT NULL, company VARCHAR(255), location VARCHAR(255), description TEXT, url VARCHAR(1000),
  updated_at DATETIME(6));
INSERT INTO users VALUES (1, b'1');
INSERT INTO job_recommendations (user_id, job_name, match_score) VALUES (1, '간호사', 90);
INSERT INTO job_listings (site_name, job_id, title) VALUES ('site', '1', '병동 간호사 채용');
SQL
}

try_any_order() {
  unset SAMPLE_DATA
  logged "${compose[@]}" up --detach --no-deps ai-service
  check "started first, it waits for the database" eventually 20 says 'waiting for the database' service_log
  logged "${compose[@]}" up --detach --no-deps mysql
  check "with a database, it becomes healthy without Redis" eventually 120 is_healthy ai-service
  logged "${compose[@]}" up --detach --no-deps redis
  check "a Redis that comes last is used" eventually 20 says 'Redis available again' service_log
  check "the backend creates its tables, after the service has started" backend_creates_tables
  check "they are used: an analysis at once, listings after the next refresh" \
    eventually 90 says '"savedCount":1' api POST job-agent/recommendations/calculate/1
  check "it was never restarted" [ "$(inspect ai-service '{{.RestartCount}}')" = 0 ]
}
