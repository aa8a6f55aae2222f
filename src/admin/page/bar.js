// @ts-check
// A bar of shares with the names of the variants in it, and a mark for the position of an explained key.

import { colorOf, make, ratioText, show } from './elements.js';

/** One bar. The SplitView that made it owns it. */
export class Bar {
  /**
   * @param {readonly { readonly name: string }[]} variants
   * @param {string} label
   */
  constructor(variants, label) {
    this.label = label;
    this.names = variants.map(({ name }) => name);
    this.parts = variants.map((_, index) => {
      const part = make('div', `part pattern-${index % 4}`, make('span', ''));
      part.style.backgroundColor = `var(${colorOf(index)})`;
      return part;
    });
    this.mark = make('div', 'mark');
    this.mark.hidden = true;
    this.node = make('div', 'bar', ...this.parts, this.mark);
    this.node.setAttribute('role', 'img');
  }

  /** @param {readonly (number | null)[]} ratios null = not known */
  update(ratios) {
    const texts = ratios.map((ratio) => (ratio === null ? '–' : ratioText(ratio)));
    const named = texts.slice(0, NAMED_MAX).map((text, index) => `${this.names[index]} ${text}`);
    if (texts.length > NAMED_MAX) named.push(`and ${texts.length - NAMED_MAX} more`);
    const label = `${this.label}: ${named.join(', ')}`;
    if (this.node.getAttribute('aria-label') !== label) this.node.setAttribute('aria-label', label);
    for (const [index, part] of this.parts.entries()) {
      const ratio = ratios[index] ?? 0;
      const flex = `${ratio} 0 0`;
      if (part.dataset.flex === flex) continue;
      part.dataset.flex = flex;
      part.style.flex = flex;
      part.hidden = ratio === 0;
      part.title = `${this.names[index]} ${texts[index]}`;
      // A name that has no room would be cut to a letter.
      show(part.children[0], ratio < LABELLED_MIN ? '' : `${this.names[index]} ${texts[index]}`);
    }
  }

  /** Marks a position in percent; null takes the mark away. @param {number | null} position */
  point(position) {
    this.mark.hidden = position === null;
    if (position !== null) this.mark.style.left = `${position}%`;
  }
}

/** Smaller parts have no words in them. */
const LABELLED_MIN = 0.15;
/** Variants that the text for screen readers names. */
const NAMED_MAX = 12;
