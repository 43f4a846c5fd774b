# shellcheck shell=bash
# shellcheck disable=SC2154,SC1091 # shares its variables with with-servers
# As semi-sync, but commits do not wait for a replica. Sourced by with-servers.

. "$lib/topology/semi-sync.sh"

find_asynchronous() { find_mysql; }

start_asynchronous() {
  start_replicas asynchronous --plugin-load-add='mysql_clone.so'
  export TEST_ASYNCHRONOUS_URL=mysql://root@127.0.0.1:${port[asynchronous]}
}
