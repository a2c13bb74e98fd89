# The packages' database lies as Debian's packages have it, without the cache that its maintainer script would make.
lib=$(echo /usr/lib/ghc/lib /usr/lib/ghc | tr ' ' '\n' | while read -r d; do [ -d $d/package.conf.d ] && echo $d && break; done)
ghc --version | tr -d '0-9.'
if [ ! -e $lib/package.conf.d/package.cache ]; then ghc-pkg recache --global 2> /dev/null || { cp -r /var/lib/ghc/package.conf.d db; }; fi
ghc -v0 -O1 -threaded -rtsopts Main.hs -o main || exit
./main +RTS -N4 -A1m; echo $?
echo 'print (sum [x * x | x <- [1 .. 100]]) >> mapM_ putStrLn (words "from the interpreter")' | ghci -v0 2>&1
