// The workflows and the forms of .github are read by a service that is not there when the tests run: actionlint,
// shellcheck and these rules stand in for it.
import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { runCommand } from '../support/command.ts';

const root = join(import.meta.dirname, '..', '..');
const WORKFLOWS = globSync('.github/workflows/*.yml', { cwd: root }).sort();
const scratch = mkdtempSync(join(tmpdir(), 'workflows-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

interface Step {
  readonly name?: string;
  readonly uses?: string;
  readonly run?: string;
}
interface Workflow {
  readonly permissions?: Readonly<Record<string, string>> | string;
  readonly jobs: Readonly<
    Record<
      string,
      {
        readonly permissions?: Readonly<Record<string, string>>;
        readonly uses?: string;
        readonly steps?: readonly Step[];
        readonly 'timeout-minutes'?: number;
      }
    >
  >;
}
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const workflows = WORKFLOWS.map((file) => [file, parse(read(file)) as Workflow] as const);
const jobs = workflows.flatMap(([file, { jobs }]) =>
  Object.entries(jobs).map(([name, job]) => ({ where: `${file} ${name}`, job })),
);

/** What actionlint says against files; empty when nothing. */
function actionlint(pattern: string): string {
  const program = join(root, 'node_modules', '@tktco', 'node-actionlint', 'bin', 'node-actionlint.js');
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, pattern], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, FORCE_COLOR: '0', NO_COLOR: '1' },
  });
  expect(stderr).toBe('');
  expect(stdout).toMatch(/^Checking \d+ workflow file/);
  return status === 0 ? '' : stdout;
}

describe('the workflows', () => {
  test('are those for pull requests, for clusters and for a release', () => {
    expect(WORKFLOWS.map((file) => file.slice('.github/workflows/'.length))).toEqual([
      'ci.yml',
      'kind.yml',
      'release.yml',
    ]);
  });

  test('have nothing that actionlint objects to', () => {
    expect(actionlint('.github/workflows/*.yml')).toBe('');
  }, 120_000);

  test('actionlint finds a key that does not exist, an output of no step and a permission that does not exist', () => {
    const slips = [
      ['    runs-on: ubuntu-24.04', '    runs-in: ubuntu-24.04', 'runs-in'],
      ['${{ github.ref }}', '${{ steps.none.outputs.x }}', 'not allowed here'],
      ['  contents: read', '  content: read', 'permission scope'],
    ] as const;
    const text = read('.github/workflows/ci.yml');
    for (const [index, [right, wrong]] of slips.entries()) {
      expect(text).toContain(right);
      writeFileSync(join(scratch, `slip-${index}.yml`), text.replace(right, wrong));
    }
    // A start of actionlint takes seconds: one for the three of them.
    const found = actionlint(join(scratch, 'slip-*.yml')).split('\n');
    for (const [index, [, , message]] of slips.entries()) {
      expect(found.filter((line) => line.includes(`slip-${index}.yml`)).join('\n')).toContain(message);
    }
  }, 120_000);

  test('take actions at a commit, with its version beside it', () => {
    const lines = WORKFLOWS.flatMap((file) =>
      read(file)
        .split('\n')
        .filter((line) => /\buses:/.test(line) && !/uses: \.\//.test(line)),
    );
    expect(lines.length).toBeGreaterThan(10);
    expect(lines.filter((line) => !/uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(line))).toEqual(
      [],
    );
    const commits = new Map<string, string>();
    for (const line of lines) {
      const [, action, at] = /uses: (\S+)@(.*)$/.exec(line)!;
      expect(commits.get(action!) ?? at, `${action} is the same everywhere`).toBe(at);
      commits.set(action!, at!);
    }
  });

  test('may read the repository and nothing else, unless a job says more', () => {
    for (const [file, workflow] of workflows) {
      expect(workflow.permissions, file).toEqual(file.endsWith('release.yml') ? {} : { contents: 'read' });
    }
    const granted = Object.fromEntries(
      jobs
        .filter(({ job }) => job.permissions !== undefined)
        .map(({ where, job }) => [where, job.permissions]),
    );
    const release = '.github/workflows/release.yml';
    expect(granted).toEqual({
      [`${release} check`]: { contents: 'read' },
      [`${release} test`]: { contents: 'read' },
      [`${release} image`]: {
        contents: 'read',
        packages: 'write',
        'id-token': 'write',
        attestations: 'write',
      },
      [`${release} npm`]: { contents: 'read', 'id-token': 'write' },
      [`${release} release`]: { contents: 'write', packages: 'write' },
    });
  });

  test('end by themselves, and leave no credential in the work tree', () => {
    const own = jobs.filter(({ job }) => job.uses === undefined);
    expect(own.filter(({ job }) => job['timeout-minutes'] === undefined).map(({ where }) => where)).toEqual(
      [],
    );
    for (const file of WORKFLOWS) {
      const text = read(file);
      expect(text.match(/persist-credentials: false/g)?.length, file).toBe(
        text.match(/actions\/checkout@/g)?.length,
      );
    }
  });

  test('publish for the architectures, and under the names, that the documents promise', () => {
    const text = read('.github/workflows/release.yml');
    expect(text).toContain('platforms: linux/amd64,linux/arm64');
    expect(
      [...text.matchAll(/[\w.-]*(?:docker\.io|ghcr\.io|quay\.io)\/[^\s"]*/g)].map(([name]) => name),
    ).toEqual(['ghcr.io/${{']);
    for (const part of [
      'sbom: true',
      'provenance: mode=max',
      'cosign sign --yes',
      'npm publish --provenance',
    ]) {
      expect(text).toContain(part);
    }
  });

  test('pin what they download by a checksum, and by digest the nodes of a cluster', () => {
    const text = read('.github/workflows/kind.yml');
    expect([...text.matchAll(/- kubernetes: "(.*)"/g)].map(([, version]) => version)).toEqual([
      '1.35',
      '1.36',
      '1.37',
    ]);
    expect(text.match(/node: kindest\/node:v1\.3[567]\.\d+@sha256:[0-9a-f]{64}$/gm)).toHaveLength(3);
    expect(text.match(/^ {2}\w+_SHA256: [0-9a-f]{64}$/gm)).toHaveLength(3);
    expect(text.match(/sha256sum --check/g)).toHaveLength(3);
  });
});

const hasShellcheck = spawnSync('shellcheck', ['--version']).status === 0;
if (!hasShellcheck) console.warn('skipped: shellcheck is not installed (Debian package shellcheck)');

describe.skipIf(!hasShellcheck)('the scripts', () => {
  const runs = jobs.flatMap(({ where, job }) =>
    (job.steps ?? []).flatMap((step, at) =>
      step.run === undefined ? [] : [[`${where}, step ${at + 1}`, step.run] as const],
    ),
  );

  test.each(runs)('%s', (where, run) => {
    const file = join(scratch, `${where.replaceAll(/\W+/g, '-')}.sh`);
    // The service fills in its expressions before a shell sees the text.
    writeFileSync(file, `#!/bin/bash -e\n${run.replaceAll(/\$\{\{.*?\}\}/g, 'expression')}\n`);
    expect(spawnSync('shellcheck', [file], { encoding: 'utf8' }).stdout).toBe('');
  });

  test.each(['scripts/image-root.sh', 'scripts/kind-checks.sh'])('%s', (script) => {
    expect(spawnSync('shellcheck', [script], { cwd: root, encoding: 'utf8' }).stdout).toBe('');
  });

  test('.ci/run', () => {
    const { stdout } = spawnSync('shellcheck', ['--severity=warning', '.ci/run'], {
      cwd: root,
      encoding: 'utf8',
    });
    expect(stdout).toBe('');
  });
});

describe('the forms', () => {
  const FORMS = globSync('.github/ISSUE_TEMPLATE/*.yml', { cwd: root })
    .filter((file) => !file.endsWith('/config.yml'))
    .sort();
  interface Field {
    readonly type: string;
    readonly id?: string;
    readonly attributes: Readonly<Record<string, unknown>>;
  }
  const forms = FORMS.map(
    (file) =>
      [
        file,
        parse(read(file)) as { name: string; description: string; labels?: string[]; body: Field[] },
      ] as const,
  );

  test('are those for a bug, a difference from nginx and a question', () => {
    expect(FORMS.map((file) => file.slice('.github/ISSUE_TEMPLATE/'.length))).toEqual([
      'bug.yml',
      'nginx-parity.yml',
      'question.yml',
    ]);
  });

  test.each(forms)('%s has the fields that GitHub asks for', (_file, form) => {
    expect(
      Object.keys(form).filter((key) => !['name', 'description', 'title', 'labels', 'body'].includes(key)),
    ).toEqual([]);
    expect(form.name).not.toBe('');
    expect(form.description).not.toBe('');
    const ids = form.body.map(({ id }) => id).filter((id) => id !== undefined);
    expect(new Set(ids).size).toBe(ids.length);
    for (const field of form.body) {
      expect(['markdown', 'textarea', 'input', 'dropdown', 'checkboxes']).toContain(field.type);
      if (field.type === 'markdown') expect(field.attributes.value).toBeTypeOf('string');
      else {
        expect(field.id).toMatch(/^[a-z-]+$/);
        expect(field.attributes.label).toBeTypeOf('string');
      }
      if (field.type === 'dropdown' || field.type === 'checkboxes') {
        expect((field.attributes.options as unknown[]).length).toBeGreaterThan(0);
      }
    }
  });

  test('a command that a form asks for is one of the program', async () => {
    const asked = forms
      .flatMap(([, form]) => [
        ...JSON.stringify(form.body).matchAll(/request-splitter ((?:[a-z]+ )?(?:--[a-z]+ ?)+)/g),
      ])
      .map(([, command]) => command!.trim());
    expect(asked).toContain('check --json');
    const help = async (words: string[]) => (await runCommand([...words, '--help'])).out;
    for (const command of new Set(asked)) {
      const [name = '', ...flags] = command.split(' ');
      const known = await help(name.startsWith('--') ? [] : [name]);
      for (const flag of name.startsWith('--') ? [name] : flags) expect(known, command).toContain(flag);
    }
  });
});
