// Runs in a thread of its own: reads, checks and links a configuration while the event loop goes on serving, and posts the
// result. service/reload-reader.ts starts it; a start of the program never does.

import { parentPort, workerData } from 'node:worker_threads';
import type { ReadRequest } from './service/reload-reader.ts';

const { texts, ...request } = workerData as ReadRequest;
const { loadConfig } = await import('./config/load.ts');
parentPort!.postMessage(await loadConfig(request, { texts }));
