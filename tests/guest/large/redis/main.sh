# 100 000 requests in all by 50 clients; persistence by snapshot and by log, with an orderly restart and one after kill -9.
start() {
  redis-server --port $PORT --bind 127.0.0.1 --dir $PWD --daemonize no --appendonly yes --appendfsync always --save 3600 1 --loglevel warning > log 2>&1 &
  server=$!
  until redis-cli -p $PORT ping 2> /dev/null | grep -q PONG; do sleep 0.2; kill -0 $server || { cat log; exit 1; }; done
}
r() { redis-cli -p $PORT "$@"; }
trap 'kill -9 $server 2> /dev/null' EXIT

start
redis-benchmark -p $PORT -c 50 -n 20000 -r 10000 -d 32 -q -t set,get,incr,lpush,zadd > bench || { cat bench; exit 1; }
tr '\r' '\n' < bench | grep -c 'requests per second'
r info commandstats | tr -d '\r' | sed -nE 's/^cmdstat_(set|get|incr|lpush|zadd):calls=([0-9]+),.*failed_calls=([0-9]+).*/\1 \2 \3/p' | sort
r llen mylist
redis-benchmark -p $PORT -c 10 -P 16 -n 16000 -q eval 'return redis.call("incrby", KEYS[1], ARGV[1])' 1 scripted 3 > /dev/null || exit
r get scripted
r eval 'local s = 0; for i = 1, 100000 do s = (s * 31 + i) % 1000003 end; return s' 0
for i in $(seq 200); do echo "SET key:$i value:$((i * i))"; echo "RPUSH list $i"; echo "HSET hash $i $((i * 7))"; done | r > replies
sort replies | uniq -c | awk '$2 == "OK" { print $1, $2 }'
keys=$(r dbsize) digest=$(r debug digest 2>&1)
sum() { r --raw eval 'local s = 0; for _, k in ipairs(redis.call("keys", "key:?*")) do local v = redis.call("get", k); for i = 1, #v do s = (s + #k * v:byte(i)) % 1000003 end end; return s' 0; }
before="$keys $(sum) $(r llen mylist) $(r zcard myzset) $(r get scripted)"

r bgsave > /dev/null
until r info persistence | grep -q rdb_bgsave_in_progress:0; do sleep 0.2; done
r info persistence | tr -d '\r' | grep rdb_last_bgsave_status
r shutdown save
wait $server; echo "shut down: $?"
start
[ "$before" = "$(r dbsize) $(sum) $(r llen mylist) $(r zcard myzset) $(r get scripted)" ] && echo the same after a restart
r set last written
r bgrewriteaof > /dev/null
until r info persistence | grep -q aof_rewrite_in_progress:0; do sleep 0.2; done
r info persistence | tr -d '\r' | grep aof_last_bgrewrite_status
r incr scripted
kill -9 $server
wait $server 2> /dev/null; echo "killed: $?"
start
r get last; r get scripted; r dbsize | awk -v keys=$keys '{ print $1 - keys }'
r hget hash 200; r lrange list 198 -1; r get key:200
timeout 20 redis-cli -p $PORT --raw blpop nothing 1; echo $?
redis-check-rdb dump.rdb > check 2>&1 && grep -c 'RDB looks OK' check
r shutdown nosave; wait $server; echo "shut down: $?"
