# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034 # shares its variables with with-servers
# Redis with Sentinel: a primary, two replicas, and a sentinel on each of their hosts. Sourced by with-servers.

find_sentinel() { find_redis; }

start_sentinel() {
  local number name ip first=$network.21 sentinels=''
  # It goes by its name.
  ln -s "$(readlink -f "${program[redis]}")" "$work/redis-sentinel"
  for number in 1 2 3; do
    name=redis-$number ip=$network.2$number
    add_host "$name" "2$number"
    make_folder "$name"
    add_redis "$name" "$ip" "$first"
    cat >"${folder[$name]}/sentinel.conf" <<CONF
sentinel monitor job-agent $first 6379 2
sentinel down-after-milliseconds job-agent 1000
sentinel failover-timeout job-agent 5000
sentinel parallel-syncs job-agent 2
CONF
    chown "$nobody" "${folder[$name]}/sentinel.conf"
    add_process "sentinel-$number" "$ip:26379" "$name" "${tied[@]}" "$work/redis-sentinel" \
      "${folder[$name]}/sentinel.conf" --bind "$ip" --port 26379 --dir "${folder[$name]}" \
      --protected-mode no --sentinel resolve-hostnames no
    sentinels+=${sentinels:+,}$ip:26379
  done
  for number in 1 2 3; do await_log "sentinel-$number" '\+slave .*2[23] '; done
  export TEST_SENTINELS=$sentinels TEST_SENTINEL_MASTER=job-agent
  say "Redis with sentinels at $sentinels"
}

# add_redis NAME HOST-ADDRESS PRIMARY-ADDRESS. Sentinel writes down in the file which of them is the primary.
add_redis() {
  local name=$1 ip=$2 config=${folder[$1]}/redis.conf
  if [ "$ip" != "$3" ]; then echo "replicaof $3 6379" >"$config"; else : >"$config"; fi
  chown "$nobody" "$config"
  add_process "$name" "$ip:6379" "$name" "${tied[@]}" "${program[redis]}" "$config" \
    --bind "$ip" --port 6379 --dir "${folder[$name]}" --protected-mode no "${redis_options[@]}"
  await_log "$name" 'Ready to accept connections'
}
