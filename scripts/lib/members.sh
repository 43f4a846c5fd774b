# shellcheck shell=bash
# shellcheck disable=SC2154 # shares its variables with with-servers
# MySQL servers as hosts of a topology. Sourced by with-servers.

# Every acknowledged commit survives the end of a process. Nothing is flushed to the disk, which nobody unplugs here.
member_options=(
  --max-connections=600 --innodb-buffer-pool-size=128M --mysqlx=OFF --secure-file-priv=NULL --skip-name-resolve
  --innodb-flush-log-at-trx-commit=1 --sync-binlog=1 --innodb-flush-method=nosync
  --log-bin=binlog --gtid-mode=ON --enforce-gtid-consistency=ON
)

# One data folder is initialised, and every member begins with a copy.
make_mysql_template() {
  if [ -n "${folder[template]:-}" ]; then return; fi
  [ "${program[mysql]}" != docker ] || die "--topology needs MySQL's packages, not its container"
  make_folder template "$mysql_root"
  cat >"$mysql_root${folder[template]}/accounts.sql" <<'SQL'
CREATE USER root@'%';
GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;
CREATE USER replication@'%' IDENTIFIED BY 'secret';
GRANT REPLICATION SLAVE, CONNECTION_ADMIN, BACKUP_ADMIN, CLONE_ADMIN, GROUP_REPLICATION_STREAM ON *.* TO replication@'%';
CREATE USER haproxy@'%';
GRANT SELECT ON performance_schema.replication_group_members TO haproxy@'%';
CREATE DATABASE haproxy;
CREATE TABLE haproxy.nothing (id INT PRIMARY KEY);
GRANT SELECT ON haproxy.nothing TO haproxy@'%';
SQL
  spawn mysql "${program[mysql]}" --no-defaults --initialize-insecure --datadir="${folder[template]}/data" \
    --init-file="${folder[template]}/accounts.sql" "${member_options[@]}" --skip-log-bin
  wait "${pid[mysql]}" || { say "could not initialise mysql:"; show_log mysql; exit 1; }
  unset 'pid[mysql]'
  rm "$mysql_root${folder[template]}/data/auto.cnf"
  sql_client=(mysql --no-defaults)
  if [ -n "$mysql_root" ]; then sql_client=(chroot "$mysql_root" "${sql_client[@]}"); fi
}

# add_mysql NAME HOST-ADDRESS OPTION...: on the host of the same name.
add_mysql() {
  local name=$1 ip=$2 dir root=()
  shift 2
  make_folder "$name" "$mysql_root"
  dir=${folder[$name]}
  cp -a "$mysql_root${folder[template]}/data" "$mysql_root$dir/data"
  if [ -n "$mysql_root" ]; then root=(chroot "$mysql_root"); fi
  add_process "$name" "$ip:3306" "$name" "${root[@]}" "${tied[@]}" "${program[mysql]}" --no-defaults \
    --datadir="$dir/data" --socket="$dir/socket" --pid-file="$dir/pid" --tmpdir="$dir" \
    --bind-address="$ip" --port=3306 --report-host="$ip" --server-id="${ip##*.}" "${member_options[@]}" "$@"
}
