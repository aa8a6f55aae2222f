// Plain YAML text -> Config, in a fraction of the time that nodes with places take. A text of another kind, and one with
// anything to report at a place in it, is read by config/parse. Reads no file.

import { type GivenSetting, overlay } from './env.ts';
import { type ConfigResult, linkSource } from './link.ts';
import { readPlainYaml } from './plain-yaml.ts';
import { withoutExtensions } from './raw.ts';
import type { ReadSecret } from './secrets.ts';
import { refuseText } from './text.ts';

/** What a text is read with. */
export interface ParseOptions {
  /** Reads the secrets that are not in the file; without it they are a problem. */
  readonly readSecret?: ReadSecret;
  /** Flags and environment variables, which take precedence over the file. */
  readonly settings?: readonly GivenSetting[];
}

/** Something has to be reported, and plain values have no places. */
class PlaceNeeded extends Error {}

/**
 * Config of a YAML text that is plain and right; undefined for every other one. Promise: config/parse makes the same Config
 * of the text, and reports nothing that has a place in it.
 */
export function parsePlain(
  text: string,
  { settings = [], readSecret }: ParseOptions,
): ConfigResult | undefined {
  if (refuseText(text, '', '') !== undefined) return undefined;
  const document = readPlainYaml(text);
  if (document === undefined) return undefined;
  const locate = () => {
    throw new PlaceNeeded();
  };
  try {
    const { source, problems } = overlay({ document: withoutExtensions(document), locate }, settings);
    const outcome = linkSource(source, readSecret);
    return problems.length > 0 || outcome.problems !== undefined ? undefined : outcome;
  } catch (cause) {
    if (cause instanceof PlaceNeeded) return undefined;
    throw cause;
  }
}
