# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034 # shares its variables with with-servers
# MySQL with semi-synchronous replication: a primary, two replicas, and HAProxy, which follows the server that may be
# written. Sourced by with-servers.

find_semi_sync() { find_mysql; }

# A commit is acknowledged once a replica has it, and waits as long as that takes.
start_semi_sync() {
  start_replicas semi-sync --plugin-load-add='semisync_source.so;semisync_replica.so;mysql_clone.so' \
    --rpl-semi-sync-source-wait-point=AFTER_SYNC --rpl-semi-sync-source-wait-for-replica-count=1 \
    --rpl-semi-sync-source-timeout=4294967295 --rpl-semi-sync-replica-enabled=ON
  export TEST_SEMI_SYNC_URL=mysql://root@127.0.0.1:${port[semi-sync]}
}

# start_replicas NAME OPTION...
start_replicas() {
  local topology=$1 number name hosts=() addresses=()
  shift
  make_mysql_template
  for number in 1 2 3; do
    name=db-$number
    add_host "$name" "1$number"
    hosts+=("$name=$network.1$number:3306")
    addresses+=("$network.1$number")
    # A server that starts again after a crash is no primary before an operator says so.
    add_mysql "$name" "$network.1$number" --super-read-only=ON --relay-log=relay --relay-log-recovery=ON "$@"
  done
  for number in 1 2 3; do await_log "db-$number" 'ready for connections.*port: 3306'; done
  export TEST_MYSQL_CLIENT="${sql_client[*]}"
  run_stoppable env MYSQL="$TEST_MYSQL_CLIENT" "$lib/../../deploy/database/failover" begin "${addresses[@]}"
  add_balancer "$topology" haproxy-replicas.cfg "${hosts[@]}"
  await_sql "127.0.0.1:${port[$topology]}"
  say "$topology replication behind port ${port[$topology]}"
}
