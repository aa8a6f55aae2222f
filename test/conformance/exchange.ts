// One exchange over a separate connection: sends bytes and collects the response until it is complete, closed, or silent.
import { connect } from 'node:net';

/** How long nothing may happen before a proxy counts as waiting for more. */
const SILENCE_MS = 700;
/** Turns of the loop after that silence: on a busy machine, bytes may have come that are not read yet. */
const LAST_TURNS = 200;

/** Sends bytes and collects until `isDone`, the end of the connection, or silence. */
export function exchange(
  port: number,
  bytes: string,
  isDone: (text: string) => boolean,
): Promise<{ text: string; ended: boolean }> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const finish = (ended: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text, ended });
    };
    let received = 0;
    const isSilent = async () => {
      const before = received;
      for (let turn = 0; turn < LAST_TURNS; turn++) await new Promise((resolve) => setImmediate(resolve));
      if (received === before) finish(false);
    };
    let timer = setTimeout(isSilent, SILENCE_MS);
    socket.on('connect', () => socket.write(Buffer.from(bytes, 'latin1')));
    socket.on('data', (data: Buffer) => {
      text += data.toString('latin1');
      received += data.length;
      clearTimeout(timer);
      if (isDone(text)) return finish(false);
      timer = setTimeout(isSilent, SILENCE_MS);
    });
    socket.on('end', () => finish(true));
    socket.on('error', () => finish(true));
  });
}
