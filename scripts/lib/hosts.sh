# shellcheck shell=bash
# shellcheck disable=SC2154 # shares its variables with with-servers
# Replicated engines on this machine: hosts are network namespaces on a bridge, so that a host can be cut off from the
# others, from its clients, or from both. Needs root on Debian. Sourced by with-servers.
#
# Each process is a folder of $processes, with which a campaign kills it and starts it again:
#   run       starts it, with further arguments if there are any
#   pid       of the process that was started last
#   address   HOST:PORT
#   namespace the network namespace of its host; none for a balancer
#   log       its output

processes=$work/processes

install_for_hosts() {
  [ "$(id -u)" = 0 ] && can_apt_install || die "--topology needs root on Debian: it makes network namespaces"
  local packages=() program
  for program in haproxy:haproxy nft:nftables ip:iproute2; do
    command -v "${program%%:*}" >/dev/null || packages+=("${program##*:}")
  done
  if [ ${#packages[@]} -gt 0 ]; then apt_install "${packages[@]}"; fi
}

# The bridge has the first address of a subnet that this machine does not use.
add_network() {
  local third
  bridge=ja$$
  for third in {1..254}; do
    network=10.77.$third
    if [ -z "$(ip route show "$network.0/24")" ]; then break; fi
  done
  ip link add "$bridge" type bridge
  undo+=("ip link del $bridge")
  ip addr add "$network.1/24" dev "$bridge"
  ip link set "$bridge" up
  mkdir -m 755 "$processes"
  export TEST_PROCESSES=$processes
}

# add_host NAME NUMBER: reached as $network.NUMBER.
add_host() {
  local space=$bridge-$1 link=$bridge-$2
  ip netns add "$space"
  undo+=("ip netns del $space")
  ip link add "$link" type veth peer name eth0 netns "$space"
  ip link set "$link" master "$bridge" up
  ip -n "$space" addr add "$network.$2/24" dev eth0
  ip -n "$space" link set eth0 up
  ip -n "$space" link set lo up
}

# add_process NAME ADDRESS HOST COMMAND [ARG...]: HOST may be empty: this machine itself.
add_process() {
  local name=$1 address=$2 host=$3 enter=()
  local dir=$processes/$name
  shift 3
  mkdir "$dir"
  echo "$address" >"$dir/address"
  if [ -n "$host" ]; then
    echo "$bridge-$host" >"$dir/namespace"
    enter=(nsenter --net="/run/netns/$bridge-$host")
  fi
  {
    echo '#!/bin/bash'
    echo "echo \$\$ >$dir/pid"
    echo "exec >>$dir/log 2>&1 </dev/null"
    echo 'ulimit -n 10000'
    printf '%q ' exec "${enter[@]}" "$@"
    echo '"$@"'
  } >"$dir/run"
  chmod +x "$dir/run"
  setsid "$dir/run" &
  pid[$name]=$!
}

# await_log NAME TEXT: until its log has the text.
await_log() {
  local name=$1 deadline=$((SECONDS + 60))
  until grep -qE "$2" "$processes/$name/log" 2>/dev/null; do
    if ((SECONDS >= deadline)) || ! kill -0 "${pid[$name]}" 2>/dev/null; then
      say "$name does not start:"
      tail -n 60 "$processes/$name/log" >&2
      exit 1
    fi
    sleep 0.1
  done
}

# add_balancer NAME FILE HOST=ADDRESS...: HAProxy with a file of deploy/database, on a free port. The file has the hosts
# by name. One whose name ends in "careless" is such as others may have: its check believes a primary that was stopped, and
# connections to a former primary stay.
add_balancer() {
  local name=$1 file=$lib/../../deploy/database/$2 replace=() pair
  shift 2
  port[$name]=$(free_port)
  if [[ $name == *careless ]]; then
    # As many bytes as before.
    replace+=(-e 's/FROM haproxy.nothing)/FROM DUAL WHERE 1= 0)/' -e 's/ on-marked-down shutdown-sessions//')
  fi
  for pair in "$@"; do replace+=(-e "s/ ${pair%%=*}:[0-9]*/ ${pair#*=}/"); done
  sed "${replace[@]}" -e "s/bind :[0-9]*/bind 127.0.0.1:${port[$name]}/" "$file" >"$work/$name.cfg"
  add_process "$name" "127.0.0.1:${port[$name]}" '' "${tied[@]}" haproxy -db -f "$work/$name.cfg"
}

# Whether a MySQL or MariaDB answers a query at this address, or through a balancer.
answers_sql() { sql "$1" 'SELECT 1' >/dev/null 2>&1; }

# await_sql ADDRESS
await_sql() {
  local deadline=$((SECONDS + 60))
  until answers_sql "$1"; do
    ((SECONDS < deadline)) || die "no database answers at $1"
    sleep 0.2
  done
}

# sql ADDRESS STATEMENTS, as root.
sql() { "${sql_client[@]}" --host="${1%:*}" --port="${1#*:}" --user=root --skip-column-names --batch --execute="$2"; }
