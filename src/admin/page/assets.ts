// The files of the page, as the admin port serves them. They are read from where they are written and from uPlot's package;
// the build replaces this module by one that holds their texts, so that the bundle needs no file beside it.

import { readFileSync } from 'node:fs';

/** The modules of the page; page.js imports the others. */
const MODULES = [
  'page.js',
  'answers.js',
  'bar.js',
  'elements.js',
  'explain.js',
  'plot.js',
  'reading.js',
  'split-view.js',
  'upstream-view.js',
];

/** One file as it is sent. */
interface Asset {
  readonly type: string;
  readonly body: string;
}

const HTML = 'text/html; charset=utf-8';
const CSS = 'text/css; charset=utf-8';
const SCRIPT = 'text/javascript; charset=utf-8';

/** Every file of the page by its path. */
export function readPage(): Record<string, Asset> {
  const own = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');
  const uplot = (url: string) => readFileSync(new URL(url), 'utf8');
  return {
    '/': { type: HTML, body: own('./index.html') },
    '/page.css': { type: CSS, body: own('./page.css') },
    ...Object.fromEntries(MODULES.map((name) => [`/${name}`, { type: SCRIPT, body: own(`./${name}`) }])),
    '/uplot.css': { type: CSS, body: uplot(import.meta.resolve('uplot/dist/uPlot.min.css')) },
    '/uplot.js': { type: SCRIPT, body: uplot(import.meta.resolve('uplot/dist/uPlot.iife.min.js')) },
  };
}
