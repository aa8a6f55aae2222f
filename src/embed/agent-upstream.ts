// An upstream as Node's HTTP client reaches it: its address, its TLS files, and the agent that pools its connections.
// Knows nothing of clients, time limits or faults.

import { Agent, type ClientRequest, request } from 'node:http';
import { request as requestTls, Agent as TlsAgent } from 'node:https';
import { isIP } from 'node:net';
import type { UpstreamUrl } from '../config/options/addresses.ts';
import { membersOf, type UpstreamConfig } from '../config/options/upstream.ts';
import { PEM_BYTES_MAX, readRegularFileSync } from '../regular-file.ts';
import { refuseWithoutCertificate } from '../upstream/tls.ts';

/** One upstream and its pool of connections. A handler owns one for each upstream, from its creation to `close`. */
export class AgentUpstream {
  readonly config: UpstreamConfig;
  readonly url: UpstreamUrl;
  readonly agent: Agent;
  /** The address, with the TLS files: what http-proxy calls a target. */
  readonly target: { host: string; port: number; protocol: string; socketPath?: string };
  /** The name for TLS, which http-proxy does not take from the target. */
  readonly serverName: { servername?: string };

  /** Throws as the file system does when a TLS file cannot be read: a handler without its certificates is useless. */
  constructor(config: UpstreamConfig) {
    const { pool } = config;
    const { url } = membersOf(config)[0]!;
    const options = { keepAlive: true, maxSockets: pool.maxConnections, timeout: pool.idleTimeout };
    const files = readTlsFiles(config);
    this.config = config;
    this.url = url;
    this.target = { host: url.host, port: url.port, protocol: url.tls ? 'https:' : 'http:', ...files };
    if (url.path !== null) this.target.socketPath = url.path;
    const name = config.tls?.serverName ?? url.host;
    this.serverName = url.tls ? { servername: isIP(name) === 0 ? name : '' } : {};
    this.agent = url.tls ? new TlsAgent({ ...options, ...files, ...this.serverName }) : new Agent(options);
  }

  /**
   * Starts a request, whose fields are names and values in turn. Without the pool it gets a connection of its own, which
   * closes after it. Throws when a byte of the target or of a field cannot be sent.
   */
  request(method: string, path: string, headers: readonly string[], usesPool: boolean): ClientRequest {
    const options = { ...this.target, ...this.serverName, method, path, headers };
    const agent = usesPool ? this.agent : false;
    // Said here, so that no environment variable turns the check of certificates off.
    return this.url.tls
      ? requestTls({ ...options, agent, rejectUnauthorized: true })
      : request({ ...options, agent });
  }

  /** True when every connection is busy and as many exchanges wait as may wait. */
  isFull(): boolean {
    const { maxConnections, maxQueued } = this.config.pool;
    return (
      countEntries(this.agent.sockets) >= maxConnections && countEntries(this.agent.requests) >= maxQueued
    );
  }
}

function readTlsFiles({ tls }: UpstreamConfig): { ca?: Buffer; cert?: Buffer; key?: Buffer } {
  const { caFile, certFile, keyFile } = tls ?? {};
  const ca = caFile === undefined ? undefined : readRegularFileSync(caFile, PEM_BYTES_MAX);
  if (ca !== undefined) refuseWithoutCertificate(ca);
  return {
    ...(ca !== undefined && { ca }),
    ...(certFile !== undefined && { cert: readRegularFileSync(certFile, PEM_BYTES_MAX) }),
    ...(keyFile !== undefined && { key: readRegularFileSync(keyFile, PEM_BYTES_MAX) }),
  };
}

function countEntries(lists: NodeJS.ReadOnlyDict<readonly unknown[]>): number {
  return Object.values(lists).reduce((sum, list) => sum + (list?.length ?? 0), 0);
}
