# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034,SC2317 # shares its variables with with-servers
# Leaving nothing behind: no process, container or folder, whatever ends the run.
# Sourced by with-servers.

trash=()     # folders to remove
undo=()      # commands that undo what was set up, once all processes have ended
stoppable='' # the process run_stoppable waits for

cleanup() {
  trap '' INT TERM HUP
  set +e
  # SIGKILL, as the data goes as well. The "wait" reaps before rm, so that no
  # server still writes into the folders.
  for name in "${!pid[@]}"; do
    kill -KILL -- "-${pid[$name]}" || kill -KILL "${pid[$name]}" # the whole session
    wait "${pid[$name]}"
  done 2>/dev/null
  if [ ${#container[@]} -gt 0 ]; then
    docker rm --force --volumes "${container[@]}" >/dev/null 2>&1
  fi
  # Those that a campaign has started again.
  if [ -n "${processes:-}" ]; then cat "$processes"/*/pid | xargs --no-run-if-empty kill -KILL; fi 2>/dev/null
  for command in "${undo[@]}"; do $command; done
  rm -rf --one-file-system "${trash[@]}"
}
trap cleanup EXIT

# descendants PID: it and all processes below it.
descendants() {
  local child
  echo "$1"
  # shellcheck disable=SC2013 # pids are words
  for child in $(grep -l "^PPid:[[:space:]]$1\$" /proc/[0-9]*/status 2>/dev/null | cut -d/ -f3); do
    descendants "$child"
  done
}

# COMMAND may be cargo, which does not pass a SIGTERM on to the tests it runs.
stop_on_signal() {
  trap '' INT TERM HUP
  if [ -n "$stoppable" ]; then
    local all
    mapfile -t all < <(descendants "$stoppable")
    kill -TERM "${all[@]}" 2>/dev/null || true
    for _ in {1..50}; do
      kill -0 "${all[@]}" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "${all[@]}" 2>/dev/null || true
    wait "$stoppable" 2>/dev/null || true
  fi
  exit "$1"
}
trap 'stop_on_signal 129' HUP
trap 'stop_on_signal 130' INT
trap 'stop_on_signal 143' TERM

# Bash acts on a signal only after a command in the foreground has ended, but
# at once while it waits for one in the background. Such a one, though, would
# ignore Ctrl-C and read from /dev/null: hence "env" and "<&0".
run_stoppable() {
  local status=0
  env --default-signal=INT,QUIT "$@" <&0 &
  stoppable=$!
  wait "$stoppable" || status=$?
  stoppable=''
  return "$status"
}

# Not under $TMPDIR: that may be closed to the user the servers run as, or too
# long a path for a socket.
work=$(mktemp -d /tmp/job-agent-servers.XXXXXX)
trash+=("$work")
chmod 711 "$work" # the servers' user reaches redis-server through it
