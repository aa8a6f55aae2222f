// The answers' types come from sources that run in Node. Beside the types of a browser, this member would be missing.
declare global {
  interface Performance {
    eventLoopUtilization: typeof import('node:perf_hooks').performance.eventLoopUtilization;
  }
}

export {};
