// `explain URL`: why a request goes where it goes. Reads the request with the data plane's own parser and asks the same
// Splitter, by the function that also answers /explain on the admin port. Exit code 1 when the request is refused.

import { Command, CommanderError } from 'commander';
import { type Explained, explainRequest } from '../admin/explain.ts';
import type { Config } from '../config/options/document.ts';
import { formatSlot } from '../config/options/experiment.ts';
import type { RouteConfig } from '../config/options/route.ts';
import { variablesOf } from '../key/key-text.ts';
import { compileMatches, compileRoutes } from '../routing/routes.ts';
import { formatPercent } from '../split/change.ts';
import type { EnrolmentFacts } from '../split/enrolment.ts';
import { keyTexts } from '../split/key-list.ts';
import { compileSplits } from '../split/own.ts';
import {
  addConfigOptions,
  addTimeOption,
  type ConfigFlags,
  commandClock,
  loadOrEnd,
  SPLIT_SETTINGS,
} from './options.ts';
import { table } from './table.ts';
import type { Terminal } from './terminal.ts';

interface ExplainFlags extends ConfigFlags {
  readonly method: string;
  readonly host: string;
  readonly address: string;
  readonly header?: readonly string[];
  readonly of?: string;
  readonly json?: boolean;
  readonly at?: number;
}

/** The command, ready to be added to the program. */
export function explainCommand(terminal: Terminal): Command {
  const command = new Command('explain')
    .summary('explain why a request goes where it goes')
    .description(
      'Prints key, hash, position, range, variant and reason of one request, as the running splitter would decide it. Exit code 1 if the request would be refused.',
    )
    .argument('<URL>', 'request target as it is on the wire, like "/x?token=42"')
    .option('--method <METHOD>', 'request method', 'GET')
    .option('--host <HOST>', 'Host of the request', 'localhost')
    .option('--address <IP>', 'address of the client', '127.0.0.1')
    .option(
      '-H, --header <FIELD>',
      'a field like "Cookie: uid=7"; may be repeated',
      (field: string, all: readonly string[] = []) => [...all, field],
    )
    .option('--of <SPLIT>', 'use this split, whatever the routes say')
    .option('--json', 'print the answer of /explain on the admin port');
  addTimeOption(command);
  return addConfigOptions(command, SPLIT_SETTINGS).action(async (url: string, flags: ExplainFlags) => {
    const { config } = await loadOrEnd(flags, terminal);
    const { own, splitters } = compileSplits(config, { clock: commandClock(flags) });
    const routeOf = compileRoutes(config, config.routes, compileMatches(config, own));
    const explained = explainRequest(
      {
        number: 0,
        config,
        splitters,
        route: (head) => {
          const route = routeOf(head);
          if (typeof route === 'string') return route;
          const { split, upstream, respond } = route;
          const changes = explainedChanges(route);
          if (split !== undefined) return { ...changes, splitter: splitters.get(split)! };
          if (respond === undefined)
            return { ...changes, splitter: null, destination: { upstream: { name: upstream } } };
          return { ...changes, splitter: null, destination: null, fixed: { answer: respond } };
        },
      },
      {
        url: asSent(url),
        method: flags.method,
        host: flags.host,
        address: flags.address,
        split: flags.of,
        headers: (flags.header ?? []).map(asSent),
      },
    );
    if ('problem' in explained) {
      const problem = explained.problem.replace('split=', '--of').replace('; got', ', got');
      return command.error(`error: ${problem}`, { exitCode: 2 });
    }
    const hint = explained.fault === undefined ? null : urlHint(url, config.splits);
    const text =
      flags.json === true
        ? JSON.stringify(explained, null, 2)
        : [...explanationLines(explained), ...(hint === null ? [] : ['', hint])].join('\n');
    terminal.writeOut(`${text}\n`);
    if (explained.fault !== undefined) throw new CommanderError(1, 'request-splitter.refused', '');
  });
}

function explainedChanges({ setResponseHeaders = {}, errorAnswers = [] }: RouteConfig) {
  // Of two answers to one status the first one counts.
  const answers = errorAnswers
    .toReversed()
    .flatMap(({ statuses, respond, keepStatus }) =>
      statuses.map((status) => [status, { answer: respond, keepsStatus: keepStatus }] as const),
    );
  return { responseFields: { names: Object.keys(setResponseHeaders) }, errorAnswers: new Map(answers) };
}

/** What was probably meant by a URL that is no request target: `42` is the token of "/?token=42". */
function urlHint(url: string, splits: Config['splits']): string | null {
  if (url.startsWith('/') || url.includes('://') || url === '*') return null;
  const [split] = splits.values();
  const [first = ''] = split === undefined ? [] : keyTexts(split.key);
  const argument = /^arg_(.+)$/.exec(variablesOf(first)[0]?.name ?? '')?.[1] ?? 'token';
  const meant = /[?=/]/.test(url) ? `/${url.includes('?') ? '' : '?'}${url}` : `/?${argument}=${url}`;
  return `A request target begins with "/": did you mean '${meant}'?`;
}

// What the terminal gave as UTF-8 is put on the wire as those bytes; the parser takes one character per byte.
function asSent(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

function explanationLines(explained: Explained): string[] {
  const { request, split, variant, upstream, answer, fault } = explained;
  const url = Buffer.from(request.url, 'latin1').toString('utf8');
  const head =
    fault !== undefined
      ? `${url} is refused with ${fault.status} ${fault.code}: ${fault.sentence}`
      : answer !== undefined
        ? answeredHere(url, answer.status)
        : split === null
          ? `${url} goes to upstream ${upstream}, because its route has no split`
          : `${url} goes to ${variant}${variant === upstream ? '' : ` (${upstream})`}`;
  const rows = [...facts(explained), ...changeRows(explained)];
  return rows.length === 0 ? [head] : [head, '', ...table(rows).map((row) => `  ${row}`)];
}

function changeRows({ responseFields = [], errorAnswers = {} }: Explained): string[][] {
  const answers = Object.entries(errorAnswers).map(([status, sent]) =>
    status === String(sent) ? `${status} by its own answer` : `${status} by ${sent}`,
  );
  return [
    ...(responseFields.length === 0 ? [] : [['fields', `${responseFields.join(', ')} of the response`]]),
    ...(answers.length === 0 ? [] : [['errors', answers.join(', ')]]),
  ];
}

function answeredHere(url: string, status: number): string {
  if (status === 444)
    return `the connection of ${url} is closed without an answer, because its route says so`;
  return `${url} is answered with ${status} by its route, without an upstream`;
}

function facts({
  split,
  method,
  keySource,
  isMinted,
  isRemembered,
  override,
  key,
  hash,
  positionPercent,
  range,
  scores,
  shareRatio,
  reason,
  missingKey,
  enrolment,
  choice,
  variables,
}: Explained): string[][] {
  if (split === null || hash === undefined || positionPercent === undefined) return [];
  const rows = [
    ['split', `${split}, by ${method}`],
    [
      'key',
      `${keySource} = "${key}"${isMinted ? ', minted: without the cookie each request gets a new one' : ''}${isRemembered ? ', and the answer remembers it in a cookie' : ''}`,
    ],
    ['hash', `${hash}, at ${positionPercent.toFixed(4)}% of all hashes`],
  ];
  if (range !== null && range !== undefined && reason === 'share') {
    rows.push(['range', `${range.from} to ${range.end - 1}`]);
  }
  if (scores !== null && scores !== undefined && reason === 'share') {
    const all = scores.map(({ variant, score }) => `${variant} ${Number(score.toPrecision(6))}`);
    rows.push(['scores', `${all.join(', ')}; the highest wins`]);
  }
  if (shareRatio !== null && shareRatio !== undefined) rows.push(['share', formatPercent(shareRatio)]);
  if (override !== null && override !== undefined && !override.isGranted) {
    rows.push(['override', `asked for by ${override.place}, not granted`]);
  }
  if (enrolment !== null && enrolment !== undefined) rows.push(...enrolmentRows(enrolment));
  for (const { name, of, match, value } of variables ?? []) {
    const how = match === 'default' ? 'default' : `entry ${JSON.stringify(match)}`;
    rows.push([`$${name}`, `${JSON.stringify(value)}, the ${how} for ${JSON.stringify(of)}`]);
  }
  if (choice !== undefined) rows.push(['choose', `${choice.text} = ${JSON.stringify(choice.value)}`]);
  rows.push([
    'reason',
    reason === 'missing_key'
      ? `missing_key (the request has no key, missingKey is ${missingKey})`
      : reason === 'override'
        ? `override (asked for by ${override?.place ?? `choose: ${choice?.text}`})`
        : reason === 'not_targeted'
          ? 'not_targeted (the request does not fulfil `when`)'
          : String(reason),
  ]);
  return rows;
}

function enrolmentRows({ layer, isStopped, coverageRatio, positionPercent }: EnrolmentFacts): string[][] {
  const rows: string[][] = [];
  if (layer !== null) {
    const { name, slot, isInSlot } = layer;
    const place = `${isInSlot ? 'in' : 'outside'} slot ${formatSlot(slot)}`;
    rows.push(['layer', `${name}, at ${layer.positionPercent.toFixed(4)}%, ${place}`]);
  }
  if (isStopped) rows.push(['coverage', '0%: the guard has stopped the split']);
  else {
    const place = positionPercent < coverageRatio * 100 ? 'below' : 'not below';
    rows.push(['coverage', `at ${positionPercent.toFixed(4)}%, ${place} ${formatPercent(coverageRatio)}`]);
  }
  return rows;
}
