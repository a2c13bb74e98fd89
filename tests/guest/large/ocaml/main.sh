# Byte code, and native code where OCaml has it (not on MIPS).
ocamlc -w -a main.ml -o bytes || exit
./bytes > 1; echo $?
cat 1
if command -v ocamlopt > 1; then
  ocamlopt -w -a main.ml -o native || exit
  ./native | cmp - <(./bytes) && echo native code does the same
fi
echo 'let rec f n = if n = 0 then 1 else n * f (n - 1);; Printf.printf "%d\n" (f 15);;' > script.ml
ocaml script.ml
