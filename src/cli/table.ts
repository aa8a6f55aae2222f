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
