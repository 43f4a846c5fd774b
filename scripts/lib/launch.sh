# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034,SC2004,SC2317 # shares its variables with with-servers
# Data folders, starting the servers and waiting for them. Sourced by with-servers.

# The data lives no longer than the run, so it is not protected from a power cut.
relaxed=(
  --max-connections=600 --innodb-buffer-pool-size=256M
  --innodb-flush-log-at-trx-commit=2 --innodb-doublewrite=OFF --innodb-flush-method=nosync
  --skip-log-bin
)
# shellcheck disable=SC2206 # TEST_MYSQL_ARGS is split at blanks
mysql_options=("${relaxed[@]}" --mysqlx=OFF --secure-file-priv=NULL ${TEST_MYSQL_ARGS:-})
mariadb_options=("${relaxed[@]}")
redis_options=(--save '' --appendonly no)

declare -A folder=() # of a server, as the server itself sees it

# make_folder NAME [ROOT]
make_folder() {
  local dir
  dir=$(mktemp -d "${2:-}/tmp/job-agent-$1.XXXXXX")
  trash+=("$dir")
  folder[$1]=${dir#"${2:-}"}
  if [ "$1" = mysql ]; then write_accounts "$dir/accounts.sql"; fi
  if [ "$(id -u)" = 0 ]; then chown -R "$nobody:$nobody" "$dir"; fi
}

write_accounts() {
  cat >"$1" <<'SQL'
CREATE USER IF NOT EXISTS 'dreampath'@'%' IDENTIFIED WITH caching_sha2_password BY 'secret';
GRANT ALL PRIVILEGES ON *.* TO 'dreampath'@'%' WITH GRANT OPTION;
SQL
}

# spawn NAME PROGRAM [ARG...]: in the background, in a session of its own, so
# that Ctrl-C stops COMMAND and not its servers.
spawn() {
  local name=$1 root=()
  shift
  if [ "$name" = mysql ] && [ -n "$mysql_root" ]; then root=(chroot "$mysql_root"); fi
  {
    # The usual limit of 1024 open files is too low for 600 connections.
    ulimit -n 10000 2>/dev/null || ulimit -Sn "$(ulimit -Hn)"
    exec setsid "${root[@]}" "${tied[@]}" "$@"
  } >"$work/$name.log" 2>&1 </dev/null &
  pid[$name]=$!
}

show_log() {
  if [ -n "${container[$1]:-}" ]; then docker logs "${container[$1]}" >"$work/$1.log" 2>&1; fi
  tail -n 30 "$work/$1.log" >&2
}

# Both at once: each takes seconds and uses one core.
initialise_all() {
  local name
  for name in $wanted; do
    if [ "${program[$name]}" = docker ]; then continue; fi
    case $name in
      mysql)
        make_folder mysql "$mysql_root"
        spawn mysql "${program[mysql]}" --no-defaults --initialize-insecure \
          --datadir="${folder[mysql]}/data" "${mysql_options[@]}"
        ;;
      mariadb)
        make_folder mariadb
        # --force: no matter if the machine cannot look up its own name
        spawn mariadb mariadb-install-db --no-defaults --datadir="${folder[mariadb]}/data" \
          --auth-root-authentication-method=normal --skip-test-db --force \
          "${mariadb_options[@]}"
        ;;
      redis) make_folder redis ;;
    esac
  done
  for name in "${!pid[@]}"; do
    wait "${pid[$name]}" || { say "could not initialise $name:"; show_log "$name"; exit 1; }
    unset "pid[$name]"
  done
}

# The kernel names a free port; another process may take it before the server does: see await.
free_port() {
  perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport'
}

launch() {
  local name=$1 dir=${folder[$1]:-}
  if [ "${program[$name]}" = docker ]; then
    "launch_${name}_in_docker"
    return
  fi
  port[$name]=$(free_port)
  local address=(--no-defaults --bind-address=127.0.0.1 --port="${port[$name]}"
    # A MariaDB that starts deletes the temporary tables that it finds: they may be another server's.
    --datadir="$dir/data" --socket="$dir/socket" --pid-file="$dir/pid" --tmpdir="$dir")
  case $name in
    mysql)
      spawn mysql "${program[mysql]}" "${address[@]}" "${mysql_options[@]}" --init-file="$dir/accounts.sql"
      ;;
    mariadb) spawn mariadb "${program[mariadb]}" "${address[@]}" "${mariadb_options[@]}" ;;
    redis)
      spawn redis "${program[redis]}" --bind 127.0.0.1 --port "${port[redis]}" --dir "$dir" "${redis_options[@]}"
      ;;
  esac
}

# Whether NAME sends something: a MySQL its greeting, a Redis its answer.
answers() {
  (
    exec 3<>"/dev/tcp/127.0.0.1/${port[$1]}"
    if [ "$1" = redis ]; then printf 'PING\r\n' >&3; fi
    IFS= read -r -t 2 -n 5 -u 3 _
  ) 2>/dev/null
}

# The log is asked first, because only it tells this server from another that
# has just taken its port.
is_ready() {
  if [ -z "${container[$1]:-}" ]; then
    grep -qiE 'ready (for|to accept) connections' "$work/$1.log" || return 1
  fi
  answers "$1"
}

is_alive() {
  if [ -n "${container[$1]:-}" ]; then
    [ "$(docker inspect --format '{{.State.Running}}' "${container[$1]}")" = true ]
  else
    kill -0 "${pid[$1]}" 2>/dev/null
  fi
}

await() {
  local name=$1 deadline=$((SECONDS + 120)) lost=0
  until is_ready "$name"; do
    if ! is_alive "$name"; then
      if grep -qsi 'address already in use' "$work/$name.log" && ((lost++ < 5)); then
        say "another process took port ${port[$name]}; starting $name on another"
        launch "$name"
        continue
      fi
      say "$name ended while starting:"
      show_log "$name"
      exit 1
    fi
    if ((SECONDS >= deadline)); then
      say "$name is not ready after 120 s:"
      show_log "$name"
      exit 1
    fi
    sleep 0.1
  done
  say "$(version "$name") (${origin[$name]}) on port ${port[$name]}"
}

# From "mysqld  Ver 9.7.0 for Linux" or "Redis server v=7.0.15 sha=".
version() {
  local title run=("${program[$1]}")
  case $1 in
    mysql)
      title=MySQL
      if [ -n "$mysql_root" ]; then run=(chroot "$mysql_root" "${run[@]}"); fi
      ;;
    mariadb) title=MariaDB ;;
    redis) title=Redis ;;
  esac
  if [ "${run[0]}" = docker ]; then
    echo "$title"
  else
    "${run[@]}" --version | sed -nE "s/.*(Ver |v=)([^ ]+).*/$title \2/p"
  fi
}
