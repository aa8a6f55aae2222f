// Runs the checks of a document in their order. First what was written, then what one option says about another, and
// only when nothing is wrong what is valid and without effect. Each check knows one subject.

import { byKey } from '../by-key.ts';
import type { CheckReport, Written } from '../findings.ts';
import type { Path } from '../problem.ts';
import { isMap, mapOf, type RawMap } from '../raw.ts';
import { checkBalanceKey, checkBalanceUse } from './balance.ts';
import { checkClients } from './clients.ts';
import { checkExperiment, checkExperimentEffects, checkExperimentValues } from './experiments.ts';
import { checkOwnFields, checkSharedValues, checkSplitKey } from './keys.ts';
import { checkLayers } from './layers.ts';
import { checkAddresses, checkPorts, checkReach, checkRoutes, checkUse } from './routes.ts';
import { checkContradictions, checkSwitchedOff } from './settings.ts';
import {
  checkChoose,
  checkMintPath,
  checkOverride,
  checkSharesOfVariants,
  checkVariants,
  type SecretContext,
} from './splits.ts';
import {
  checkDestinations,
  checkHost,
  checkPlaces,
  checkSetHeaders,
  checkUpstreamOptions,
} from './upstreams.ts';
import { checkVariables } from './variables.ts';

/** Checks the document as it was written, whether its values could be read or not. */
export function checkWritten(raw: RawMap, context: SecretContext): void {
  const { report } = context;
  checkVariables(raw, report);
  for (const [name, value] of Object.entries(mapOf(raw.splits))) {
    const path: Path = ['splits', name];
    const split = mapOf(value);
    checkSplitKey(path, split, report);
    checkVariants(path, split, report);
    checkChoose(path, split, report);
    checkOverride(path, name, split, context);
    checkExperiment(path, split, raw, report);
    checkOwnFields(path, withKeyOfLayer(split, raw), raw, report);
  }
  for (const [name, layer] of Object.entries(mapOf(raw.layers)))
    checkSplitKey(['layers', name], mapOf(layer), report);
  for (const [name, upstream] of Object.entries(mapOf(raw.upstreams))) {
    if (!isMap(upstream)) continue;
    checkPlaces(['upstreams', name], upstream, report);
    checkBalanceKey(['upstreams', name, 'balance'], upstream.balance, report);
    checkHost(['upstreams', name, 'host'], upstream.host, report);
    checkSetHeaders(['upstreams', name, 'setHeaders'], mapOf(upstream.setHeaders), raw, report);
  }
  checkBalanceKey(['upstreamDefaults', 'balance'], mapOf(raw.upstreamDefaults).balance, report);
  checkHost(['upstreamDefaults', 'host'], mapOf(raw.upstreamDefaults).host, report);
  const common: Path = ['upstreamDefaults', 'setHeaders'];
  checkSetHeaders(common, mapOf(mapOf(raw.upstreamDefaults).setHeaders), raw, report);
  checkRoutes(raw, report);
}

/** A split in a layer has the key of the layer. */
function withKeyOfLayer(split: RawMap, raw: RawMap): RawMap {
  const { layer } = split;
  if (typeof layer !== 'string') return split;
  return { ...split, key: mapOf(mapOf(raw.layers)[layer]).key };
}

/** Checks values that were read against each other. */
export function checkValues(written: Written, report: CheckReport): void {
  checkAddresses(written, report);
  checkClients(written, report);
  checkUpstreamOptions(written, report);
  checkExperimentValues(written, report);
  checkLayers(written, report);
}

/**
 * Reports what a valid configuration says without effect. The work grows with the size of the document, not with its
 * square.
 */
export function checkEffects(written: Written, report: CheckReport): void {
  const { listen, routes, splits, trustedProxies } = written.document;
  checkPorts(written, report);
  checkReach(written, report);
  checkUse(written, report);
  const routesOf = byKey(routes, ({ split }) => split);
  for (const [name, raw] of Object.entries(mapOf(written.raw.splits))) {
    const path: Path = ['splits', name];
    const own = routesOf.get(name) ?? [];
    checkSharesOfVariants(path, splits[name]!, mapOf(raw), report);
    checkMintPath(path, splits[name]!, own, report);
    checkExperimentEffects(path, splits[name]!, report);
    const withKey = withKeyOfLayer(mapOf(raw), written.raw);
    const around = { routes: own, listen, trustedProxies, raw: written.raw };
    checkSharedValues(path, withKey, around, report);
  }
  checkDestinations(written, report);
  if (written.isTranslated) return;
  checkBalanceUse(written, report);
  checkSwitchedOff(written, report);
  checkContradictions(written, report);
}
