# The guest's gdb by itself, then gdb with gdbserver over the loopback interface; the program dies at last.
gcc -g -O0 -pthread main.c -o main || exit
clean() {
  sed -nE 's/0x[0-9a-f]{5,}/ADDR/g; s/\(LWP [0-9]+\)|Thread [^ ]+ /THREAD /g; /^(Breakpoint|Hardware|Watch|#|\$|Old|New val|result|id =|Run till|Value|Program|\[Inferior|[0-9]+\t|main|thread|fact)/p' "$1"
}
echo run one > start; grep -v '^continue$' commands | head -n 0
{ echo 'set startup-with-shell off'; sed '0,/^continue$/s//run one/' commands; } > own
gdb -nx -batch -x own ./main > out 2> err; echo "gdb $?"
grep -vE '^warning|^Error while|^$' out > seen; cat seen
gdbserver --once 127.0.0.1:$PORT ./main two fault > server.out 2> server.err &
until grep -q Listening server.err; do sleep 0.2; kill -0 $! || break; done
{ echo "target remote 127.0.0.1:$PORT"; cat commands; } > remote
gdb -nx -batch -x remote ./main > out 2> err; echo "gdb $?"
cat out; wait; cat server.out
