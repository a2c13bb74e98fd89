rustc --edition 2021 -O -C codegen-units=2 main.rs -o fast || exit
rustc --edition 2021 -g main.rs -o checked || exit
./fast > 1; echo $?
./checked > 2; echo $?
cat 1
cmp 1 2
