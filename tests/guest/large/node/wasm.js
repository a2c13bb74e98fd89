// A WebAssembly module, put together by hand.
const leb = n => n < 128 ? [n] : [n & 127 | 128, ...leb(n >>> 7)];
const vector = items => [...leb(items.length), ...items.flat()];
const section = (id, items) => { const body = vector(items); return [id, ...leb(body.length), ...body]; };
const name = text => vector([...Buffer.from(text)]);
const type = (from, to) => [0x60, ...vector(from), ...vector(to)];
const body = (locals, ...code) => { const all = [...vector(locals), ...code, 0x0b]; return [...leb(all.length), ...all]; };
const i32 = 0x7f, i64 = 0x7e, f64 = 0x7c;
const get = n => [0x20, n], set = n => [0x21, n], tee = n => [0x22, n];

// (func $fib (param i32) (result i32)): by recursion
const fib = body([], ...get(0), 0x41, 2, 0x48, 0x04, i32, ...get(0), 0x05,
  ...get(0), 0x41, 1, 0x6b, 0x10, 0, ...get(0), 0x41, 2, 0x6b, 0x10, 0, 0x6a, 0x0b);
// (func (param i32) (result i64)): i * i + rotl(sum, 7) for i = param down to 1
const sum = body([[1, i64]], 0x03, 0x40, ...get(0), 0xac, ...get(0), 0xac, 0x7e, ...get(1), 0x42, 7, 0x89, 0x7c, ...set(1),
  ...get(0), 0x41, 1, 0x6b, ...tee(0), 0x0d, 0, 0x0b, ...get(1));
// (func (param i32) (result f64)): sqrt of the i32 at that address of memory, which may be outside
const root = body([], ...get(0), 0x28, 2, 0, 0xb8, 0x9f);
// (func (param i32 i32) (result i32)): signed division, which may trap
const div = body([], ...get(0), ...get(1), 0x6d);
// (func (param i32 i32) (result i32)): fib or itself by table: an indirect call, whose index and type may be wrong
const call = body([], ...get(0), ...get(1), 0x11, 0, 0);

module.exports = Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
  ...section(1, [type([i32], [i32]), type([i32], [i64]), type([i32], [f64]), type([i32, i32], [i32])]),
  ...section(3, [[0], [1], [2], [3], [3]]),
  ...section(4, [[0x70, 0, 3]]),
  ...section(5, [[0, 1]]),
  ...section(7, [[...name('memory'), 2, 0], ...['fib', 'sum', 'root', 'div', 'call'].map((text, i) => [...name(text), 0, i])]),
  ...section(9, [[0, 0x41, 0, 0x0b, ...vector([0, 1])]]),
  ...section(10, [fib, sum, root, div, call])]);
