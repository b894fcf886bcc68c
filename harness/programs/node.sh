# node: timers, workers, files, child processes, sockets.
cat > /tmp/a.js <<'P'
const fs = require('fs'), cp = require('child_process'), net = require('net'), zlib = require('zlib'), crypto = require('crypto'); const { Worker, isMainThread, parentPort } = (() => { try { return require('worker_threads') } catch (e) { return {} } })();
console.log([...Array(1000).keys()].reduce((a, b) => a + b), crypto.createHash('sha256').update('kiln').digest('hex')); console.log(zlib.gunzipSync(zlib.gzipSync(Buffer.alloc(100000, 'x'))).length);
fs.writeFileSync('/tmp/n', 'data'); fs.readFile('/tmp/n', 'utf8', (e, d) => { console.log(d); cp.exec('echo child; exit 3', (e, o) => { console.log(o.trim(), e.code);
 const s = net.createServer(c => { c.end('hello'); s.close() }).listen(0, '127.0.0.1', () => net.connect(s.address().port, '127.0.0.1').on('data', d => { console.log(String(d));
 const w = new Worker("const {parentPort}=require('worker_threads'); parentPort.postMessage(6*7)", { eval: true }); w.on('message', m => { console.log(m); setTimeout(() => { process.exitCode = 11 }, 30) }) })) }) });
P
exec node /tmp/a.js
