# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034,SC2004,SC2317 # shares its variables with with-servers
# Servers in Docker containers, where no programs for them can be installed.
# Sourced by with-servers, which removes ${container[@]} at the end.

docker_runs() {
  command -v docker >/dev/null && docker info >/dev/null 2>&1
}

# docker_server NAME INNER_PORT [DOCKER_OPTION...] -- IMAGE [ARG...]
docker_server() {
  local name=$1 inner=$2 options=()
  shift 2
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  shift
  container[$name]=job-agent-$name-${work##*.}
  run_stoppable docker run --detach --name "${container[$name]}" \
    --publish "127.0.0.1::$inner" "${options[@]}" "$@" >/dev/null
  port[$name]=$(docker port "${container[$name]}" "$inner/tcp" | sed -n '1s/.*://p')
}

# Writes a program to FILE that stands in for redis-server: a container with
# the host's network and /tmp, which goes when the program goes, even by kill -9.
docker_redis_program() {
  cat >"$1" <<'PROGRAM'
#!/usr/bin/env bash
name=job-agent-redis-$$-$RANDOM
( while kill -0 $$ 2>/dev/null; do sleep 0.1; done
  docker rm --force --volumes "$name" ) >/dev/null 2>&1 </dev/null &
# Not by the image's own entrypoint, which gives folders away to its own user.
exec docker run --rm --name "$name" --network host --volume /tmp:/tmp \
  --user "$(id -u):$(id -g)" --entrypoint redis-server redis:7-alpine "$@"
PROGRAM
  chmod +x "$1"
}

launch_mysql_in_docker() {
  origin[mysql]='Docker image mysql:9.7'
  write_accounts "$work/accounts.sql"
  docker_server mysql 3306 --env MYSQL_ALLOW_EMPTY_PASSWORD=yes \
    --volume "$work/accounts.sql:/docker-entrypoint-initdb.d/accounts.sql:ro" \
    -- mysql:9.7 "${mysql_options[@]}"
}

launch_mariadb_in_docker() {
  origin[mariadb]='Docker image mariadb:11'
  docker_server mariadb 3306 --env MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=yes \
    -- mariadb:11 "${mariadb_options[@]}"
}

launch_redis_in_docker() {
  origin[redis]='Docker image redis:7-alpine'
  docker_server redis 6379 -- redis:7-alpine redis-server "${redis_options[@]}"
}
