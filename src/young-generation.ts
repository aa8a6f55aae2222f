// Keeps V8's young generation at its first size for a process that serves, whatever flags Node was started with: a burst of
// clients then does not leave many MiB behind. V8 reads the flag each time it would grow.

/** Stops the young generation from growing, unless the user has chosen its size. */
export function keepYoungGenerationSmall(): void {
  const chosen = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].some((text) =>
    text.includes('semi-space'),
  );
  if (!chosen) process.getBuiltinModule('node:v8').setFlagsFromString('--semi-space-growth-factor=1');
}
