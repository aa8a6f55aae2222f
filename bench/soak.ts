// Measures the memory of the splitter alone under a load that changes every few seconds, in complete cycles of the
// same loads, so that equal loads are compared.
import { memoryMiB } from './processes.ts';
import type { Progress } from './progress.ts';
import type { SoakResult, SoakSample } from './results.ts';
import type { Rival } from './rivals.ts';
import { SCENARIOS } from './scenarios.ts';
import { applyLoad, type Rig, startRival, withIdle } from './turns.ts';

const KINDS = ['small-get', 'browser-get', 'post-4k', 'get-64k', 'chunked', 'new-connection', 'open-2000'];
const LOAD_SECONDS_MAX = 10;
/** A load generator needs about so long to start. */
const START_SECONDS = 0.5;
const SAMPLE_MS = 1000;

/** How many whole cycles of `loads` loads fit into so many minutes, and how long each load is. At least four cycles. */
export function soakPlan(minutes: number, loads: number): { cycles: number; loadSeconds: number } {
  const seconds = minutes * 60;
  const fitting = Math.floor(seconds / (loads * (LOAD_SECONDS_MAX + START_SECONDS)));
  const cycles = Math.max(4, fitting);
  const loadSeconds = Math.min(LOAD_SECONDS_MAX, seconds / cycles / loads - START_SECONDS);
  return { cycles, loadSeconds: Math.max(0.5, Math.round(loadSeconds * 10) / 10) };
}

/** Runs it to the end; throws StartFailure when the splitter gives no answer. */
export async function soak(rig: Rig, rival: Rival, minutes: number, progress: Progress): Promise<SoakResult> {
  const loads = SCENARIOS.filter(({ name }) => KINDS.includes(name));
  const { cycles, loadSeconds } = soakPlan(minutes, loads.length);
  const { process, port } = await startRival(rig, rival);
  const startedAt = performance.now();
  const samples: SoakSample[] = [];
  const sample = () =>
    samples.push({
      seconds: Math.round((performance.now() - startedAt) / 100) / 10,
      memoryMiB: Math.round(memoryMiB(process.pid) * 10) / 10,
    });
  sample();
  const sampler = setInterval(sample, SAMPLE_MS);
  const after: number[][] = [];
  let answered = 0;
  let errors = 0;
  try {
    for (let cycle = 1; cycle <= cycles; cycle += 1) {
      const memories: number[] = [];
      for (const scenario of loads) {
        progress(`soak, cycle ${cycle} of ${cycles}: ${scenario.name}`);
        const memory = await withIdle(scenario, port, async () => {
          const result = await applyLoad(rig, scenario, port, loadSeconds);
          answered += result.answered;
          errors += result.errors;
          return memoryMiB(process.pid);
        });
        memories.push(Math.round(memory * 10) / 10);
      }
      after.push(memories);
    }
  } finally {
    clearInterval(sampler);
    await process.stop();
  }
  return {
    title: rival.title,
    loads: loads.map(({ name }) => name),
    loadSeconds,
    cycles: after,
    samples,
    answered,
    errors,
  };
}
