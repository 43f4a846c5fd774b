# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034,SC2317 # shares its variables with with-servers
# Where each server comes from: these set origin and program, of which "docker"
# means a container. Sourced by with-servers.

# The server itself, as an unprivileged user (mysqld and mariadbd refuse root),
# which the kernel kills should this script be killed with SIGKILL.
tied=(setpriv --pdeathsig KILL)
nobody=65534
if [ "$(id -u)" = 0 ]; then
  tied+=(--reuid "$nobody" --regid "$nobody" --clear-groups)
fi

is_real_mysql() { # MariaDB installs a "mysqld" too
  command -v mysqld >/dev/null && ! mysqld --version | grep -qi mariadb
}

mysql_root='' # the root of mysqld's file system
find_mysql() {
  local sid=${TEST_MYSQL_ROOT:-${XDG_CACHE_HOME:-~/.cache}/job-agent/mysql-sid}
  if is_real_mysql; then
    program[mysql]=$(command -v mysqld) origin[mysql]=${program[mysql]}
  elif can_apt_install && { [ -x "$sid/usr/sbin/mysqld" ] || build_mysql_sid "$sid"; }; then
    program[mysql]=/usr/sbin/mysqld origin[mysql]="Debian sid in $sid" mysql_root=$sid
  elif docker_runs; then
    program[mysql]=docker
  elif can_apt_install && wants mariadb; then
    say "************************************************************************"
    say "WARNING: this machine cannot get MySQL. Going on with MariaDB alone:"
    say "tests that need a real MySQL are SKIPPED (TEST_MYSQL_UNAVAILABLE=1)."
    say "************************************************************************"
    export TEST_MYSQL_UNAVAILABLE=1
    wanted=${wanted/mysql/}
  else
    die "no MySQL: install mysqld (the MySQL server, 8.4 or later), start Docker, or run this as root on Debian"
  fi
}

# mariadb-install-db needs my_print_defaults, which Debian has in client-core.
has_mariadb() {
  command -v mariadbd && command -v mariadb-install-db && command -v my_print_defaults
}

find_mariadb() {
  if has_mariadb >/dev/null; then
    program[mariadb]=$(command -v mariadbd) origin[mariadb]=${program[mariadb]}
  elif can_apt_install && apt_install mariadb-server-core mariadb-client-core; then
    program[mariadb]=$(command -v mariadbd) origin[mariadb]='Debian package mariadb-server-core'
  elif docker_runs; then
    program[mariadb]=docker
  else
    die "no MariaDB: install mariadbd (the MariaDB server), start Docker, or run this as root on Debian"
  fi
}

# Debian's package redis-server starts a system service, so only redis-tools is
# installed: its redis-check-rdb is the same program, which goes by its name.
redis_from_tools() {
  command -v redis-check-rdb >/dev/null || { can_apt_install && apt_install redis-tools; } || return 1
  ln -s "$(command -v redis-check-rdb)" "$work/redis-server"
  "$work/redis-server" --version | grep -q 'Redis server'
}

find_redis() {
  if command -v redis-server >/dev/null; then
    TEST_REDIS_SERVER=$(command -v redis-server) origin[redis]=$TEST_REDIS_SERVER
    program[redis]=$TEST_REDIS_SERVER
  elif redis_from_tools; then
    TEST_REDIS_SERVER=$work/redis-server origin[redis]='package redis-tools'
    program[redis]=$TEST_REDIS_SERVER
  elif docker_runs; then
    TEST_REDIS_SERVER=$work/redis-server-in-docker program[redis]=docker
    docker_redis_program "$TEST_REDIS_SERVER"
  else
    die "no Redis: install redis-server, start Docker, or run this as root on Debian"
  fi
  export TEST_REDIS_SERVER
}
