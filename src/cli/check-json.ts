// What `check --json` prints: version 1 of a shape that scripts may rely on. Members are added, never renamed or
// removed, within a version. A configuration with problems has the same members, those that need one empty or null.

import { formatAddress } from '../admin/effective-config.ts';
import { describeExperiment } from '../admin/experiment.ts';
import type { Finding } from '../config/findings.ts';
import type { Loaded } from '../config/load.ts';
import type { Config } from '../config/options/document.ts';
import type { SplitConfig } from '../config/options/split.ts';
import { formatProblem } from '../config/problem.ts';
import { formatPercent } from '../split/change.ts';
import { keyTexts } from '../split/key-list.ts';
import { compileSplits } from '../split/own.ts';
import { Ranges } from '../split/ranges.ts';
import type { Splitter } from '../split/splitter.ts';

/** What one connect to an address of an upstream gave; `failure` is null when it was accepted. */
export interface ReachedUpstream {
  readonly upstream: string;
  readonly address: string;
  /** The TLS handshake succeeded and the certificate is good. */
  readonly tls: boolean;
  readonly failure: string | null;
}

/** Version 1 of the result. */
export function checkedJson(loaded: Loaded, reached: readonly ReachedUpstream[] | null, clock: () => number) {
  const { config, file, findings = [], notes, problems = [] } = loaded;
  return {
    version: 1,
    good: config !== undefined,
    source: file ?? 'environment',
    hash: config?.hash ?? null,
    problems: problems.map((problem) => {
      const { at, path, expected, got } = problem;
      return { at, path, expected, got, message: formatProblem(problem) };
    }),
    warnings: ofLevel(findings, 'warning'),
    notes: [...ofLevel(findings, 'note'), ...notes.map((message) => ({ at: file, path: '', message }))],
    listen: config?.listen.map(formatAddress) ?? [],
    admin: config === undefined ? null : config.admin === null ? 'off' : formatAddress(config.admin),
    splits: Object.fromEntries(
      [...(config?.splits ?? [])].map(([name, split]) => [
        name,
        splitJson(compileSplits(config!, { clock }).splitters.get(name)!, split),
      ]),
    ),
    routes: config === undefined ? [] : routesJson(config),
    upstreams: [...(config?.upstreams.keys() ?? [])],
    ...(reached === null ? {} : { reached }),
  };
}

function ofLevel(findings: readonly Finding[], level: Finding['level']) {
  return findings
    .filter((finding) => finding.level === level)
    .map(({ at, path, sentence }) => ({ at, path, message: sentence }));
}

function splitJson(splitter: Splitter, split: SplitConfig) {
  const ranges = split.method === 'ranges' ? new Ranges(splitter.config.variants).list : [];
  return {
    key: keyTexts(split.key),
    method: split.method,
    missingKey: split.missingKey,
    control: splitter.control.name,
    experiment: describeExperiment(splitter, null),
    variants: splitter.variants.map(({ name: variant, share, upstream, index }) => ({
      name: variant,
      share: formatPercent(share),
      shareRatio: share,
      upstream,
      // Null where the variant owns no hashes, or where its keys are not a range.
      range: ownedRange(ranges[index]),
    })),
  };
}

function ownedRange(range: Ranges['list'][number] | undefined) {
  return range === undefined || range.end === range.from ? null : range;
}

function routesJson({ routes }: Config) {
  return routes.map(({ listen, host, path, exact, split, upstream, respond }) => ({
    listen: listen === undefined ? null : formatAddress(listen),
    host: host ?? null,
    path,
    exact: exact === true,
    ...(split === undefined
      ? respond === undefined
        ? { upstream }
        : { respond: respond.status }
      : { split }),
  }));
}
