# Byte code and native code.
ocamlopt -version > /dev/null || exit
ocamlopt -w -a main.ml -o native || exit
ocamlc -w -a main.ml -o bytes || exit
./native > 1; echo $?
./bytes > 2; echo $?
cat 1; cmp 1 2
echo 'let rec f n = if n = 0 then 1 else n * f (n - 1);; Printf.printf "%d\n" (f 15);;' > script.ml
ocaml script.ml
