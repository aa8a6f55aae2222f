// Exports the version of the program, read from package.json. The bundler copies it into the bundle, so that the built file
// needs no package.json next to it.
import manifest from '../../package.json' with { type: 'json' };

/** Version of request-splitter, "0.1.0". */
export const VERSION: string = manifest.version;
