// Turns a raw document, whatever grammar it had, into a Config or every problem at once: merges upstreamDefaults into
// each upstream, checks the result against the declaration, runs the checks, and links names to what they name.
// Knows positions only as `source.locate`.

import { checkNamesOfMaps, reportIssue } from './checks/declared.ts';
import { checkEffects, checkValues, checkWritten } from './checks/run.ts';
import { checkSetFieldsTotal, linkUpstreams } from './checks/upstreams.ts';
import { CheckResults, type Finding } from './findings.ts';
import { hashConfig } from './hash.ts';
import { type Config, type ConfigDocument, documentSchema } from './options/document.ts';
import type { RouteConfig } from './options/route.ts';
import { isForTexts, type SplitConfig } from './options/split.ts';
import type { UpstreamConfig } from './options/upstream.ts';
import type { Problem } from './problem.ts';
import { isMap, type LocatedDocument, mapOf, type RawMap } from './raw.ts';
import type { ReadSecret } from './secrets.ts';

/** Embedders have their own ways to a secret. */
const READ_NO_SECRET: ReadSecret = () => ({ got: 'a configuration without files and variables around it' });

/** A configuration that can run, or what keeps it from running. */
export type ConfigResult =
  | { readonly config: Config; readonly findings: readonly Finding[]; readonly problems?: undefined }
  | { readonly config?: undefined; readonly findings?: undefined; readonly problems: readonly Problem[] };

/** Config of a raw document. Promise: no problems means that every name resolves and every share adds up. */
export function linkSource(source: LocatedDocument, readSecret: ReadSecret = READ_NO_SECRET): ConfigResult {
  const raw = mapOf(source.document);
  const report = new CheckResults(source);
  if (!checkSetFieldsTotal(raw, report)) return { problems: report.problems() };
  const secrets = new Map<string, string>();
  const parsed = documentSchema.safeParse(withUpstreamDefaults(source.document));
  if (!parsed.success) for (const issue of parsed.error.issues) reportIssue(issue, source, raw, report);
  const inline = linkUpstreams(raw, report);
  checkNamesOfMaps(raw, report);
  checkWritten(raw, { report, readSecret, secrets });
  if (!parsed.success) return { problems: report.problems() };
  const document = parsed.data;
  const written = { raw, document, isTranslated: report.isTranslated };
  checkValues(written, report);
  if (!report.hasProblems) checkEffects(written, report);
  if (report.hasProblems) return { problems: report.problems() };
  return { config: configOf(document, inline, secrets), findings: report.findings() };
}

/** The document with upstreamDefaults under every named upstream, merged before any default is applied. */
function withUpstreamDefaults(document: unknown): unknown {
  const { upstreams, upstreamDefaults } = mapOf(document);
  if (!isMap(document) || !isMap(upstreams) || !isMap(upstreamDefaults)) return document;
  const merged = Object.entries(upstreams).map(([name, own]) => [name, layer(upstreamDefaults, own)]);
  return { ...document, upstreams: Object.fromEntries(merged) };
}

function layer(below: unknown, above: unknown): unknown {
  if (!isMap(below) || !isMap(above)) return above;
  const merged: RawMap = { ...below };
  for (const [key, value] of Object.entries(above)) merged[key] = layer(below[key], value);
  return merged;
}

function configOf(
  document: ConfigDocument,
  inline: ReadonlyMap<string, UpstreamConfig>,
  secrets: ReadonlyMap<string, string>,
): Config {
  const { upstreams, upstreamDefaults: _, splits, routes, ...rest } = document;
  const keyOf = ({ key, layer }: SplitConfig) => (layer === undefined ? key : rest.layers![layer]!.key);
  const only = Object.keys(splits).find((name) => !isForTexts(splits[name]!));
  const linked: RouteConfig[] =
    routes.length === 0 && only !== undefined
      ? [{ path: '/', exact: false, beforePatterns: false, split: only }]
      : routes.map(({ split, upstream, respond, ...place }) => {
          if (split !== undefined) return { ...place, split };
          return respond === undefined ? { ...place, upstream: upstream! } : { ...place, respond };
        });
  const effective = {
    ...rest,
    upstreams: new Map([...Object.entries(upstreams), ...inline].map(withoutSelf)),
    splits: new Map(
      Object.entries(splits).map(([name, split]) => [
        name,
        withSecret({ ...split, key: keyOf(split) }, secrets.get(name) ?? split.override?.secret),
      ]),
    ),
    routes: linked,
  };
  return { ...effective, hash: hashConfig(effective) };
}

function withSecret(split: SplitConfig, secret: string | undefined): SplitConfig {
  if (split.override === undefined) return split;
  return { ...split, override: { ...split.override, secret } };
}

/** An upstream that inherits itself as its fallback has none. */
function withoutSelf([name, upstream]: [string, UpstreamConfig]): [string, UpstreamConfig] {
  return [name, upstream.onDown === name ? { ...upstream, onDown: null } : upstream];
}
