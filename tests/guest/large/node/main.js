// Workers share memory by Atomics and run WebAssembly; meanwhile the main thread uses libuv's thread pool, a socket and a child.
const { Worker, isMainThread, workerData, parentPort } = require('worker_threads');
const { promisify } = require('util');
const crypto = require('crypto'), zlib = require('zlib'), net = require('net'), child = require('child_process');
const WORKERS = 3, TURNS = 300;

const trap = f => { try { return String(f()); } catch (e) { return `${e.constructor.name}: ${e.message}`; } };

async function work({ id, shared }) {
  const { instance } = await WebAssembly.instantiate(require('./wasm.js'));
  const { memory, fib, sum, root, div, call } = instance.exports;
  const words = new Int32Array(shared);
  // Word 0 says whose turn it is, word 1 counts turns, word 2 is added to by all at once.
  for (let turn = 0; turn < TURNS; turn++) {
    for (;;) {
      const now = Atomics.load(words, 0);
      if (now === id) break;
      Atomics.wait(words, 0, now);
    }
    words[1]++;
    Atomics.store(words, 0, (id + 1) % WORKERS);
    Atomics.notify(words, 0);
  }
  for (let i = 0; i < 100000; i++) Atomics.add(words, 2, 1);
  new Int32Array(memory.buffer)[25] = 2 + id;
  const results = [fib(25 + id), sum(3000000 + id), root(100), trap(() => root(65536)), trap(() => root(-1)), trap(() => div(7, 0)),
    trap(() => div(-2147483648, -1)), div(-7, 2), call(20, 0), trap(() => call(20, 1)), trap(() => call(20, 2)), trap(() => call(20, 3))];
  const deep = n => 1 + deep(n + 1);
  results.push(trap(() => deep(0)));
  parentPort.postMessage({ id, results: results.map(String) });
}

async function main() {
  const shared = new SharedArrayBuffer(64);
  const workers = Array.from({ length: WORKERS }, (_, id) => new Promise((done, failed) => {
    const worker = new Worker(__filename, { workerData: { id, shared } });
    worker.once('message', done);
    worker.once('error', failed);
  }));

  const data = Buffer.from(Array.from({ length: 300000 }, (_, i) => (i * i >> 5) & 0xff));
  const key = await promisify(crypto.pbkdf2)('password', 'salt', 2000, 32, 'sha256');
  const packed = await promisify(zlib.gzip)(data);
  const back = await promisify(zlib.gunzip)(packed);
  console.log(key.toString('hex'), back.equals(data));

  const server = net.createServer(socket => socket.pipe(socket)).listen(0, '127.0.0.1');
  await new Promise(done => server.once('listening', done));
  const echo = crypto.createHash('sha1');
  await new Promise(done => {
    const socket = net.connect(server.address().port, '127.0.0.1', () => socket.end(data));
    socket.on('data', part => echo.update(part)).on('close', done);
  });
  server.close();
  console.log(echo.digest('hex'), crypto.createHash('sha1').update(data).digest('hex'));

  const { stdout } = await promisify(child.execFile)(process.execPath, ['-e', 'console.log([1,2,3].map(x => x ** 2))']);
  console.log(stdout.trim());

  for (const { id, results } of await Promise.all(workers)) console.log(id, results.join('\n  '));
  console.log(new Int32Array(shared).slice(1, 3).join(' '));

  // Optimised code that has to be given up again: the types change; and big numbers, a regular expression, a generator, a proxy.
  const add = (a, b) => a + b;
  let mixed = 0;
  for (let i = 0; i < 300000; i++) mixed = add(mixed, i & 3);
  console.log(add(mixed, 0.5), add('a', mixed), add(2n ** 64n, 1n), add([1], { toString: () => '!' }));
  function* numbers() { for (let i = 0; ; i++) yield i; }
  let total = 0;
  for (const n of numbers()) { if (n > 50000) break; total += n; }
  console.log(total, 'x'.repeat(5000).replace(/(x+?)x/g, '$1y').length, 3n ** 400n % 1000000007n);
  const words = new Map();
  for (let i = 0; i < 200000; i++) words.set('k' + i % 5000, (words.get('k' + i % 5000) || 0) + i);
  console.log(words.size, words.get('k4999'), JSON.stringify([...words].slice(0, 3)));
}

(isMainThread ? main() : work(workerData)).catch(e => { console.error(e); process.exit(1); });
