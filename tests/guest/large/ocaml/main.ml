module M = Map.Make (Int)
exception Found of int

type tree = Leaf | Node of tree * int * tree

let rec insert x = function
  | Leaf -> Node (Leaf, x, Leaf)
  | Node (l, y, r) as t -> if x < y then Node (insert x l, y, r) else if x > y then Node (l, y, insert x r) else t

let rec fold f a = function Leaf -> a | Node (l, x, r) -> fold f (f (fold f a l) x) r
let rec fib n = if n < 2 then n else fib (n - 1) + fib (n - 2)
let rec deep n = 1 + deep (n + 1)

(* A generator of its own, because the library's differs between versions. *)
let seed = ref 12345
let next () = seed := (!seed * 69069 + 12345) land 0x3fffffff; !seed lsr 8

let () =
  Printf.printf "fib %d\n" (fib 27);
  let t = ref Leaf in
  for _ = 1 to 20_000 do t := insert (next () mod 10_000) !t done;
  Printf.printf "tree %d %d\n" (fold (fun n _ -> n + 1) 0 !t) (fold ( + ) 0 !t);
  let m = ref M.empty in
  for i = 1 to 200_000 do m := M.update (i mod 500) (function None -> Some [i] | Some l -> Some (if List.length l > 5 then [i] else i :: l)) !m done;
  Printf.printf "map %d\n" (M.fold (fun k l n -> (n * 31 + k + List.fold_left ( + ) 0 l) mod 1000003) !m 0);
  (try List.iter (fun x -> if x * x > 50 then raise (Found x)) [1; 5; 9; 2] with Found x -> Printf.printf "found %d\n" x);
  (try print_int (deep 0) with Stack_overflow -> print_endline "stack overflow");
  (try print_int ([|1; 2; 3|].(Array.length Sys.argv + 4)) with Invalid_argument s -> print_endline s);
  (try print_int (1 / (Array.length Sys.argv - 1)) with Division_by_zero -> print_endline "division by zero");
  let a = Array.init 1000 (fun i -> float_of_int i /. 7.) in
  Printf.printf "%.10f %h %s\n" (Array.fold_left ( +. ) 0. a) (sqrt 2.) (string_of_float (1. /. 3.));
  Printf.printf "%Ld %ld %nd %d\n" (Int64.mul 0x123456789L 987654321L) (Int32.mul 123456l 7654321l) (Nativeint.shift_left 1n 20) (max_int + 1);
  let h = Hashtbl.create 16 in
  String.iter (fun c -> Hashtbl.replace h c (1 + Option.value ~default:0 (Hashtbl.find_opt h c))) "the quick brown fox jumps over the lazy dog";
  Printf.printf "%s\n" (String.concat "" (List.sort compare (Hashtbl.fold (fun c n l -> Printf.sprintf "%c%d" c n :: l) h [])));
  let before = (Gc.quick_stat ()).Gc.major_collections in
  let kept = Array.make 1000 "" in
  for i = 0 to 200_000 do kept.(i mod 1000) <- String.make (i mod 100) (Char.chr (65 + i mod 26)) done;
  Gc.full_major ();
  Printf.printf "collected %b, %s\n" ((Gc.quick_stat ()).Gc.major_collections > before) (Digest.to_hex (Digest.string (String.concat "," (Array.to_list kept))));
  Sys.set_signal Sys.sigusr1 (Sys.Signal_handle (fun _ -> print_endline "signal"));
  flush stdout;
  ignore (Sys.command "kill -USR1 $PPID");
  for _ = 1 to 1000 do ignore (Sys.opaque_identity (ref 1)) done;
  Printf.printf "child %d\n" (Sys.command "exit 9")
