// Parses the argument of bench/compare.ts that describes a build of the splitter. Pure.
import { resolve } from 'node:path';
import { type Rival, splitter } from './rivals.ts';

const ASSIGNMENT = /^([A-Z][A-Z0-9_]*)=(.*)$/s;

/**
 * NAME=path/to/main.js, then with commas flags of node (`--…`), variables (`WORKERS=2`) and one configuration file
 * (`….yaml`); null where the text is no such thing.
 */
export function parseBuild(text: string): Rival | null {
  const [, name, rest] = /^([^=,]+)=(.+)$/s.exec(text) ?? [];
  if (name === undefined || rest === undefined) return null;
  const [main, ...more] = rest.split(',') as [string, ...string[]];
  const config = more.find((one) => one.endsWith('.yaml'));
  return splitter(name, name, {
    main: resolve(main),
    nodeFlags: more.filter((one) => one.startsWith('--')),
    env: Object.fromEntries(
      more.flatMap((one) => [ASSIGNMENT.exec(one)?.slice(1, 3) ?? []].filter((pair) => pair.length === 2)),
    ),
    ...(config === undefined ? {} : { config: resolve(config) }),
  });
}
