// Runs in a thread of its own: reads, checks and links a configuration while the event loop goes on serving, and posts the
// result in pieces. service/reload-reader.ts starts it; a start of the program never does.

import { parentPort, workerData } from 'node:worker_threads';
import type { ThreadData } from './service/reload-reader.ts';

const { request, pieces } = workerData as ThreadData;
const { texts, ...given } = request;
const { loadConfig } = await import('./config/load.ts');
const { piecesOf } = await import('./service/loaded-pieces.ts');
for (const piece of piecesOf(await loadConfig(given, { texts }))) pieces.postMessage(piece);
parentPort!.postMessage('posted');
