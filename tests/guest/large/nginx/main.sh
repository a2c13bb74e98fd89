# Two workers; the client is a program of the host. A reload in between: the old workers end, the new ones go on.
PATH=/usr/sbin:$PATH
echo $PORT > port
mkdir -p html logs temp
for i in $(seq 2000); do echo "line $i of a file that nginx sends"; done > html/large.txt
printf 'hello from nginx\n' > html/index.html
cat > nginx.conf <<END
daemon off;
master_process on;
worker_processes 2;
pid $PWD/nginx.pid;
error_log $PWD/logs/error.log notice;
events { worker_connections 200; }
http {
  access_log $PWD/logs/access.log;
  client_body_temp_path $PWD/temp/body; proxy_temp_path $PWD/temp/proxy; fastcgi_temp_path $PWD/temp/fastcgi;
  uwsgi_temp_path $PWD/temp/uwsgi; scgi_temp_path $PWD/temp/scgi;
  sendfile on; tcp_nopush on; keepalive_requests 1000;
  gzip on; gzip_types text/plain; gzip_min_length 1000;
  server {
    listen 127.0.0.1:$PORT;
    root $PWD/html;
    location /computed { return 200 "\$request_uri \$remote_addr\n"; }
    location /proxy/ { proxy_pass http://127.0.0.1:$PORT/; }
    location /moved { return 301 /index.html; }
  }
}
END
[ "$(id -u)" != 0 ] || sed -i '1i user root root;' nginx.conf
nginx -e $PWD/logs/error.log -t -q -c $PWD/nginx.conf -p $PWD || exit
nginx -e $PWD/logs/error.log -c $PWD/nginx.conf -p $PWD &
server=$!
trap 'kill $server 2> /dev/null' EXIT
until [ -s nginx.pid ]; do sleep 0.1; done
touch started
until [ -e half ]; do sleep 0.2; kill -0 $server || exit; done
kill -HUP $server
until grep -q 'worker process .* exited with code 0' logs/error.log; do sleep 0.2; done
touch reloaded
until [ -e done ]; do sleep 0.2; kill -0 $server || exit; done
cat done
kill -QUIT $server
wait $server; echo "ended with $?"
echo "logged $(wc -l < logs/access.log), not 200: $(grep -vc ' 200 ' logs/access.log)"
grep -E '\[(alert|crit|emerg)\]' logs/error.log | wc -l
