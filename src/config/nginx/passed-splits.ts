// The splits that a proxy_pass with variables leads to: each value that it can have is a variant, chosen by the shares of a
// split_clients block, by a map in front of it, or by a map alone. Knows nothing of what is sent to an upstream.
// Sources: nginx's ngx_http_proxy_module.c, ngx_http_split_clients_module.c, ngx_http_map_module.c.

import { didYouMean } from '../../did-you-mean.ts';
import { checkKey, type KeyFault } from '../../key/compile.ts';
import { variablesOf, writeVariable } from '../../key/key-text.ts';
import { isNginxVariable } from '../../key/nginx-names.ts';
import { type Path, showGot } from '../problem.ts';
import { describeSecret, hasLiterals } from '../secrets.ts';
import { free, plainName } from './directives.ts';
import type { TranslationReport } from './report.ts';
import type { Directive, Position } from './syntax.ts';
import type { FileVariables } from './variables.ts';

/** The upstream for a value of proxy_pass, where these variables have one value; undefined where it is none. */
type UpstreamFor = (text: string, known: ReadonlyMap<string, string>) => string | undefined;

/** Gathers the splits of one nginx.conf. Made for one translation, by ProxyDestinations. */
export class PassedSplits {
  /** By their names in the document. */
  readonly made = new Map<string, unknown>();
  readonly #report: TranslationReport;
  readonly #variables: FileVariables;
  /** The name of each, by all that it says: the same twice is one entry. */
  readonly #names = new Map<string, string>();

  constructor(report: TranslationReport, variables: FileVariables) {
    this.#report = report;
    this.#variables = variables;
  }

  /** The split for a proxy_pass with variables: each of its values is a variant. */
  chosen(word: Directive['words'][number], upstreamFor: UpstreamFor): string | undefined {
    const fail = (expected: string, got = word.text): undefined =>
      void this.#report.fail(word, 'proxy_pass', expected, showGot(got));
    const names = new Set(variablesOf(word.text).map(({ name }) => name));
    const [variable = ''] = names;
    const unknown = [...names].find((name) => !this.#variables.has(name));
    if (unknown !== undefined) {
      const known = this.#variables.names.map((name) => `$${name}`);
      return fail(`variables of split_clients and map${didYouMean(`$${unknown}`, known)}`, `$${unknown}`);
    }
    const { splits, isDynamic } = this.#variables.inputsOf(word.text);
    const [only = ''] = splits;
    if (splits.size === 1 && !isDynamic) {
      const split = this.#variables.splitOf(only)!;
      // Its values are names of upstreams only where nothing stands between the two.
      const isMapped = variable !== only;
      const upstreamOf = (value: string) => {
        const known = new Map([[only, value]]);
        return upstreamFor(this.#variables.evaluate(word.text, known), known);
      };
      return this.#split(only, split, upstreamOf, null, isMapped);
    }
    const values = names.size === 1 ? this.#variables.valuesOf(`$${variable}`) : null;
    if (values === null) {
      const loop = this.#variables.loopOf(variable);
      if (loop !== undefined) return fail('a variable that does not read itself', loop);
      return fail(
        'one variable whose values are those of a map or of split_clients, 1000 at most, because a request could name any host otherwise',
      );
    }
    const upstreamOf = (value: string): string | undefined => {
      const known = new Map([[variable, value]]);
      return upstreamFor(withLiterals(word.text, known), known);
    };
    const choose = writeVariable(variable);
    this.#variables.read(variable);
    if (splits.size === 1)
      return this.#split(only, this.#variables.splitOf(only)!, upstreamOf, { choose, values });
    return this.#choice(variable, choose, values, upstreamOf, word);
  }

  /** A split without shares: a map alone decides. nginx answers 500 for an empty value, and so does a split without it. */
  #choice(
    variable: string,
    choose: string,
    values: ReadonlySet<string>,
    upstreamOf: (value: string) => string | undefined,
    at: Position,
  ): string {
    const taken = new Map<string, unknown>();
    const variants = [...values].flatMap((value) => this.#variant(value, upstreamOf, taken, {}));
    const id = JSON.stringify(['choice', choose, variants]);
    const made = this.#names.get(id);
    if (made !== undefined) return made;
    const name = free(`${variable}-choice`, this.made);
    this.#names.set(id, name);
    this.#report.origin(['splits', name], at, 'proxy_pass');
    this.made.set(name, { choose, missingKey: 'first', variants });
    return name;
  }

  #variant(
    value: string,
    upstreamOf: (value: string) => string | undefined,
    taken: Map<string, unknown>,
    share: { readonly share?: string },
    isMapped = false,
  ): Record<string, unknown>[] {
    const upstream = value === '' && !isMapped ? undefined : upstreamOf(value);
    if (upstream === undefined) return [];
    const name = free(value === '' ? 'empty' : plainName(value.replace(/^https?:\/\//, '')), taken);
    taken.set(name, true);
    return [{ name, ...share, upstream, ...(name === value ? {} : { value }) }];
  }

  /** The split of a split_clients block. With a choice its other values are variants that no share leads to. */
  #split(
    variable: string,
    clients: Directive,
    upstreamOf: (value: string) => string | undefined,
    choice: { readonly choose: string; readonly values: ReadonlySet<string> } | null = null,
    isMapped = false,
  ): string {
    const [key] = clients.words;
    // Told together with everything else: the key is linked only where nothing else is wrong.
    const fault = checkKey(key!.text, this.#variables.scope);
    if (fault !== null) reportTextFault(this.#report, key!, 'split_clients', key!.text, fault);
    const taken = new Map<string, unknown>();
    const variants: Record<string, unknown>[] = [];
    const places: [share: Position, value: Position][] = [];
    const own = new Set<string>();
    for (const {
      name: share,
      words: [value, more],
      block,
    } of clients.block!) {
      if (value === undefined || more !== undefined || block !== null) continue;
      if (!isMapped && !/^(?:https?:\/\/)?[A-Za-z0-9._:[\]-]+$/.test(value.text)) {
        this.#report.fail(value, 'split_clients', 'the name of an upstream or a host', showGot(value.text));
        continue;
      }
      own.add(value.text);
      const made = this.#variant(value.text, upstreamOf, taken, { share: share.text }, isMapped);
      if (made.length > 0) places.push([share, value]);
      variants.push(...made);
    }
    const others = [...(choice?.values ?? [])].filter((value) => !own.has(value));
    const parked = others.flatMap((value) => this.#variant(value, upstreamOf, taken, { share: '0%' }));
    // In front: an empty range owns nothing wherever it is, and "*" has to be last.
    variants.unshift(...parked);
    const chosen = choice === null ? {} : { choose: choice.choose };
    const id = JSON.stringify(['split', variable, variants, chosen]);
    const made = this.#names.get(id);
    if (made !== undefined) return made;
    const name = free(variable, this.made);
    this.#names.set(id, name);
    this.#report.origin(['splits', name], clients.words[1]!, 'split_clients');
    this.#report.origin(['splits', name, 'key'], key!, 'split_clients');
    for (const [index, [share, value]] of places.entries()) {
      const path: Path = ['splits', name, 'variants', index + parked.length];
      this.#report.origin([...path, 'share'], share, 'split_clients');
      this.#report.origin(path, value, 'split_clients');
    }
    this.made.set(name, { key: key!.text, missingKey: 'first', ...chosen, variants });
    return name;
  }
}

/** The text with the variables that have one value put in. */
export function withLiterals(text: string, literals: ReadonlyMap<string, string>): string {
  return text.replace(
    /\$(?:\{(\w+)\}|([1-9]|\w+))/g,
    (whole, braced: string | undefined, bare: string | undefined) =>
      literals.get((braced ?? bare)!.toLowerCase()) ?? whole,
  );
}

/** Reports a text that cannot be compiled. What may be a secret is not repeated. */
export function reportTextFault(
  report: TranslationReport,
  at: Position,
  directive: string,
  text: string,
  { error }: KeyFault,
): void {
  const [expected, got] = error.replace(/^expected /, '').split(', got ');
  // A password may have a "$" in it: only what nginx itself calls a variable is shown.
  const [, name] = /^"\$\{?(\w+)\}?"$/.exec(got ?? '') ?? [];
  const isName = name !== undefined && (/^[1-9]$/.test(name) || isNginxVariable(name.toLowerCase()));
  const isSecret = directive === 'proxy_set_header' && !isName && hasLiterals(text);
  report.fail(at, directive, expected ?? error, isSecret ? describeSecret(text) : (got ?? showGot(text)));
}
