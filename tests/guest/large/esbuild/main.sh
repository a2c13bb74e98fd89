# A program of a hundred modules and TypeScript, bundled as it is and minified; both bundles have to print the same.
mkdir src
for i in $(seq 100); do
  next=$((i + 1))
  echo "import { f$next, Unused$next } from './m$next'; export class Unused$i {} export const f$i = (n: number): number => (f$next(n) * 31 + $i) % 1000003" > src/m$i.ts
done
echo 'export class Unused101 {} export enum Kind { A = 1, B } export const f101 = (n: number): number => n ?? Kind.A' > src/m101.ts
cat > src/main.tsx <<'END'
import { f1 } from './m1'
import data from './data.json'
const h = (name: string, props: object, ...children: unknown[]) => ({ name, props, children })
export class Counter { #n = 1; static made = 0; constructor() { Counter.made++ } get n() { return this.#n } next = () => { this.#n **= 2; this.#n += 1; return this } }
async function* counts(c: Counter) { for (let i = 0; i < 4; i++) yield c.next().n }
(async () => {
  for await (const n of counts(new Counter())) console.log(n, f1(n))
  console.log(JSON.stringify(<p id="x">{data.list?.map(n => <b>{n}</b>)}</p>), Counter.made)
})()
END
echo '{"list": [1, 2.5, "three"]}' > src/data.json
esbuild --bundle --jsx-factory=h --target=es2018 --outfile=plain.js --log-level=error src/main.tsx || exit
esbuild --bundle --jsx-factory=h --minify --sourcemap --outfile=small.js --log-level=error src/main.tsx || exit
node plain.js
node small.js
[ $(stat -c %s small.js) -lt $(stat -c %s plain.js) ] && echo smaller
grep -c Unused50 plain.js
node -e 'const m = JSON.parse(fs.readFileSync("small.js.map")); console.log(m.version, m.sources.length)'
echo 'let x = ;' | esbuild --log-level=error --color=false 2>&1; echo $?
