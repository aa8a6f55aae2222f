// What ships, as somebody gets it: the bundle alone in an empty directory, and the packed library in a project of its
// own. Built in a copy, so that a dist/ that others use meanwhile stays as it is.
import { execFile, spawn } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startNamingUpstream } from '../support/naming-upstream.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');
const scratch = mkdtempSync(join(tmpdir(), 'build-test-'));
const copy = join(scratch, 'copy');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string;
  dependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
};
const bin = join(root, 'node_modules', '.bin');
const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };

beforeAll(async () => {
  mkdirSync(copy);
  for (const folder of ['src', 'docs']) cpSync(join(root, folder), join(copy, folder), { recursive: true });
  for (const file of ['package.json', 'rolldown.config.ts', 'tsconfig.json', 'tsconfig.build.json']) {
    copyFileSync(join(root, file), join(copy, file));
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  // As in a fresh clone: packing builds what it ships.
  await run('npm', ['pack', '--silent', '--pack-destination', scratch], { cwd: copy, env });
}, 120_000);
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe('dist/main.js', () => {
  const alone = join(scratch, 'alone');
  const main = join(alone, 'main.js');
  beforeAll(() => {
    mkdirSync(alone);
    copyFileSync(join(copy, 'dist', 'main.js'), main);
    cpSync(join(copy, 'dist', 'chunks'), join(alone, 'chunks'), { recursive: true });
    writeFileSync(join(alone, 'package.json'), '{ "type": "module" }');
  });

  /** The bundle as a process, and where it listens. */
  async function start(args: readonly string[], env: Record<string, string>) {
    const child = spawn(process.execPath, [main, ...args], {
      cwd: alone,
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const origin = await new Promise<string>((resolve, reject) => {
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        const found = /"listening":\["(http:[^"]+)"/.exec(output);
        if (found !== null) resolve(found[1]!);
      });
      child.once('exit', (code) => reject(new Error(`ended with ${code}: ${output}`)));
    });
    return { child, origin };
  }

  it('needs nothing but node and its own chunks: --version and --help answer in an empty directory', async () => {
    const version = await run(process.execPath, [main, '--version'], { cwd: alone, env: {} });
    expect(version.stdout).toBe(`${manifest.version}\n`);
    const help = await run(process.execPath, [main, '--help'], { cwd: alone, env: {} });
    expect(help.stdout).toMatch(/^Usage: request-splitter/);
  });

  it('says one sentence on a Node that is too old for it, before it loads anything', async () => {
    expect(readFileSync(main, 'utf8')).not.toMatch(/^import\s/m);
    const old =
      "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.1.0' } })";
    const failure = await run(
      process.execPath,
      ['--import', `data:text/javascript,${old}`, main, '--version'],
      {
        cwd: alone,
        env: {},
      },
    ).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 1,
      stdout: '',
      stderr: 'request-splitter needs Node 24 or newer, this is v20.1.0\n',
    });
  });

  it('loads for `serve` by environment none of what only some need: files, other commands, the page, undici', () => {
    // Followed through the built files by their static imports: what is loaded at once with serve.
    const loaded = new Set<string>();
    const load = (file: string) => {
      if (loaded.has(file)) return;
      loaded.add(file);
      const text = readFileSync(file, 'utf8');
      for (const [, path] of text.matchAll(/^import\s[^'"]*["'](\.[^'"]+)["'];/gm))
        load(join(file, '..', path!));
    };
    for (const name of ['program', 'serve']) load(join(alone, 'chunks', `${name}.js`));
    const regions = [...loaded].flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/^\/\/ (\S*(?:node_modules|src)\/\S+)$/gm)].map(
        ([, path]) => path!,
      ),
    );
    const has = (part: string) => regions.some((path) => path.includes(part));
    for (const part of ['src/exchange/exchange.ts', 'node_modules/pino/', 'src/config/options/document.ts'])
      expect([part, has(part)]).toEqual([part, true]);
    for (const part of [
      'node_modules/undici/',
      'node_modules/yaml/',
      'node_modules/uplot/',
      'src/config/nginx/translate.ts',
      'src/config/parse.ts',
      'src/cli/plan.ts',
      'src/workers/crew.ts',
    ])
      expect([part, has(part)]).toEqual([part, false]);
  });

  it('starts there, answers through the split, and ends when it is told to', async () => {
    const upstream = createServer((_request, response) => response.end('hello'));
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
    const authority = `127.0.0.1:${(upstream.address() as AddressInfo).port}`;
    const { child, origin } = await start([], {
      LISTEN: '127.0.0.1:0',
      ADMIN: 'off',
      SPLIT: `50% http://${authority}; * http://localhost:1`,
    });
    try {
      // "xbaaErt4" hashes to 0: the first variant whatever its share.
      const answer = await request(`${origin}/?token=xbaaErt4`);
      expect(answer.statusCode).toBe(200);
      expect(await answer.body.text()).toBe('hello');
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      child.kill('SIGTERM');
      expect(await ended).toBeTypeOf('number');
    } finally {
      child.kill('SIGKILL');
      upstream.closeAllConnections();
      upstream.close();
    }
  });

  it('runs the nginx.conf of the container whose place it takes: every token goes where nginx sends it', async () => {
    const upstreams = await Promise.all(
      ['version_1a', 'version_1b'].map((name) => startNamingUpstream(name)),
    );
    const blocks = upstreams.map(
      ({ port }, i) => `upstream version_1${'ab'[i]} { server 127.0.0.1:${port}; }`,
    );
    // The two lines of the container's file, word for word; what its names are stands beside them.
    writeFileSync(
      join(alone, 'split.conf'),
      `split_clients $arg_token $appversion { 50% version_1a; * version_1b; }
server { listen 8000; location / { proxy_set_header Host $host; proxy_pass http://$appversion; } }
`,
    );
    const conf = `events { }\nhttp {\n  ${blocks.join('\n  ')}\n  include split.conf;\n}\n`;
    writeFileSync(join(alone, 'nginx.conf'), conf);
    const { child, origin } = await start(
      ['--nginx', 'nginx.conf', '--listen', '127.0.0.1:0', '--admin', 'off'],
      {},
    );
    try {
      // From nginx: "" and "a" are below half of 2^32 or not, and so on; flaacpuc hashes to the bound itself.
      const goesTo = async (query: string) => (await request(`${origin}/${query}`)).body.text();
      const tokens = [
        '',
        '?token=',
        '?token=a',
        '?token=abc',
        '?token=alice',
        '?token=seaaa5zI',
        '?token=flaacpuc',
      ];
      expect(await Promise.all(tokens.map(goesTo))).toEqual(
        ['a', 'a', 'b', 'a', 'a', 'a', 'b'].map((letter) => `version_1${letter}`),
      );
    } finally {
      child.kill('SIGKILL');
      for (const upstream of upstreams) await upstream.close();
    }
  });

  it('starts nothing with an nginx.conf that cannot be kept, and says in which line', async () => {
    writeFileSync(join(alone, 'odd.conf'), 'server {\n  listen 0;\n  location /x { perl a::b; }\n}\n');
    const failure = await run(process.execPath, [main, '--nginx', 'odd.conf'], { cwd: alone, env: {} }).catch(
      (error: { code: number; stdout: string; stderr: string }) => error,
    );
    expect(failure).toMatchObject({
      code: 1,
      stdout: '',
      stderr:
        'odd.conf:3:17: expected a directive that can be kept in location (values cannot be computed here; the split reads its key directly), got "perl"\n',
    });
  });

  it('holds nothing beyond ASCII, which would double the memory of its source', () => {
    const files = [main, ...globSync(join(alone, 'chunks', '*.js'))];
    expect(files.length).toBeGreaterThan(10);
    for (const file of files)
      expect([file, /[^\0-\x7f]/.exec(readFileSync(file, 'latin1'))]).toEqual([file, null]);
  });
});

describe('the packed library', () => {
  const project = join(scratch, 'project');
  const packed = join(project, 'node_modules', 'request-splitter');

  beforeAll(async () => {
    mkdirSync(packed, { recursive: true });
    const [archive] = globSync('request-splitter-*.tgz', { cwd: scratch });
    await run('tar', ['xzf', join(scratch, archive!), '-C', packed, '--strip-components=1']);
    // What `npm install` would put beside it: its dependencies, the optional peer, Node's types.
    for (const name of [...Object.keys(manifest.dependencies), '@types/node', 'http-proxy']) {
      mkdirSync(join(project, 'node_modules', name, '..'), { recursive: true });
      symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name));
    }
    writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
    writeFileSync(
      join(project, 'consumer.ts'),
      [
        "import { createServer } from 'node:http';",
        "import { createSplitter, type Decision } from 'request-splitter';",
        "import { createHandler } from 'request-splitter/http-proxy';",
        "const split = { variants: [{ name: 'a', share: '50%', upstream: 'http://127.0.0.1:1' }, { name: 'b', share: '*', upstream: 'http://127.0.0.1:2' }] };",
        'const splitter = createSplitter(split);',
        "const decision: Decision = splitter.decide({ url: '/?token=xbaaErt4', headers: {} });",
        'const handler = createHandler(split);',
        "createServer(handler.request).on('upgrade', handler.upgrade);",
        'handler.close();',
        "console.log(splitter.decide({ url: '/?token=xbaaErt4' }).variant.name);",
        "const rejecting = createSplitter({ ...split, missingKey: 'reject' });",
        '// @ts-expect-error a request without a key is rejected: there is no variant',
        'const name = (): string => rejecting.decide({}).variant.name;',
        "const read: string = createSplitter({ ...split, key: '$host' }).decide(new Request('http://a/')).variant.name;",
        'void [name, read, decision];',
      ].join('\n'),
    );
  });

  it('is typed: both entries resolve under nodenext, with every check on', async () => {
    const options = ['--module', 'nodenext', '--target', 'es2024', '--strict', '--types', 'node'];
    await run('tsc', [...options, '--exactOptionalPropertyTypes', 'consumer.ts'], { cwd: project, env });
  });

  it('runs: the first variant takes the key whose hash is 0', async () => {
    const { stdout } = await run(process.execPath, ['consumer.js'], { cwd: project, env });
    expect(stdout).toBe('a\n');
  });

  it('carries the program, although nothing was built before it was packed', () => {
    expect(existsSync(join(copy, 'dist', 'main.js'))).toBe(true);
    for (const file of ['dist/main.js', 'dist/index.js', 'dist/index.d.ts', 'docs/schema.json'])
      expect([file, existsSync(join(packed, file))]).toEqual([file, true]);
  });

  it('carries no test, no source and no manifest', () => {
    const files = globSync('**/*', { cwd: packed }).filter((path) => /^(src|test|\.ci|k8s)\b/.test(path));
    expect(files).toEqual([]);
  });

  it('needs what it imports and nothing else', () => {
    const entries = ['index.js', 'http-proxy.js'].map((file) =>
      readFileSync(join(packed, 'dist', file), 'utf8'),
    );
    const imported = entries.flatMap((text) =>
      [
        ...text.matchAll(
          /^(?:import|export) .*?from "(?!node:|\.)((?:@[^/"]+\/)?[^/"]+)|createRequire\(import\.meta\.url\)\("([^"]+)"\)/gm,
        ),
      ].map(([, name, loadedLate]) => (name ?? loadedLate)!),
    );
    const peers = Object.keys(manifest.peerDependencies);
    expect([...new Set(imported)].sort()).toEqual([...Object.keys(manifest.dependencies), ...peers].sort());
  });
});

it('packing a clone without its dependencies installs them first', async () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: { prepack: string };
  };
  const bin = join(scratch, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'npm'), '#!/bin/sh\necho "npm $*"\n', { mode: 0o755 });
  const ran = async (cwd: string) =>
    (await run('sh', ['-c', scripts.prepack], { cwd, env: { PATH: `${bin}:${process.env.PATH}` } })).stdout;
  expect(await ran(bin)).toBe('npm ci\nnpm run build\n');
  expect(await ran(root)).toBe('npm run build\n');
});
