# Debian's maintainer script makes the cache of the packages' database; here it is made for a copy.
cp -r /var/lib/ghc/package.conf.d db || exit
ghc-pkg --package-db=$PWD/db recache || exit
packages="-clear-package-db -package-db $PWD/db"
ghc -v0 $packages -O1 -threaded -rtsopts Main.hs -o main || exit
# Several capabilities are not to be had on MIPS.
case $(uname -m) in mips*) several= ;; *) several=-N4 ;; esac
./main +RTS $several -A1m; echo $?
echo 'print (sum [x * x | x <- [1 .. 100]]) >> mapM_ putStrLn (words "from the interpreter")' | ghci -v0 $packages 2>&1
