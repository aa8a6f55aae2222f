// The ambassador pod played for real, in its base and its overlays: which token goes where, and what callers see while
// configurations change, backends go and come back, and pods are replaced. Traffic runs through the Service, as through
// a port-forward. Which version a token belongs to is worked out here by nginx's own arithmetic.
import murmurhash from 'murmurhash';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildText, type Manifest, readManifests } from '../support/kustomize.ts';
import { edited, restarted, scaled } from './support/change.ts';
import { cluster } from './support/cluster.ts';
import { eventually, textOf } from './support/look.ts';
import { type Answer, askAll, Traffic } from './support/traffic.ts';

const pods = cluster();
const tokens = Array.from({ length: 400 }, (_none, index) => `token-${index}`);
const A = 'hello backend';
const B = 'hello backend-experiment';
/** The share as nginx writes it: 50 % -> 5000. */
const bodyOf = (token: string, share = 5000) =>
  murmurhash.v2(Buffer.from(token), 0) < Math.floor((share * 4294967295) / 10000) ? A : B;
const ofA = tokens.filter((token) => bodyOf(token) === A);
const ofB = tokens.filter((token) => bodyOf(token) === B);

const objectsOf = (folder: string) => readManifests(buildText(folder));
const failed = (answers: readonly Answer[]) => answers.filter(({ status }) => status !== 200);
const moved = (answers: readonly Answer[], share = 5000) =>
  answers.filter(({ token, body }) => body !== bodyOf(token, share));
const share10 = (text: string) => text.replace('share: 50%', 'share: 10%');

describe('the base: tcp-proxy with request-splitter as native sidecar', () => {
  const base = objectsOf('k8s/ambassador');
  const isBackend = (one: Manifest) => one.metadata.name.startsWith('backend');
  let url = '';
  let admin = '';

  beforeAll(async () => {
    await pods.apply(base.filter((one) => !isBackend(one)));
    url = await pods.forward('svc/frontend', 80);
  });
  afterAll(() => pods.down(base));

  test('it starts before its backends exist, answers 502 or 503 with the reason, and serves once they are there', async () => {
    const before = await askAll(url, tokens.slice(0, 20));
    expect(
      before.filter(
        ({ status, fault }) => !(status >= 502 && status <= 503 && fault.startsWith('UPSTREAM_')),
      ),
    ).toEqual([]);
    await pods.apply(base);
    const traffic = new Traffic(url, tokens);
    await traffic.until(({ token, status }) => status === 200 && bodyOf(token) === A);
    await traffic.until(({ token, status }) => status === 200 && bodyOf(token) === B);
    await traffic.stop();
    admin = await pods.forward('deploy/frontend', 9901);
  });

  test('half of the tokens go to each side, the same as with nginx, and each always to its own', async () => {
    const first = await askAll(url, tokens);
    expect(moved(first)).toEqual([]);
    expect(await askAll(url, tokens).then((again) => again.map(({ body }) => body))).toEqual(
      first.map(({ body }) => body),
    );
  });

  test('a request without a token goes where nginx sent it, to the first variant', async () => {
    expect((await askAll(url, [''])).map(({ body }) => body)).toEqual([A]);
  });

  test('a changed ConfigMap takes effect under traffic: no new pod, no failed request, and only the tokens between the bounds move', async () => {
    const traffic = new Traffic(url, tokens);
    const between = tokens.filter((token) => bodyOf(token) !== bodyOf(token, 1000));
    await pods.apply(edited(base, 'frontend-splitter', share10));
    await traffic.until(({ token, body }) => between.includes(token) && body === B, 10_000);
    const answers = await traffic.stop();
    expect(failed(answers)).toEqual([]);
    expect(
      answers.filter(({ token, body }) => body !== bodyOf(token) && body !== bodyOf(token, 1000)),
    ).toEqual([]);
    expect(moved(await askAll(url, tokens), 1000)).toEqual([]);
    await pods.apply(base);
    await eventually(
      () => askAll(url, between),
      (back) => moved(back).length === 0,
    );
  });

  test('a ConfigMap that is wrong changes nothing but the log and a metric', async () => {
    const traffic = new Traffic(url, tokens);
    await pods.apply(edited(base, 'frontend-splitter', (text) => text.replace('share: 50%', 'share: 150%')));
    const metrics = await eventually(
      () => textOf(`${admin}/metrics`),
      (text) => /^splitter_config_last_reload_successful 0$/m.test(text),
    );
    expect(metrics).toMatch(/^splitter_config_generation /m);
    await eventually(
      async () => pods.logs('frontend', 'request-splitter'),
      (log) => log.includes('150%'),
    );
    await pods.apply(base);
    await eventually(
      () => textOf(`${admin}/metrics`),
      (text) => /^splitter_config_last_reload_successful 1$/m.test(text),
    );
    const answers = await traffic.stop();
    expect(failed(answers)).toEqual([]);
    expect(moved(answers)).toEqual([]);
  });

  test("while the experiment has no pod its tokens get an upstream's fault and nobody else's do; then they are back", async () => {
    const traffic = new Traffic(url, tokens);
    await pods.apply(scaled(base, 'backend-experiment', 0));
    await traffic.until(({ token, status }) => ofB.includes(token) && status !== 200);
    await pods.apply(base);
    await traffic.until(({ token, status }) => ofB.includes(token) && status === 200);
    const answers = await traffic.stop();
    expect(failed(answers).filter(({ token }) => ofA.includes(token))).toEqual([]);
    expect(
      failed(answers).filter(
        ({ status, fault }) => !(status >= 502 && status <= 504 && fault.startsWith('UPSTREAM_')),
      ),
    ).toEqual([]);
    expect(moved(answers.filter(({ status }) => status === 200))).toEqual([]);
    await eventually(
      () => askAll(url, ofB),
      (back) => failed(back).length === 0,
    );
  });

  test('a crash of the experiment touches no token of the other version, and passes when its pod is replaced', async () => {
    const starts = () => pods.logs('backend-experiment', 'http-echo').split('server is listening').length;
    const before = starts();
    const traffic = new Traffic(url, tokens);
    pods.kill('backend-experiment', 'http-echo');
    // A refused connect is waited out, so a token may see a failure or none. That it crashed, its log shows.
    await eventually(
      async () => starts(),
      (now) => now > before,
      60_000,
    );
    await pods.apply(restarted(base, 'Deployment', 'backend-experiment', 'after the crash'));
    await eventually(
      () => askAll(url, ofB.slice(0, 20)),
      (back) => failed(back).length === 0,
    );
    const answers = await traffic.stop();
    expect(failed(answers).filter(({ token }) => ofA.includes(token))).toEqual([]);
    expect(moved(answers.filter(({ status }) => status === 200))).toEqual([]);
  });

  test('a crash of the splitter itself is over in seconds, and no token has moved', async () => {
    pods.kill('frontend', 'request-splitter');
    await eventually(
      () => askAll(url, tokens.slice(0, 40)),
      (back) => failed(back).length === 0,
    );
    expect(moved(await askAll(url, tokens))).toEqual([]);
  });

  test('a pod replaced under load loses no request, and the new one sends every token where the old one did', async () => {
    const traffic = new Traffic(url, tokens);
    await pods.apply(restarted(base, 'Deployment', 'frontend', 'now'));
    const answers = await traffic.stop();
    expect(answers.length).toBeGreaterThan(tokens.length);
    expect(failed(answers)).toEqual([]);
    expect(moved(answers)).toEqual([]);
  });
});

describe('the overlays', () => {
  const nginx = objectsOf('k8s/ambassador/overlays/nginx');
  const dropIn = objectsOf('k8s/ambassador/overlays/drop-in');
  afterAll(() => pods.down([...nginx, ...dropIn]));

  test('nginx and request-splitter give every token to the same version, also while one replaces the other under load', async () => {
    const splitter = objectsOf('k8s/ambassador');
    await pods.apply(nginx);
    const url = await pods.forward('svc/frontend', 80);
    expect(moved(await askAll(url, tokens))).toEqual([]);
    const traffic = new Traffic(url, tokens);
    await pods.apply(splitter);
    expect(pods.logs('frontend', 'request-splitter')).toContain('serving');
    await pods.apply(nginx);
    const answers = await traffic.stop();
    expect(failed(answers)).toEqual([]);
    expect(moved(answers)).toEqual([]);
  });

  test('drop-in: request-splitter runs the old nginx.conf as it is, and also a token-less request goes where nginx sent it', async () => {
    await pods.apply(nginx);
    const url = await pods.forward('svc/frontend', 80);
    const withNginx = await askAll(url, [...tokens, '']);
    const traffic = new Traffic(url, tokens);
    await pods.apply(dropIn);
    const answers = await traffic.stop();
    expect(failed(answers)).toEqual([]);
    expect(moved(answers)).toEqual([]);
    expect(pods.logs('frontend', 'request-splitter')).toContain('serving');
    const withOurs = await askAll(url, [...tokens, '']);
    expect(withOurs.map(({ body }) => body)).toEqual(withNginx.map(({ body }) => body));
    expect(withOurs.at(-1)!.body).toBe(A);
  });
});
