// What a program prints, on both streams, once it has ended well. Other programs may run meanwhile.
import { execFile } from 'node:child_process';

/** Rejects with all that was printed when the program fails. */
export function printedBy(file: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(file, args, { encoding: 'utf8', maxBuffer: 1 << 26 }, (cause, stdout, stderr) => {
      if (cause === null) resolve(stdout + stderr);
      else reject(new Error(`${file} ${args.join(' ')} failed:\n${stdout}\n${stderr}`));
    });
  });
}
