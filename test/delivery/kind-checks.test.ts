// scripts/kind-checks.sh, run against a `kubectl` and a `helm` that only pretend: it passes where the cluster does as it
// should, and names the first thing that is not so. What a real API server says, only a real one can tell.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { KUSTOMIZATIONS } from '../support/kustomize.ts';

const root = join(import.meta.dirname, '..', '..');
const scratch = mkdtempSync(join(tmpdir(), 'kind-checks-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const hasJq = spawnSync('jq', ['--version']).status === 0;
if (!hasJq) console.warn('skipped: jq is not installed (Debian package jq)');

/** A cluster that does as it should, as cases of a shell's `case`: the arguments, and what happens. */
const GOOD = {
  '"version --output json"': `echo '{"serverVersion": {"minor": "36+"}}'`,
  '*"run refused"*': 'echo "pods is forbidden: violates PodSecurity" >&2; exit 1',
  '*"http://frontend/?token="*': 'all=$*; token=${all##*=}; echo "version $((token % 2))"',
  '*"http://chart/"': 'echo "wget: server returned error: HTTP/1.1 400 Bad Request" >&2; exit 1',
  '*"exec stranger -- wget"*': 'echo "wget: download timed out" >&2; exit 1',
  '*"horizontalpodautoscalers --output json"*': `echo '{"items": [{"status": {"conditions": [{"type": "ScalingActive", "status": "True"}]}}]}'`,
  '*"instance=chart"*': 'echo pod/chart-1',
  '*"status.podIP"*': 'echo -n 192.168.0.1',
  '*"--filename -"*': 'cat >/dev/null',
};

/** Runs the script; what differs from the good cluster goes first. */
function check(different: Readonly<Record<string, string>> = {}) {
  const cases = Object.entries({
    ...different,
    ...Object.fromEntries(Object.entries(GOOD).filter(([key]) => !(key in different))),
  });
  const log = join(scratch, 'log');
  writeFileSync(log, '');
  const stub = (name: string, body: string) =>
    writeFileSync(join(scratch, name), `#!/bin/bash\necho "${name} $*" >>"${log}"\n${body}\n`, {
      mode: 0o755,
    });
  stub('kubectl', `case "$*" in\n${cases.map(([args, does]) => `  ${args}) ${does} ;;`).join('\n')}\nesac`);
  stub('helm', '');
  const { status, stdout, stderr } = spawnSync('bash', [join(root, 'scripts', 'kind-checks.sh')], {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${scratch}:${process.env.PATH}` },
    timeout: 100_000,
  });
  return { status, stdout, stderr, calls: readFileSync(log, 'utf8') };
}

describe.skipIf(!hasJq)('the checks on a cluster', () => {
  test('pass on one that does as it should, and leave out no kustomization', () => {
    const { status, stderr, calls } = check();
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const tried = [...calls.matchAll(/apply --dry-run=server --warnings-as-errors --kustomize (\S+)/g)].map(
      ([, folder]) => folder,
    );
    const all = KUSTOMIZATIONS.filter((folder) =>
      /^kind: Kustomization/m.test(readFileSync(join(root, folder, 'kustomization.yaml'), 'utf8')),
    );
    expect(tried.sort()).toEqual([...all].sort());
    expect(calls).toContain('pod-security.kubernetes.io/enforce=restricted');
    expect(calls).toContain('helm lint --strict charts/request-splitter');
  }, 120_000);

  test('leave the admission policy to the versions that have it', () => {
    const { status, calls } = check({
      '"version --output json"': `echo '{"serverVersion": {"minor": "35"}}'`,
    });
    expect(status).toBe(0);
    expect(calls).not.toContain('k8s/injection');
  }, 120_000);

  test.each([
    ['the profile admits anything', { '*"run refused"*': ':' }, 'the profile admitted a pod'],
    [
      'a pod is refused for another reason',
      { '*"run refused"*': 'echo "no such image" >&2; exit 1' },
      'not the profile refused the pod: no such image',
    ],
    [
      'a kustomization is refused',
      { '*"--kustomize k8s/sidecar/base"': 'echo "warning" >&2; exit 1' },
      'warning',
    ],
    [
      'one version gets everything',
      { '*"http://frontend/?token="*': 'echo same' },
      'not both versions answered: same',
    ],
    [
      'a token changes sides',
      { '*"http://frontend/?token="*': 'echo "version $RANDOM"' },
      'a token changed sides',
    ],
    ['a policy lets a stranger in', { '*"http://192.168.0.1:5678/"': 'echo hello' }, 'was reached'],
    [
      'nothing listens where a policy should drop',
      { '*"http://192.168.0.1:9901/metrics"': 'echo "wget: connection refused" >&2; exit 1' },
      'was not dropped but: wget: connection refused',
    ],
    [
      'a changed configuration replaces the pods',
      { '*"instance=chart"*': 'echo "pod/chart-$RANDOM"' },
      'replaced the pods',
    ],
  ])(
    'fail where %s',
    (_name, different, message) => {
      const { status, stderr } = check(different);
      expect(stderr).toContain(message);
      expect(status).toBe(1);
    },
    120_000,
  );
});
