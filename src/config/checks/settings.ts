// Finds settings that another setting switches off or contradicts: they are written, valid and without effect. Runs when
// there are no problems; nothing here keeps a configuration from running.

import type { CheckReport, Written } from '../findings.ts';
import type { UpstreamUrl } from '../options/addresses.ts';
import type { ConfigDocument } from '../options/document.ts';
import type { UpstreamConfig } from '../options/upstream.ts';
import type { Path } from '../problem.ts';
import { isMap, mapOf, type RawMap, valueAt } from '../raw.ts';

/** Options that were written although another one keeps them from mattering. */
export function checkSwitchedOff({ raw, document }: Written, report: CheckReport): void {
  const off = (path: Path, reason: string) => {
    if (valueAt(raw, path) !== undefined) report.warn(path, `has no effect: ${reason}`);
  };
  if (document.accessLog.mode !== 'sampled') off(['accessLog', 'sample'], 'accessLog.mode is not sampled');
  if (document.assignments.to === 'off') {
    off(['assignments', 'window'], 'assignments.to is off');
    off(['assignments', 'secretFile'], 'assignments.to is off');
  }
  if (document.upgrades.length === 0)
    off(['timeouts', 'tunnelIdle'], 'upgrades is empty, so there are no tunnels');
  if (Object.keys(document.splits).length === 0) {
    for (const option of ['variantHeader', 'vary']) off([option], 'there is no split, so no variant');
  }
  if (!hasTls(raw, document)) off(['upstreamDefaults', 'tls'], 'no upstream is https://');
  if (document.upstreamDefaults.eject.failures === 0) offTimes(['upstreamDefaults', 'eject'], off);
  for (const [name, upstream] of Object.entries(document.upstreams)) {
    const at: Path = ['upstreams', name];
    if (upstream.eject.failures === 0) offTimes([...at, 'eject'], off);
    const servers = upstream.servers?.filter(({ down }) => !down);
    const only = upstream.url ?? (servers?.length === 1 ? servers[0]!.url : undefined);
    if (only !== undefined && isOneAddress(only)) {
      off([...at, 'eject'], 'the upstream has a single address, and the last one is never ejected');
      if (upstream.balance !== null) off([...at, 'balance'], 'the upstream has a single address');
    }
    if (upstream.pool.maxQueued === 0)
      off([...at, 'pool', 'queueTimeout'], 'maxQueued is 0, so no request waits');
    checkServerList(at, upstream, report);
  }
}

function offTimes(eject: Path, off: (path: Path, reason: string) => void): void {
  for (const option of ['time', 'timeMax'])
    off([...eject, option], 'eject.failures is 0, so nothing is ejected');
}

/** True when some upstream, named or written as a URL, is reached by TLS. */
function hasTls(raw: RawMap, { upstreams, splits, routes }: ConfigDocument): boolean {
  if (valueAt(raw, ['upstreamDefaults', 'tls']) === undefined) return true;
  const inline = Object.values(splits).flatMap(({ variants }) => variants.map(({ upstream }) => upstream));
  const fallbacks = Object.values(upstreams).map(({ onDown }) => onDown);
  const texts = [...inline, ...fallbacks, ...routes.map(({ upstream }) => upstream)];
  if (texts.some((text) => text?.startsWith('https://') === true)) return true;
  return Object.values(upstreams).some(
    ({ url, servers = [] }) => url?.tls === true || servers.some((server) => server.url.tls),
  );
}

/** A name may have several addresses, now or later. */
function isOneAddress({ host, path }: UpstreamUrl): boolean {
  return path !== null || host.includes(':') || /^\d+\.\d+\.\d+\.\d+$/.test(host);
}

function checkServerList(at: Path, { servers }: UpstreamConfig, report: CheckReport): void {
  if (servers === undefined) return;
  if (servers.every(({ backup, down }) => backup || down)) {
    report.warn(
      [...at, 'servers'],
      'are all backup or down: backup has no effect without a server that is not',
    );
  }
  const seen = new Set<string>();
  for (const [index, { url }] of servers.entries()) {
    const id = JSON.stringify(url);
    if (seen.has(id)) {
      report.warn(
        [...at, 'servers', index, 'url'],
        'is in the list already; weight gives a server a larger part',
      );
    }
    seen.add(id);
  }
}

/** Pairs of settings of which one makes the other pointless. */
export function checkContradictions({ raw, document }: Written, report: CheckReport): void {
  const { drain, upstreamDefaults } = document;
  if (drain.deadline > 0 && drain.grace >= drain.deadline) {
    const written = valueAt(raw, ['drain', 'grace']) === undefined ? 'deadline' : 'grace';
    report.warn(['drain', written], 'leaves no time: the deadline passes before the grace time ends');
  }
  const check = (at: Path, own: RawMap, { pool, probe }: Pick<UpstreamConfig, 'pool' | 'probe'>) => {
    if (isMap(own.pool) && pool.idleTimeout > pool.maxAge) {
      report.warn(
        [...at, 'pool'],
        'idleTimeout is longer than maxAge, so no connection is ever idle that long',
      );
    }
    if (isMap(own.probe) && probe !== undefined && probe.timeout > probe.interval) {
      report.warn(
        [...at, 'probe'],
        'timeout is longer than interval, so an answer may come after the next probe is due',
      );
    }
  };
  check(['upstreamDefaults'], mapOf(raw.upstreamDefaults), upstreamDefaults);
  for (const [name, upstream] of Object.entries(document.upstreams)) {
    check(['upstreams', name], mapOf(mapOf(raw.upstreams)[name]), upstream);
  }
}
