// How results become tables and bench/RESULTS.md.
import { describe, expect, it } from 'vitest';
import { resultsMarkdown, scenarioTable, soakTable, targetTable } from '../../../bench/report.ts';
import { costing, results, row, scenario, soak, turn } from './made-up.ts';

const cellsOf = (text: string, line: number) =>
  text
    .split('\n')
    [line]?.split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());

describe('the table of a scenario', () => {
  it('gives the ratio to the reference, the throughput and the busy share of the core', () => {
    const text = scenarioTable(
      scenario('s', null, row('ours', costing(20)), row('nginx-tuned', costing(10))),
      'nginx-tuned',
    );
    expect(cellsOf(text, 2)).toEqual([
      'title of ours',
      '20.0',
      '±0%',
      '2.00x',
      '500',
      '1%',
      '1.00',
      '2.00',
      '50',
    ]);
  });

  it('has p99.9 only where requests came by the clock, and no cost for the way without a proxy', () => {
    expect(scenarioTable(scenario('s', null, row('a', turn())), 'a')).not.toContain('p99.9');
    const byTheClock = scenarioTable(scenario('s', 2000, row('direct', turn())), 'a');
    expect(byTheClock).toContain('p99.9 ms');
    expect(cellsOf(byTheClock, 2)).toEqual([
      'title of direct',
      '-',
      '',
      '-',
      '500',
      '-',
      '1.00',
      '2.00',
      '3.00',
      '-',
    ]);
  });

  it('marks who failed more than one request in a thousand, and says of everybody how many', () => {
    const text = scenarioTable(
      scenario(
        's',
        null,
        row('a', turn({ answered: 97, errors: 3 })),
        row('b', turn({ answered: 9999, errors: 1 })),
      ),
      'a',
    );
    expect(cellsOf(text, 2)?.[0]).toBe('title of a **!**');
    expect(cellsOf(text, 3)?.[0]).toBe('title of b');
    expect(text).toContain('**!** more than 0.1 % of its requests failed');
    expect(text).toContain('title of a: 3 requests failed in 1 rounds (3.00 %)');
    expect(text).toContain('title of b: 1 requests failed in 1 rounds (0.01 %)');
  });

  it('says below it which contenders truncated answers or dropped log lines, and which turns are missing', () => {
    const text = scenarioTable(
      {
        ...scenario('s', null, row('a', turn({ complete: false, linesDropped: 7 }))),
        notes: ['a: no figure of round 2'],
      },
      'a',
    );
    expect(text).toContain('title of a: truncated answers in 1 of 1 rounds, its figures are invalid');
    expect(text).toContain('title of a: 7 lines of its log were dropped in 1 rounds');
    expect(text).toContain('a: no figure of round 2');
  });

  it('prints a dash, never NaN, for a contender that answered nothing or took no turn', () => {
    const nothing = row('a', turn({ answered: 0, cpuMicroseconds: 0 }));
    expect(scenarioTable(scenario('s', null, nothing, row('b')), 'nginx-tuned')).not.toMatch(/NaN|Infinity/);
  });
});

describe('the written results', () => {
  const charts = {
    cpu: (name: string) => `charts/${name}.svg`,
    latency: (name: string) => `charts/${name}-latency.svg`,
    soak: 'charts/soak.svg',
  };
  const all = results({
    missing: ['HAProxy needs haproxy'],
    scenarios: [
      scenario('small-get', null, row('request-splitter', costing(13)), row('nginx-tuned', costing(10))),
      scenario('rate-2000', 2000, row('direct', turn()), row('request-splitter', turn())),
    ],
    starts: [
      { rival: 'request-splitter', title: 'request-splitter', startMs: [150], memoryMiB: 60, privateMiB: 14 },
    ],
    micro: [{ name: 'decide by $arg_token, small', medianNs: 99.6, fastestNs: 90.2 }],
    soak: soak(90, 100, 101),
  });
  const text = resultsMarkdown(all, charts);

  it('name the machine, the versions, the conditions and who was missing', () => {
    expect(text).toContain('- processor: one');
    expect(text).toContain('- httpxy: httpxy 1.2.3');
    expect(text).toContain('- missing: HAProxy needs haproxy');
    expect(text).toContain('length of small-get.');
    expect(text).toContain('## Conditions');
    expect(text).not.toMatch(/NaN|undefined/);
  });

  it('show a chart of each scenario, of latencies where requests came by the clock, and of the soak', () => {
    expect([...text.matchAll(/\]\((charts\/[^)]+)\)/g)].map((match) => match[1])).toEqual([
      'charts/small-get.svg',
      'charts/rate-2000.svg',
      'charts/rate-2000-latency.svg',
      'charts/soak.svg',
    ]);
  });

  it('have the targets, the starts, the soak and the steps of an exchange', () => {
    expect(text).toContain(targetTable(all));
    expect(text).toContain(soakTable(soak(90, 100, 101)));
    expect(text).toContain('1000 requests answered, 0 failed');
    expect(text).toMatch(/\| decide by \$arg_token, small \| +100 \| +90 \|/);
    expect(text).toMatch(/\| request-splitter \| +150 \|/);
  });

  it('say first what was reached, and whether the machine was quiet', () => {
    expect(text.indexOf('## Targets')).toBeLessThan(text.indexOf('- processor: one'));
    expect(text).toContain('The machine was quiet. Other programs used 0.010 cores');
    const busy = resultsMarkdown(
      { ...all, scenarios: [scenario('small-get', null, row('a', turn({ foreignCores: 0.5 })))] },
      charts,
    );
    expect(busy).toContain('**The machine was busy: every verdict is withheld.** Other programs used 0.500');
    const unwatched = scenario('small-get', null, row('a', turn({ foreignCores: null })));
    expect(resultsMarkdown({ ...all, scenarios: [unwatched] }, charts)).toContain('Nobody watched');
  });

  it('show the pauses of the collector, and how a large configuration was taken', () => {
    const withPauses = {
      ...scenario('rate-2000', 2000, row('direct', turn())),
      pauses: [['young generation', 0.7] as const],
    };
    const more = resultsMarkdown(
      {
        ...all,
        scenarios: [withPauses],
        growth: { title: 'large', startMs: [300], reloads: [{ blockMs: 12, takenMs: 400 }] },
      },
      charts,
    );
    expect(more).toMatch(/\| 0\.5 to 1 ms +\| +1 \| +0\.7 \|/);
    expect(more).toContain('1 pauses (young generation 1), the longest 0.70 ms.');
    expect(more).toMatch(/\| a reload holds the event loop at once for at most +\| +12\.0 \|/);
  });

  it('have no section for what was not measured', () => {
    const less = resultsMarkdown({ ...all, starts: [], micro: [], soak: null }, charts);
    expect(less).not.toMatch(/^## (Start|Soak|Steps of an exchange)$/m);
  });
});

describe('the table of a soak', () => {
  it('has the memory after each load, a line for each cycle', () => {
    const text = soakTable(soak(90, 100));
    expect(cellsOf(text, 0)).toEqual(['MiB after', 'small-get', 'open-2000']);
    expect(cellsOf(text, 3)).toEqual(['cycle 2', '50', '100']);
  });
});
