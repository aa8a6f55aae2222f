// No byte of one exchange can reach another: many exchanges at once, with bodies of all sizes, slow readers, resets
// and cuts among them, all over few upstream connections. Every body is a pattern of its own; one foreign byte shows.
import { describe, expect, it } from 'vitest';
import { valuesOf } from '../../support/message.ts';
import { randomRatios } from '../../support/random.ts';
import type { RawClient } from '../../support/raw-client.ts';
import type { Script } from '../../support/scripted-upstream.ts';
import { startLine } from '../../support/splitter.ts';

/** Bytes that say whose they are, all the way through. */
const patternOf = (nonce: string, size: number) => {
  const word = `<${nonce}>`;
  return word.repeat(Math.ceil(size / word.length)).slice(0, size);
};

/** Sizes around the buffers that are copied, lent and shared. */
const SIZES = [0, 1, 100, 4000, 16_383, 16_385, 40_000, 65_537, 131_073, 400_000];

/** Answers /NONCE/SIZE/HOW with SIZE bytes of the pattern, framed or broken off as HOW says. */
const pattern: Script = async (peer) => {
  peer.keepsTranscript = false;
  for (;;) {
    const { line, body } = await peer.request();
    const [, nonce, size, how] = line.split(' ')[1]!.split('/');
    const answer = patternOf(nonce!, Number(size));
    if (body !== patternOf(nonce!, body.length)) {
      await peer.send('HTTP/1.1 500 Foreign Bytes\r\nContent-Length: 0\r\n\r\n');
    } else if (how === 'chunked') {
      const half = answer.length >> 1;
      const chunks = [answer.slice(0, half), answer.slice(half)].filter((chunk) => chunk !== '');
      const encoded = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('');
      await peer.send(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${encoded}0\r\n\r\n`);
    } else if (how === 'close') {
      await peer.send(`HTTP/1.1 200 OK\r\n\r\n${answer}`);
      peer.end();
    } else if (how === 'cut') {
      await peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${answer.length + 1}\r\n\r\n${answer}`);
      peer.reset();
    } else if (how === 'spill') {
      // Bytes behind the end, in the next read: they are nobody's.
      await peer.send(
        `HTTP/1.1 200 OK\r\nContent-Length: ${answer.length}\r\n\r\n${answer}`,
        '<foreign>'.repeat(20),
      );
    } else await peer.ok(answer);
  }
};

describe('exchanges side by side', () => {
  it('get their own bytes and no others, whatever happens to their neighbours', async () => {
    const { splitter, upstream } = await startLine(pattern, {}, { pool: { maxConnections: 8 } });
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = randomRatios(seed);
    const pick = <T>(items: readonly T[]) => items[Math.floor(random() * items.length)]!;
    let whole = 0;

    const run = async (id: number) => {
      let client: RawClient | null = null;
      for (let i = 0; i < 40; i++) {
        client ??= await splitter.client();
        const nonce = `${id}-${i}`;
        const size = pick(SIZES);
        const how = pick(['length', 'length', 'chunked', 'close', 'cut', 'spill']);
        const body = patternOf(nonce, pick([0, 0, 10, 20_000, 70_000]));
        const framing = body === '' ? '' : `Content-Length: ${body.length}\r\n`;
        const head = `PUT /${nonce}/${size}/${how} HTTP/1.1\r\nHost: h\r\n${framing}\r\n`;
        const sent = client.send(head, body);
        if (random() < 0.1) {
          client.reset();
          client = null;
          continue;
        }
        if (random() < 0.3) {
          // A slow reader: what it does not read yet lies in the splitter's buffers while others are served.
          client.socket.pause();
          const { socket } = client;
          void sent.then(() => socket.resume());
        }
        const own: RawClient = client;
        let text = '';
        try {
          const response = await client.response();
          // Spilled bytes that come when the next request is already sent are garbage in front of its response.
          if (valuesOf(response, 'x-splitter-error').length > 0) {
            expect(['UPSTREAM_BAD_RESPONSE', 'UPSTREAM_RESET']).toContain(
              valuesOf(response, 'x-splitter-error')[0],
            );
            client.close();
            client = null;
            continue;
          }
          text = response.body;
          expect(response.line, `seed ${seed}`).toBe('HTTP/1.1 200 OK');
          expect(how).not.toBe('cut');
          expect(text.length).toBe(size);
          whole++;
        } catch (error) {
          if (how !== 'cut') throw error;
          const { pending } = own;
          text = pending.slice(pending.indexOf('\r\n\r\n') + 4);
          own.close();
          client = null;
        }
        expect(text === patternOf(nonce, text.length), `seed ${seed}: ${nonce} ${size} ${how}`).toBe(true);
        if (client !== null) expect(client.pending).toBe('');
        await sent.catch(() => undefined);
      }
      client?.close();
    };
    await Promise.all(Array.from({ length: 24 }, (_, id) => run(id)));
    expect(whole).toBeGreaterThan(300);
    expect(upstream.requests.length).toBeGreaterThan(whole);
  });

  it('of pipelining clients come back in their order, each over whatever connection it went', async () => {
    const { splitter } = await startLine(pattern, {}, { pool: { maxConnections: 3 } });
    const run = async (id: number) => {
      const client = await splitter.client();
      const requests = Array.from({ length: 30 }, (_, i) => {
        const how = ['length', 'chunked', 'close'][i % 3];
        return `GET /${id}-${i}/${SIZES[i % SIZES.length]}/${how} HTTP/1.1\r\nHost: h\r\n\r\n`;
      });
      const sent = client.send(requests.join(''));
      for (let i = 0; i < requests.length; i++) {
        const { body } = await client.response();
        expect(body === patternOf(`${id}-${i}`, SIZES[i % SIZES.length]!), `${id}-${i}`).toBe(true);
      }
      await sent;
    };
    await Promise.all(Array.from({ length: 8 }, (_, id) => run(id)));
  });
});
