// @ts-check
// The form that asks /explain why a token or a URL goes where it goes, and the answer in sentences.

import { ask } from './answers.js';
import { byId, countFormat, make } from './elements.js';

/** @typedef {import('../status.ts').StatusV1['splits'][number]} SplitStatus */
/** @typedef {import('../explain.ts').Explained} Explained */

/** Number of hash values. */
const HASHES = 2 ** 32;
const splitChoice = /** @type {HTMLSelectElement} */ (byId('explain-split'));
const question = /** @type {HTMLInputElement} */ (byId('question'));

/** What a browser encodes in a URL that is typed; in a token also what would end it. A "%" stays: it may begin an encoded byte. */
const NOT_IN_URL = /[^!$&'()*+,\-./0-9:;=?@A-Z_a-z~%]/gu;
const NOT_IN_TOKEN = /[^!$'()*+,\-./0-9:;=?@A-Z_a-z~%]/gu;

/**
 * The query of /explain for what was typed: a URL as it is, a token where the split's key text looks for it.
 * @param {string} typed
 * @param {SplitStatus | undefined} split
 */
function questionFor(typed, split) {
  if (/^(\/|https?:\/\/)/.test(typed)) {
    // The routes decide for a URL, unless a split was chosen among several.
    const chosen = splitChoice.hidden || split === undefined ? '' : `split=${split.name}&`;
    return `${chosen}url=${encodeURIComponent(typed.replace(NOT_IN_URL, encodeURIComponent))}`;
  }
  if (split === undefined) return null;
  const [, kind, name = ''] = /\$\{?(arg|cookie|http)_(\w+)/.exec(split.key) ?? [];
  switch (kind) {
    case 'arg':
      return `split=${split.name}&url=${encodeURIComponent(`/?${name}=${typed.replace(NOT_IN_TOKEN, encodeURIComponent)}`)}`;
    case 'cookie':
      return `split=${split.name}&header=${encodeURIComponent(`Cookie: ${name}=${typed}`)}&url=/`;
    case 'http':
      return `split=${split.name}&header=${encodeURIComponent(`${name.replaceAll('_', '-')}: ${typed}`)}&url=/`;
    default:
      return null;
  }
}

/** @param {...Node} content */
function answerWith(...content) {
  byId('answer').replaceChildren(...content);
}

/**
 * Answers the form from now on.
 * @param {() => readonly SplitStatus[] | null} splits those of the last answer
 * @param {(index: number, position: number | null) => void} point marks a position in the bar of a split; null takes the mark away
 */
export function answerQuestions(splits, point) {
  byId('explain').addEventListener('submit', async (event) => {
    event.preventDefault();
    const known = splits();
    if (known === null) return;
    const index = Math.max(0, splitChoice.selectedIndex);
    const query = questionFor(question.value, known[index]);
    for (const other of known.keys()) point(other, null);
    if (query === null) {
      const key = known[index]?.key;
      const why = key === undefined ? 'There is no split' : `This split's key is ${key}`;
      answerWith(make('p', 'bad', `${why}: type a URL.`));
      return;
    }
    try {
      const explained = /** @type {Explained} */ (await ask(`/explain?${query}`));
      if (explained.range !== null && explained.range !== undefined)
        point(index, explained.positionPercent ?? null);
      answerWith(...sentences(explained));
    } catch (cause) {
      answerWith(make('p', 'bad', cause instanceof Error ? cause.message : String(cause)));
    }
  });
}

/** @param {Explained} explained */
function sentences(explained) {
  const { fault, key, variant, upstream, answer } = explained;
  /** @type {Node[]} */
  const nodes = [];
  if (fault !== undefined) {
    nodes.push(make('p', 'bad', `Refused with ${fault.status} ${fault.code}: ${fault.sentence}.`));
  } else if (answer !== undefined) {
    nodes.push(make('p', '', make('strong', '', `→ ${answer.status}`), ' by its route, without an upstream'));
  } else {
    nodes.push(
      make(
        'p',
        '',
        make('strong', '', `→ ${variant ?? upstream}`),
        variant === null ? ' by its route' : ` at ${upstream}`,
      ),
    );
  }
  const changes = changeFacts(explained);
  if (key === undefined) {
    if (changes.length > 0) nodes.push(factList(changes));
    return nodes;
  }
  const { keySource, hash, positionPercent, range, reason } = /** @type {Required<Explained>} */ (explained);
  /** @type {[name: string, value: string][]} */
  const facts = [
    ['Key', key === '' ? `none (${keySource})` : `${key} (${keySource})`],
    ['Hash', `${countFormat.format(hash)} of ${countFormat.format(HASHES)}`],
    ['Position', `${positionPercent.toFixed(4)} %`],
  ];
  if (range !== null) {
    facts.push([
      'Range',
      `${((range.from / HASHES) * 100).toFixed(4)} % to ${((range.end / HASHES) * 100).toFixed(4)} %`,
    ]);
  }
  facts.push([
    'Reason',
    reason === 'share' ? 'the key lies in the share of this variant' : reason.replace('_', ' '),
  ]);
  nodes.push(factList([...facts, ...changes]));
  return nodes;
}

/**
 * What the route changes on the way back.
 * @param {Explained} explained
 * @returns {[name: string, value: string][]}
 */
function changeFacts({ responseFields = [], errorAnswers = {} }) {
  const answers = Object.entries(errorAnswers).map(([status, sent]) => `${status} → ${sent}`);
  return [
    .../** @type {[string, string][]} */ (
      responseFields.length === 0 ? [] : [['Response fields', responseFields.join(', ')]]
    ),
    .../** @type {[string, string][]} */ (answers.length === 0 ? [] : [['Errors', answers.join(', ')]]),
  ];
}

/** @param {[name: string, value: string][]} facts */
function factList(facts) {
  return make(
    'dl',
    '',
    ...facts.flatMap(([name, value]) => [make('dt', 'faint', name), make('dd', 'mono', value)]),
  );
}
