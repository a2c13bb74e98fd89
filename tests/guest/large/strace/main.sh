# (Not -c: strace 6.13 crashes where a system call without a name, riscv_hwprobe to it, has been counted.)
gcc -O1 -w -pthread main.c -o main || exit
strace -f -e trace=write,read,openat,pipe2,execve,wait4,exit_group -e signal=all -o log ./main; echo "status $?"
grep -o 'openat(AT_FDCWD, "no/such/file", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)' log
grep -oE 'write\([0-9]+, "piped\\n\\1", 7\) *= 7|write\(1, "thread\\n", 7\) *= 7|write\(-1, "x", 1\) *= -1 EBADF .*' log
grep -oE 'execve\("/usr/bin/true", \["true", "argument"\]' log
grep -oE -- '--- SIG(USR1|CHLD) \{si_signo=SIG[A-Z0-9]*, si_code=[A-Z_]*' log
grep -oE 'exit_group\([0-9]*\)|\+\+\+ exited with [0-9]* \+\+\+' log
sleep 1000 & sleep 0.3
timeout -s INT 2 strace -p $! -o log; echo "attached, $?"; kill $!; wait $! 2> /dev/null; echo $?
strace -e inject=write:error=ENOSPC:when=1 -o log sh -c 'echo never; echo then' 2>&1; echo $?
grep -o 'write(1, "never.*' log
