// Rows with their columns below each other and ratios as percentages, as every command prints them. Plain text, so
// that it can be piped and compared: no colours, no box characters.

/** Lines of the rows, columns two spaces apart; columns in `right` (by position) are set flush right. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) =>
        right.includes(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .filter((_, column) => widths[column]! > 0)
      .join('  ')
      .trimEnd(),
  );
}

/** 0.3333333 -> "33.3333%": at most this many decimals, none that are zero. */
export function percent(ratio: number, decimals = 4): string {
  return `${Number((ratio * 100).toFixed(decimals))}%`;
}
