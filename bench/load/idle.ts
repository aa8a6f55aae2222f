// Opens connections, sends one request on each, and then keeps them open without traffic until it is ended.
// They come from several addresses of the loopback, each of which has ports of its own. Usage: node bench/load/idle.ts PORT
// COUNT; prints "ready" when every connection has its answer, and "closed" for each one that the other side ends.
import { connect } from 'node:net';

const port = Number(process.argv[2]);
const count = Number(process.argv[3]);
const AT_ONCE = 50;
const ADDRESSES = 8;

let opened = 0;
let answered = 0;
function open(): void {
  if (opened === count) return;
  opened += 1;
  const localAddress = `127.0.0.${1 + (opened % ADDRESSES)}`;
  const socket = connect({ port, host: '127.0.0.1', localAddress }, () => {
    socket.write(`GET /small?token=idle-${opened} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
  });
  socket.once('data', () => {
    answered += 1;
    if (answered === count) console.log('ready');
    open();
  });
  socket.on('close', () => console.log('closed'));
  socket.on('error', (error) => console.error(error.message));
}
for (let at = 0; at < AT_ONCE; at += 1) open();
