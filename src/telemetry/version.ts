// The version of the program, read from the one place that states it. A bundler writes it into the bundle, so that
// the built file needs no package.json beside it.
import manifest from '../../package.json' with { type: 'json' };

/** Version of request-splitter, "0.1.0". */
export const VERSION: string = manifest.version;
