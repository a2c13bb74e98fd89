"""Real programs that `benches/real/run` times, and what they work on. All of it is made here, the same on each machine."""

import random
import shlex

# Loops over floats, lists and integers.
PYTHON_MIX = r"""
import math
def nbody(steps):
    p = [[0.0, 0.0, 0.0, 39.4], [4.84, -1.16, -0.10, 0.037], [8.34, 4.12, -0.4, 0.011], [12.8, -15.1, -0.2, 0.0017]]
    v = [[0.0, 0.0, 0.0], [0.6, 2.8, -0.02], [-1.01, 1.8, 0.008], [1.08, 0.86, -0.01]]
    for _ in range(steps):
        for i in range(4):
            for j in range(i + 1, 4):
                dx, dy, dz = (p[i][k] - p[j][k] for k in range(3))
                mag = 0.01 / math.sqrt((dx * dx + dy * dy + dz * dz) ** 3)
                for k, d in enumerate((dx, dy, dz)):
                    v[i][k] -= d * p[j][3] * mag
                    v[j][k] += d * p[i][3] * mag
            for k in range(3):
                p[i][k] += 0.01 * v[i][k]
    return round(sum(map(sum, p)), 9)
def fannkuch(n):
    perm, count, best, sign, checksum = list(range(n)), [0] * n, 0, 1, 0
    while True:
        q, flips = perm[:], 0
        while q[0]:
            k = q[0]
            q[:k + 1] = q[k::-1]
            flips += 1
        best, checksum, sign = max(best, flips), checksum + sign * flips, -sign
        i = 1
        while i < n and count[i] >= i:
            count[i] = 0
            i += 1
        if i == n:
            return best, checksum
        k = count[i] if i % 2 else 0
        perm[i], perm[k] = perm[k], perm[i]
        count[i] += 1
print(nbody(8000), fannkuch(8))
"""

PYTHON_JSON = r"""
import json, re
rows = [{"id": i, "name": "name%d" % (i * 7919 % 1000), "tags": ["a", "b%d" % (i % 10)], "v": i / 7} for i in range(12000)]
text = json.dumps(rows)
total = sum(r["v"] for r in json.loads(text))
words = re.findall(r"name(\d+)\b", text)
swapped = re.sub(r'"(\w+)": (\d+)', r'\2=\1', text)
print(len(text), round(total, 6), len(words), sum(map(int, words)), len(swapped), len(json.loads(json.dumps(json.loads(text)))))
"""

PYTHON_LONG = r"""
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
class Point:
    def __init__(self, x): self.x = x
    def add(self, other): return Point(self.x + other.x)
def work(n):
    total, table, values = 0, {}, []
    for i in range(n):
        total += i * i % 7
        table[i % 1000] = total
        values.append(total & 255)
        if len(values) > 1000:
            values = sorted(values)[:10]
    p = Point(0)
    for i in range(n):
        p = p.add(Point(i))
    return total + p.x + sum(table.values())
print(fib(27), work(12000000))
"""

LUA_MIX = r"""
local t = {}
for i = 1, 200000 do t[i] = (i * 7919) % 100003 end
table.sort(t)
local s = 0
for i, v in ipairs(t) do s = (s + v * i) % 1000007 end
local parts = {}
for i = 1, 60000 do parts[#parts + 1] = string.format("%d:%s", i, string.rep("x", i % 7)) end
local text = table.concat(parts, ",")
local n = 0
for k, v in text:gmatch("(%d+):(x*)") do n = n + #v * tonumber(k) % 13 end
local function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end
local x = 0.5
for i = 1, 2000000 do x = 3.7 * x * (1 - x) end
print(s, #text, n, fib(27), string.format("%.6f", x))
"""

PERL_MIX = r"""
my %h; my $text = join " ", map { "w" . ($_ * 7919 % 5003) . "x" . ($_ % 17) } 1 .. 120000;
$h{$1}{$2}++ while $text =~ /w(\d+)x(\d+)/g;
my $n = 0; for my $k (sort { $a <=> $b } keys %h) { $n = ($n * 31 + $k * keys %{$h{$k}}) % 1000003 }
(my $u = $text) =~ s/w(\d)(\d+)/$2-$1/g; $u =~ tr/0-9/a-j/;
my @s = sort { $b cmp $a } split / /, $u; print "$n $s[0] $s[-1] ", length $u, "\n";
"""

# Objects, closures, strings, blocks and integers of any size.
RUBY_MIX = r"""
Point = Struct.new(:x, :y)
def fib(n) = n < 2 ? n : fib(n - 1) + fib(n - 2)
points = (1..60_000).map { |i| Point.new(i * 7919 % 1009, i * 31 % 997) }
near = points.select { |p| p.x < p.y }.group_by { |p| p.x % 17 }.transform_values { |l| l.sum(&:y) }
words = points.each_with_index.map { |p, i| "w#{p.x}x#{i % 17}" }
counts = Hash.new(0)
words.join(" ").scan(/w(\d)(\d*)x(\d+)/) { |a, b, c| counts[b + a] += c.to_i }
best = counts.sort_by { |k, v| [-v, k] }.first(3)
x = 0.5
300_000.times { x = 3.7 * x * (1 - x) }
sieve = Array.new(200_000, true)
2.upto(447) { |i| (i * i).step(199_999, i) { |j| sieve[j] = false } if sieve[i] }
big = (1..1500).inject(:*)
puts fib(24), near.values.sum, best.inspect, x.round(6), sieve.count(true), big.digits.sum
"""

# Classes, closures, maps, typed arrays, strings, regular expressions, JSON and integers of any size: V8 compiles what of it is hot,
# so that the guest's code is made while it runs.
NODE_MIX = r"""
class Body {
  constructor(x, y, vx, vy, m) { Object.assign(this, { x, y, vx, vy, m }); }
  step(dt) { this.x += dt * this.vx; this.y += dt * this.vy; }
}
function bodies(steps) {
  const start = [[0, 0, 0, 0, 39.4], [4.8, -1.1, 0.6, 2.8, 0.04], [8.3, 4.1, -1, 1.8, 0.01], [12.8, -15, 1, 0.8, 0.002]];
  const all = start.map(values => new Body(...values));
  for (let s = 0; s < steps; s++) {
    for (const a of all) for (const b of all) if (a !== b) {
      const dx = a.x - b.x, dy = a.y - b.y, d = 0.01 / Math.sqrt((dx * dx + dy * dy + 0.01) ** 3);
      a.vx -= dx * b.m * d; a.vy -= dy * b.m * d;
    }
    for (const b of all) b.step(0.01);
  }
  return all.reduce((sum, b) => sum + b.x + b.y, 0).toFixed(6);
}
const fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2);
function sieve(n) {
  const out = new Uint8Array(n);
  for (let i = 2; i * i < n; i++) if (!out[i]) for (let j = i * i; j < n; j += i) out[j] = 1;
  return out.reduce((sum, v) => sum + 1 - v, -2);
}
function matrix(n) {
  const [a, b, c] = [0, 1, 2].map(k => Float64Array.from({ length: n * n }, (_, i) => (i * 7919 + k) % 101 / 7));
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) for (let k = 0; k < n; k++) c[i * n + j] += a[i * n + k] * b[k * n + j];
  return c.reduce((x, y) => x + y).toFixed(3);
}
function words(n) {
  const count = new Map();
  const text = Array.from({ length: n }, (_, i) => "w" + i * 7919 % 5003 + "x" + i % 17).join(" ");
  for (const [, w, x] of text.matchAll(/w(\d+)x(\d+)/g)) count.set(w, (count.get(w) ?? 0) + +x);
  const rows = [...count].map(([name, v], id) => ({ id, name, v, tags: ["a", "b" + id % 10] })).sort((p, q) => q.v - p.v || p.id - q.id);
  const json = JSON.stringify(rows);
  return [json.length, JSON.parse(json).filter(r => r.tags.includes("b7")).length, text.replace(/w(\d)(\d*)/g, "$2-$1").length];
}
function big(n) { let p = 1n; for (let i = 1n; i <= n; i++) p *= i; return String(p % (10n ** 4000n - 59n)).length; }
let h = 0;
for (let i = 0; i < 2e7; i++) h = Math.imul(h ^ i, 0x01000193) >>> 0;
console.log(bodies(100000), fib(30), sieve(2e6), matrix(160), words(60000), big(2000n), h);
"""

SQLITE = """
create table a(id integer primary key, k int, t text);
create table b(id integer primary key, a int, v real);
with recursive c(i) as (select 1 union all select i + 1 from c where i < 40000)
insert into a select i, i * 7919 % 1009, 'text' || (i % 97) from c;
with recursive c(i) as (select 1 union all select i + 1 from c where i < 60000)
insert into b select i, i * 31 % 40000 + 1, i / 7.0 from c;
create index ak on a(k);
select count(*), round(sum(v), 3) from a join b on b.a = a.id where k between 100 and 600;
select t, count(*), round(avg(v), 3) from a join b on b.a = a.id group by t order by 2 desc, 1 limit 5;
select count(distinct substr(t, 3) || k) from a;
select k, max(t) from a where t like '%t4%' group by k order by k desc limit 3;
"""

AWK = r"""{ n[$2] += $1; w[length($3)]++; if ($3 ~ /[aeiou][^aeiou]+$/) m++; s = s + substr($3, 2, 3) * 2 }
END { for (k in n) t = (t + n[k] * 3) % 1000007; print t, m, w[5], s }"""

SHELL_LOOP = "i=0; s=0; while [ $i -lt 60000 ]; do i=$((i+1)); case $i in *7) s=$((s+i));; *) : ;; esac; x=${i%3}; done; echo $s $x"
FORKS = "i=0; while [ $i -lt 200 ]; do i=$((i+1)); (exit 3); done; echo $i $?"

HELLO = '#include <stdio.h>\nint main(int argc, char **argv) { printf("hello %d %s\\n", argc, argv[0]); return 0; }\n'


def c_source():
    """A preprocessed C file: functions with loops, switches, structures and calls of one another."""
    rng = random.Random(7)
    lines = ["typedef unsigned u32; typedef struct node { struct node *next; int key; double w; char name[16]; } node;",
             "extern int printf(const char *, ...); extern void *malloc(unsigned long);", "static u32 state;"]
    for i in range(220):
        a, b, c = (rng.randrange(3, 97) for _ in range(3))
        call = f"f{rng.randrange(i)}(x ^ {a}, list)" if i else "x"
        lines.append(f"""
static int f{i}(int x, node *list) {{
  int sum = {a}, table[{b}];
  for (int i = 0; i < {b}; i++) table[i] = (x * i + {c}) % ({a} + i);
  for (node *n = list; n; n = n->next) {{
    switch ((n->key ^ x) & 7) {{
      case 0: sum += n->key * {c}; break;
      case 1: sum -= table[(u32)n->key % {b}]; n->w *= 1.{a}; break;
      case 2: state = state * 1103515245u + {b}; break;
      case 3: if (n->name[x & 15] == 'a') return sum; break;
      case 5: sum ^= (int)(n->w / {c}); break;
      default: sum += (sum << 3) | (n->key >> 2);
    }}
  }}
  return x > 0 ? sum + {call} : sum;
}}""")
    lines.append("int main(void) { node a = {0, 5, 2.0, \"name\"}; printf(\"%d\\n\", f219(3, &a)); return 0; }")
    return "\n".join(lines).encode()


def text(size):
    """Lines of a number, a key and a word, that compress as text does."""
    rng = random.Random(3)
    syllables = [a + b for a in "bcdfglmnprst" for b in "aeiou"]
    words = ["".join(rng.choice(syllables) for _ in range(rng.randrange(1, 5))) for _ in range(3000)]
    out, length = [], 0
    while length < size:
        line = f"{rng.randrange(100000)} k{rng.randrange(500)} " + " ".join(rng.choices(words, k=rng.randrange(1, 9)))
        out.append(line)
        length += len(line) + 1
    return ("\n".join(out) + "\n").encode()


def repeated():
    """Scripts that run for some 5 s natively: the mixes again and again, and objects, integers and lists in python."""
    ruby_def, ruby = RUBY_MIX.split("points =", 1)
    node = NODE_MIX.replace("let h = 0;", "for (let r = 0; r < 25; r++) { let h = 0;") + "}"
    return {
        "long.py": PYTHON_LONG, "long.pl": f"for my $r (1..35) {{{PERL_MIX}}}", "long.lua": f"for r = 1, 45 do {LUA_MIX} end",
        "long.rb": f"{ruby_def}40.times do\npoints ={ruby}\nend", "long.js": node,
    }


def write_inputs(directory):
    data = text(3_000_000)
    inputs = {
        "mix.py": PYTHON_MIX, "words.py": PYTHON_JSON, "mix.lua": LUA_MIX, "mix.pl": PERL_MIX, "mix.rb": RUBY_MIX,
        "mix.js": NODE_MIX, "joins.sql": SQLITE, "text": data, "text1": data[:1_000_000], "unit.i": c_source(), "hello.c": HELLO, "words.awk": AWK, "true.py": "",
    }
    for name, content in (inputs | repeated()).items():
        (directory / name).write_bytes(content if isinstance(content, bytes) else content.encode())


# Name, kind, command; what it prints must be the same everywhere.
CASES = [
    ("python mix", "real", "python3 mix.py"),
    ("python json+re", "real", "python3 words.py"),
    ("lua mix", "real", "lua5.4 mix.lua"),
    ("perl mix", "real", "perl mix.pl"),
    ("ruby mix", "real", "ruby mix.rb"),
    ("node mix", "real", "node mix.js"),
    ("sqlite3 joins", "real", "sqlite3 -init joins.sql :memory: .quit"),
    ("cc1 -O2", "real", "gcc -x cpp-output -O2 -S unit.i -o /dev/null"),
    ("xz -9", "real", "xz -9 -c text1 | sha256sum"),
    ("zstd -12", "real", "zstd -12 -c -q text | sha256sum"),
    ("7z -mx=5", "real", "7za a -mx=5 -mmt=1 -si -so -txz x < text1 | sha256sum"),
    ("bzip2 -9", "real", "bzip2 -9 -c text1 | sha256sum"),
    ("sort", "real", "sort -k3 text | sha256sum"),
    ("gawk", "real", "gawk -f words.awk text"),
    ("mawk", "real", "mawk -f words.awk text"),
    ("openssl dgst", "real", "openssl dgst -sha512 -r text text text text text text text text text text"),
    ("openssl enc", "real", "openssl enc -aes-256-cbc -pbkdf2 -iter 2000 -S 0011223344556677 -k x -in text | sha256sum"),
    ("openssl prime", "real", f"openssl prime -checks 64 -hex {2 ** 2203 - 1:X}"),
    ("stockfish", "real", "/usr/games/stockfish bench 16 1 8 2>&1 | grep -E '^bestmove|^Nodes searched'"),
    ("busybox sh", "real", f"busybox sh -c '{SHELL_LOOP}'"),
    ("grep", "real", "grep -c -E '(ba|de)+[a-z]*(no|ru) ' text"),
    ("python long", "long", "python3 long.py"),
    ("perl long", "long", "perl long.pl"),
    ("lua long", "long", "lua5.4 long.lua"),
    ("ruby long", "long", "ruby long.rb"),
    ("node long", "long", "node long.js"),
    ("busybox true", "short", "busybox true"),
    ("coreutils true", "short", "/usr/bin/true"),
    ("python3 -c pass", "short", "python3 -c pass"),
    ("perl -e 0", "short", "perl -e 0"),
    ("ruby -e 0", "short", "ruby -e 0"),
    ("node -e 0", "short", "node -e 0"),
    ("sh, 200 forks", "short", f"dash -c '{FORKS}'"),
    ("gcc hello.c", "short", "gcc hello.c -o /dev/null"),
]


def split(text):
    """The command's words; a pipeline is a shell's."""
    return ["sh", "-c", text] if " | " in text else shlex.split(text)
