# initdb, pgbench for a minute with four clients, and what is in the tables then, also after a restart and after a crash.
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
export PGHOST=$PWD PGUSER=postgres PGDATABASE=postgres PGDATA=$PWD/data PGPORT=$PORT
initdb -U postgres -A trust --locale=C.UTF-8 --no-sync > log || { cat log; exit 1; }
cat >> data/postgresql.conf <<END
listen_addresses = ''
unix_socket_directories = '$PWD'
shared_buffers = 16MB
max_connections = 20
max_parallel_workers_per_gather = 2
min_parallel_table_scan_size = 0
parallel_setup_cost = 0
parallel_tuple_cost = 0
END
trap 'pg_ctl -m immediate stop > /dev/null 2>&1' EXIT
start() { pg_ctl -w -t 120 -l server.log start > log || { cat log server.log; exit 1; }; }
query() { psql -XAtq -v ON_ERROR_STOP=1 "$@"; }
start
pgbench -i -s 1 -q > log 2>&1 || { cat log; exit 1; }
pgbench -c 4 -j 2 -T 60 > bench 2> log || { cat log server.log; exit 1; }
grep -E '^(scaling|number of (clients|failed))' bench
done=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' bench)
[ "$done" -gt 100 ] && echo enough transactions

check() {
  query -v done=$done <<'END'
select count(*) = :done from pgbench_history;
select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history),
  (select sum(bbalance) from pgbench_branches) = (select sum(delta) from pgbench_history),
  (select sum(tbalance) from pgbench_tellers) = (select sum(delta) from pgbench_history);
select count(*) from pgbench_accounts a where abalance <> coalesce((select sum(delta) from pgbench_history h where h.aid = a.aid), 0)
  and aid in (select aid from pgbench_history limit 100);
END
}
check
query <<'END'
create table words (id serial primary key, word text unique, tags jsonb, at timestamptz default now());
insert into words (word, tags) select 'word ' || n, jsonb_build_object('n', n, 'even', n % 2 = 0) from generate_series(1, 5000) n;
create index on words using gin (tags);
select count(*), sum((tags->>'n')::int) from words where tags @> '{"even": true}';
insert into words (word) values ('word 7') on conflict (word) do update set tags = '{"twice": 1}' returning id, tags;
with recursive fib(a, b, n) as (values (0::numeric, 1::numeric, 1) union all select b, a + b, n + 1 from fib where n < 150) select a from fib order by n desc limit 1;
select md5(string_agg(word, ',' order by id)), percentile_disc(0.5) within group (order by length(word)) from words;
select round(sum(sqrt(aid))::numeric, 3), count(distinct abs(hashint4(aid)) % 1000) from pgbench_accounts;
create function fact(n int) returns numeric language plpgsql as $$ begin if n < 2 then return 1; end if; return n * fact(n - 1); end $$;
select fact(40);
do $$ begin perform 1 / 0; exception when division_by_zero then raise notice 'caught'; end $$;
select to_char(timestamp '2024-02-29 12:00' + interval '1 year 2 months', 'Day DD Mon YYYY'), 'naïve' ~ '^na.ve$', upper('straße');
END
query -c 'explain (costs off) select count(*) from pgbench_accounts' | grep -c Parallel
query -c 'select count(*), sum(aid) from pgbench_accounts'
query -c 'select pg_sleep(100)' > late 2>&1 &
until [ "$(query -c "select count(*) from pg_stat_activity where query like '%sleep(100)' and state = 'active'")" = 1 ] || [ $((tries += 1)) -gt 50 ]; do sleep 0.2; done
query -c "select count(pg_cancel_backend(pid)) from pg_stat_activity where query = 'select pg_sleep(100)'"
wait $!; cat late
pg_ctl -m fast stop > log || { cat log server.log; exit 1; }
echo stopped
start
check
# A crash: the log has to bring back what was committed.
query -c "insert into words (word) values ('kept')"
kill -9 $(head -n 1 data/postmaster.pid)
# Its children notice, and until the last has gone their shared memory is in use.
rm -f data/postmaster.pid
until pg_ctl -w -t 120 -l server.log start > log; do sleep 0.5; [ $((tries += 1)) -lt 100 ] || { cat log server.log; exit 1; }; done
query -c "select count(*) from words where word = 'kept'"
check
grep -c 'database system was not properly shut down' server.log
pg_ctl -m fast stop > log && echo stopped
grep -E 'PANIC|FATAL' server.log | grep -vE 'starting up|still in use|already exists'
exit 0
