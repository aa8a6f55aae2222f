// What the charts draw, as SVG text.
import { describe, expect, it } from 'vitest';
import { barChart, latencyChart, memoryChart } from '../../../bench/chart.ts';
import { costing, row, scenario, soak, turn } from './made-up.ts';

const labels = (svg: string) => [...svg.matchAll(/text-anchor="end">([^<]+)/g)].map((match) => match[1]);
const bars = (svg: string) =>
  [...svg.matchAll(/<rect x="\d+" y="\d+" width="([\d.]+)"/g)].map((match) => Number(match[1]));

describe('the bars of processor time', () => {
  const svg = barChart(
    scenario(
      's',
      2000,
      row('direct', costing(0)),
      row('dear & slow', costing(40)),
      row('request-splitter', costing(20)),
      row('failed', turn({ cpuMicroseconds: 10_000, errors: 500 })),
    ),
  );

  it('are one for each contender, the cheapest first, and none for the way without a proxy', () => {
    expect(labels(svg)).toEqual(['title of failed', 'title of request-splitter', 'title of dear &amp; slow']);
    const [failed, ours, dear] = bars(svg) as [number, number, number];
    expect(ours / dear).toBeCloseTo(0.5, 2);
    expect(failed / dear).toBeCloseTo(0.25, 2);
  });

  it('are coloured for the splitter, and pale with a word for one that failed its requests', () => {
    expect(svg.match(/fill="#0b7285"/g)).toHaveLength(1);
    expect(svg.match(/fill-opacity="0.3"/g)).toHaveLength(1);
    expect(svg).toContain('10.0 µs (failed)');
  });

  it('stay inside of the picture, with the spread', () => {
    const wide = barChart(scenario('s', null, row('a', costing(10), costing(20), costing(90))));
    const ends = [...wide.matchAll(/x2="([\d.]+)"/g)].map((match) => Number(match[1]));
    expect(Math.max(...ends)).toBeLessThan(720);
  });
});

describe('the bars of latencies', () => {
  it('are three for each contender and for the way without a proxy', () => {
    const svg = latencyChart(scenario('s', 2000, row('direct', turn()), row('a', turn()), row('absent')));
    expect(labels(svg)).toEqual(['title of direct', 'title of a']);
    expect(bars(svg)).toHaveLength(6);
    expect(svg.match(/>p99\.9 3\.00 ms</g)).toHaveLength(2);
  });
});

describe('the line of memory', () => {
  it('has a point for each sample, and begins at zero MiB', () => {
    const svg = memoryChart(soak(60, 90, 75));
    const points = /points="([^"]+)"/
      .exec(svg)?.[1]
      ?.split(' ')
      .map((point) => point.split(',').map(Number));
    expect(points).toHaveLength(3);
    const [first, second, third] = points as [number[], number[], number[]];
    expect(first[0]).toBeLessThan(second[0]!);
    expect(second[1]).toBeLessThan(third[1]!); // more memory is further up
    expect(labels(svg).slice(0, 2)).toEqual(['0', '25']);
    expect(svg.match(/cycle \d, from/g)).toHaveLength(3);
  });
});
