// Pods of a fleet that have counted what a test says, as `fleet` reads their answers, without a socket.
import { ROW_LAYOUT } from '../../src/admin/pod-reading.ts';
import type { AskedPod } from '../../src/fleet/ask.ts';
import { Counters } from '../../src/telemetry/counters.ts';
import { ENDING } from '../../src/telemetry/epoch.ts';
import { identifySample, Sample } from '../../src/telemetry/sample.ts';
import { decodeSample, encodeSample } from '../../src/telemetry/sample-state.ts';
import { fakeConfig, fakeGeneration } from './fake-running.ts';

/** One process with the split "appversion" of fakeConfig(). */
export class FleetPodModel {
  readonly process: string;
  readonly address: string;
  readonly counters = new Counters();
  readonly sample: Sample;
  adopted: string[] = [];
  hash = '0123456789ab';
  readonly #variants: ReturnType<typeof fakeGeneration>['splitters'] extends ReadonlyMap<string, infer S>
    ? S
    : never;

  constructor(process: string, address: string, split: Record<string, unknown> = {}) {
    this.process = process;
    this.address = address;
    const config = fakeConfig(split);
    this.#variants = fakeGeneration(config).splitters.get('appversion')!;
    this.sample = new Sample(
      identifySample('appversion', this.#variants.variants, config.splits.get('appversion')!),
    );
  }

  /** A visit of the user with this hash; half of the hashes belong to each variant. */
  visit(hash: number, isFailed = false): void {
    const index = hash < 2 ** 31 ? 0 : 1;
    const { name, upstream } = this.#variants.variants[index]!;
    const row = this.counters.variant('appversion', name, upstream);
    row.begin();
    row.end(isFailed ? 502 : 200, -1, 5, 100, 100);
    this.sample.add(index, hash, isFailed ? ENDING.failed : ENDING.answered, 5);
  }

  /** What it answers now. */
  answer(): AskedPod {
    const { downstream, variants, upstreams } = this.counters.read();
    const state = decodeSample(encodeSample(this.sample));
    return {
      address: this.address,
      problem: null,
      answer: {
        version: 1,
        program: '0.1.0',
        process: this.process,
        adopted: [...this.adopted],
        pod: `pod-${this.process}`,
        state: 'serving',
        startedAt: '2030-01-01T00:00:00.000Z',
        generation: { number: 1, hash: this.hash, acceptedAt: '2030-01-01T00:00:00.000Z' },
        troubles: [],
        durationBounds: this.counters.durationBounds,
        layout: ROW_LAYOUT,
        counters: {
          downstream: [...downstream],
          variants: variants.map((row) => ({ ...row, cells: [...row.cells] })),
          upstreams: upstreams.map((row) => ({ ...row, cells: [...row.cells] })),
        },
        splits: [
          {
            name: 'appversion',
            key: '$arg_token',
            method: 'ranges',
            missingKey: 'default',
            variants: this.#variants.variants.map(({ name, upstream, share }) => ({ name, upstream, share })),
            sample: state,
          },
        ],
      },
    };
  }

  /** As answer(), when it cannot be reached. */
  silent(problem = 'connection refused'): AskedPod {
    return { address: this.address, answer: null, problem };
  }
}
