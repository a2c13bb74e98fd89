# (Threads are locked where all would be stepped: gdb 16 puts the breakpoint behind another thread's RISC-V system call at a wrong place.)
# (After a step by instructions gdb shows the line where a part of it begins: on mipsel the two steps lead to one, by its line table.)
# The guest's gdb by itself, then with gdbserver over the loopback interface; the second program dies of its fault.
gcc -g -O0 -pthread main.c -o main || exit
# What gdb says of processes, addresses and files that are not there is left out.
clean() {
  sed -nE 's/0x[0-9a-f]{3,}/ADDR/g; s/(Thread|LWP) [0-9A-Zax.]+/\1/g; s/ \((Thread|LWP)\)//; s/^\* //; s/^ +//; s/process [0-9]+/process/
    s/(hit [A-Za-z ]+ [0-9]+).*/\1/
    /^(Temporary|Breakpoint|Watchpoint|Hardware|Thread .*(hit|received)|#[0-9] .*(fact|main|thread) \(|\$|Old|New|result|Program|\[Inferior|[0-9]+\t|[0-9] .*Thread.* thread \()/p' |
    sed -E 's/^Hardware w/W/; s/, main \(/, ADDR in main (/; s/(#[0-9]+ +)ADDR in /\1/'
}
sed '0,/^continue$/s//run one > own.out/' commands > own
gdb -nx -batch -x own ./main > out 2> err; echo "gdb $?"
clean < out; cat own.out
gdbserver --once 127.0.0.1:$PORT ./main two fault > server.out 2> server.err &
until grep -q Listening server.err; do sleep 0.2; kill -0 $! || break; done
{ echo "target remote 127.0.0.1:$PORT"; cat commands; echo backtrace; echo kill; } > remote
gdb -nx -batch -x remote ./main > out 2> err; echo "gdb $?"
clean < out; wait; cat server.out
