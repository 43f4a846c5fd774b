# shellcheck shell=bash
# shellcheck disable=SC2154 # shares its variables with with-servers
# MySQL Group Replication: three members, one primary, and HAProxy, which follows it. Sourced by with-servers.

group_members=(db-1 db-2 db-3)

find_group_replication() { find_mysql; }

start_group_replication() {
  local name number=11 address seeds='' hosts=()
  make_mysql_template
  for name in "${group_members[@]}"; do
    seeds+=${seeds:+,}$network.$number:33061
    hosts+=("$name=$network.$number:3306")
    number=$((number + 1))
  done
  number=11
  for name in "${group_members[@]}"; do
    add_host "$name" "$number"
    add_mysql "$name" "$network.$number" --plugin-load-add='group_replication.so;mysql_clone.so' \
      --group-replication-group-name=6a6f622d-6167-656e-742d-67726f757031 \
      --group-replication-local-address="$network.$number:33061" \
      --group-replication-group-seeds="$seeds" \
      --group-replication-start-on-boot=OFF \
      "${group_options[@]}"
    number=$((number + 1))
  done
  form_group
  add_balancer group-replication haproxy-group-replication.cfg "${hosts[@]}"
  if [ -n "${TEST_CARELESS_BALANCER:-}" ]; then
    add_balancer group-replication-careless haproxy-group-replication.cfg "${hosts[@]}"
  fi
  address=127.0.0.1:${port[group-replication]}
  await_sql "$address"
  export TEST_GROUP_REPLICATION_URL=mysql://root@$address
  say "group replication behind port ${port[group-replication]}"
}

# The reasons are in docs/operate.md, "A group of MySQL servers".
group_options=(
  --group-replication-single-primary-mode=ON
  --group-replication-consistency=BEFORE_ON_PRIMARY_FAILOVER
  --group-replication-member-expel-timeout=0
  --group-replication-unreachable-majority-timeout=5
  --group-replication-exit-state-action=OFFLINE_MODE
  --group-replication-autorejoin-tries=3
  --group-replication-recovery-get-public-key=ON
  --group-replication-recovery-reconnect-interval=1
)

# The first member begins the group, and the others join it.
form_group() {
  local name first=${group_members[0]}
  for name in "${group_members[@]}"; do
    await_log "$name" 'ready for connections.*port: 3306'
    sql "$(<"$processes/$name/address")" "
      CHANGE REPLICATION SOURCE TO SOURCE_USER = 'replication', SOURCE_PASSWORD = 'secret'
        FOR CHANNEL 'group_replication_recovery';
      SET GLOBAL group_replication_bootstrap_group = '$name' = '$first';
      START GROUP_REPLICATION;
      SET GLOBAL group_replication_bootstrap_group = OFF"
    # When it is started again, it joins the group by itself.
    sed -i 's/start-on-boot=OFF/start-on-boot=ON/' "$processes/$name/run"
  done
}
