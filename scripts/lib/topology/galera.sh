# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034 # shares its variables with with-servers
# MariaDB with Galera: three nodes, and HAProxy: one that leads to one node, and three that each lead to another one.
# TEST_GALERA_ARGS passes options to the nodes. Sourced by with-servers.

galera=/usr/lib/galera/libgalera_smm.so

# Nodes copy data with scripts of Debian's package mariadb-server, which is unpacked only: installing it would start a
# server.
find_galera() {
  local folder tools=${XDG_CACHE_HOME:-~/.cache}/job-agent/tools/galera
  find_mariadb
  [ -e "$galera" ] && command -v rsync >/dev/null || apt_install galera-4 rsync
  if [ ! -d "$tools" ]; then
    folder=$(mktemp -d)
    trash+=("$folder")
    mkdir -p "$tools"
    (cd "$folder" && apt-get -q -o APT::Sandbox::User=root download mariadb-server && dpkg-deb -x mariadb-server_*.deb .) >/dev/null
    cp "$folder"/usr/bin/wsrep_sst_* "$tools"
  fi
  # Where the servers' user can read them.
  cp -r "$tools" "$work/galera"
  chmod -R a+rX "$work/galera"
  PATH=$PATH:$work/galera
}

start_galera() {
  local number name hosts=() addresses='' first
  make_galera_template
  for number in 1 2 3; do
    addresses+=${addresses:+,}$network.1$number
    hosts+=("db-$number=$network.1$number:3306")
  done
  for number in 1 2 3; do
    name=db-$number
    add_host "$name" "1$number"
    add_galera_node "$name" "$network.1$number" "$addresses"
  done
  for first in 0 1 2; do
    name=galera-$((first + 1))
    add_balancer "$name" haproxy-galera.cfg "db-1=${hosts[first]#*=}" "db-2=${hosts[(first + 1) % 3]#*=}" \
      "db-3=${hosts[(first + 2) % 3]#*=}"
    await_sql "127.0.0.1:${port[$name]}"
  done
  export TEST_GALERA_URL=mysql://root@127.0.0.1:${port[galera-1]}
  say "Galera behind port ${port[galera-1]}"
}

galera_options=(
  --max-connections=600 --innodb-buffer-pool-size=128M --skip-name-resolve
  --innodb-flush-log-at-trx-commit=1 --innodb-flush-method=nosync --sync-binlog=1
  --log-bin=binlog --binlog-format=ROW --log-slave-updates --innodb-autoinc-lock-mode=2
  # shellcheck disable=SC2206 # split at blanks
  ${TEST_GALERA_ARGS:-}
)

# A data folder that already belongs to a cluster: nodes begin with copies, and need no whole state transfer.
make_galera_template() {
  local dir
  make_folder template
  dir=${folder[template]}
  spawn mariadb mariadb-install-db --no-defaults --datadir="$dir/data" --auth-root-authentication-method=normal \
    --skip-test-db --force --skip-log-bin
  wait "${pid[mariadb]}" || { say "could not initialise mariadb:"; show_log mariadb; exit 1; }
  cat >"$dir/accounts.sql" <<'SQL'
CREATE USER root@'%';
GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;
CREATE USER haproxy@'%';
SHUTDOWN;
SQL
  spawn mariadb "${program[mariadb]}" --no-defaults --datadir="$dir/data" --socket="$dir/socket" --skip-networking \
    --wsrep-on=ON --wsrep-provider="$galera" --wsrep-new-cluster --wsrep-cluster-address=gcomm:// \
    --wsrep-cluster-name=job-agent --wsrep-node-address=127.0.0.1 "${galera_options[@]}"
  for _ in {1..300}; do
    if mariadb --no-defaults --socket="$dir/socket" --user=root <"$dir/accounts.sql" 2>/dev/null; then break; fi
    sleep 0.1
  done
  wait "${pid[mariadb]}" || { say "could not begin a cluster:"; show_log mariadb; exit 1; }
  unset 'pid[mariadb]'
  sql_client=(mariadb --no-defaults)
}

# add_galera_node NAME HOST-ADDRESS ADDRESSES
add_galera_node() {
  local name=$1 ip=$2 dir
  make_folder "$name"
  dir=${folder[$name]}
  cp -a "${folder[template]}/data" "$dir/data"
  # The first one forms the cluster, with the position that all have.
  local first=()
  if [ "$name" = db-1 ]; then
    sed -i 's/^safe_to_bootstrap:.*/safe_to_bootstrap: 1/' "$dir/data/grastate.dat"
    first=(--wsrep-new-cluster)
  fi
  add_process "$name" "$ip:3306" "$name" "${tied[@]}" "$lib/galera-node" "${program[mariadb]}" --no-defaults \
    --datadir="$dir/data" --socket="$dir/socket" --pid-file="$dir/pid" --tmpdir="$dir" \
    --bind-address="$ip" --port=3306 --report-host="$ip" --server-id="${ip##*.}" \
    --wsrep-on=ON --wsrep-provider="$galera" --wsrep-cluster-address="gcomm://$3" --wsrep-cluster-name=job-agent \
    --wsrep-node-address="$ip" --wsrep-slave-threads=2 --wsrep-sst-method=rsync \
    --wsrep-provider-options='gcache.size=256M;gcache.recover=yes;evs.keepalive_period=PT0.5S;evs.suspect_timeout=PT2S;evs.inactive_timeout=PT4S' \
    "${galera_options[@]}" "${first[@]}"
  await_log "$name" 'ready for connections'
  sed -i 's/ --wsrep-new-cluster//' "$processes/$name/run"
}
