// Runs in a thread of its own: reads, checks and links a configuration while the event loop goes on serving, and posts what
// it became. cli/reload-reader.ts starts it; a start of the program never does.

import { parentPort, workerData } from 'node:worker_threads';
import type { LoadRequest } from './cli/reload-reader.ts';

const { flags, environment, texts } = workerData as LoadRequest;
const { loadFromFlags } = await import('./cli/options.ts');
parentPort!.postMessage(await loadFromFlags(flags, environment, texts));
