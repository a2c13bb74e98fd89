# Two programs from their sources: Lua, all of it in parallel; GNU hello with the configure script that many programs have.
cp -a $SOURCES/lua5.4 lua && cp -a $SOURCES/hello hello || exit
cd lua
make -j2 MYCFLAGS=-fno-strict-aliasing linux > ../log 2>&1 || { tail -n 20 ../log; exit 1; }
ls src/*.o | wc -l
make -q linux > ../log 2>&1; make -C src -n echo | grep -c 'CC='
touch src/lvm.c
make linux | grep -c -- '-c -o'
src/luac -o ../p.luac - <<'END'
local t, s = {}, 0
for i = 1, 200000 do t[i % 1000 + 1] = (t[i % 1000 + 1] or 0) + i // 3 end
for _, v in ipairs(t) do s = s ~ v end
print(_VERSION, #t, s, ("x"):rep(3, "-"), select("#", table.unpack(t, 1, 200)), 7.0 / 2, math.type(2^53), 1 << 62)
local co = coroutine.wrap(function(...) for i = 1, 3 do coroutine.yield(i, ...) end error({ code = 9 }) end)
print(co("a"), co(), co(), select(2, pcall(co)).code)
print(string.format("%q %5.2f %x", "a\nb", 3.14159, 255), ("k=v, x=y"):gsub("(%w)=(%w)", "%2=%1"))
END
src/lua ../p.luac
cd ../hello
# (Its config.guess is older than RISC-V.)
./configure --prefix=/usr --build=$(gcc -dumpmachine) > ../log 2>&1 || { tail -n 20 ../log config.log; exit 1; }
make -j2 > ../log 2>&1 || { tail -n 20 ../log; exit 1; }
./hello; ./hello -g 'Built in the guest'; ./hello --version | sed 1q | sed 's/ [0-9.]*$//'
make -j2 check > ../log 2>&1 || tail -n 20 ../log
grep -E '^# (TOTAL|PASS|FAIL|ERROR)' ../log
make -j2 install DESTDIR=$PWD/../there > ../log 2>&1 || { tail -n 20 ../log; exit 1; }
(cd ../there && find . -name 'hello*' | sort)
