import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, expect, test } from 'vitest';
import { createManifestCheck, type Manifest } from './kubernetes-schema.ts';
import { noYaml, readYaml } from './yaml.ts';

const chart = fileURLToPath(new URL('../../deploy/helm/agent-stacks', import.meta.url));
const { AGENT_STACKS_HELM: helm, AGENT_STACKS_SCHEMAS: schemas } = process.env;
const lacking =
  !helm || !schemas ? 'helm or the schemas could not be set up: no download, and no Go' : noYaml;

beforeEach(({ skip }) => skip(lacking !== undefined, lacking));

const NEEDED = ['publicUrl=https://agents.example.com', 'existingSecret=agents'];
const EVERYTHING = [
  ...NEEDED,
  'ingress.enabled=true',
  'ingress.host=agents.example.com',
  'ingress.className=nginx',
  'ingress.tlsSecretName=agents-tls',
  'env.BILLING=observe',
  'networkPolicy.extraEgressPorts={587}',
  'worker.storage.storageClassName=fast',
];

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(helm!, args, { encoding: 'utf8' });
  return { status, stdout, said: stdout + stderr };
}

const set = (values: string[]) => values.flatMap((value) => ['--set', value]);

function render(values: string[]): Manifest[] {
  const { status, stdout, said } = run('template', 'shop', chart, '--kube-version', '1.36.3', ...set(values));
  if (status !== 0) throw new Error(said);
  return readYaml(stdout) as Manifest[];
}

const readCheck = () =>
  createManifestCheck(JSON.parse(readFileSync(join(schemas!, 'kubernetes.json'), 'utf8')));

test('helm lint finds nothing', () => {
  const { status, said } = run('lint', '--strict', chart, ...set(NEEDED));
  expect(status, said).toBe(0);
  expect(said).toContain('0 chart(s) failed');
});

test('what is rendered is what Kubernetes’ API accepts', () => {
  const check = readCheck();
  for (const values of [NEEDED, EVERYTHING])
    for (const manifest of render(values))
      expect(check(manifest), `${manifest.kind} ${manifest.metadata.name}`).toEqual([]);
  const kinds = render(EVERYTHING).map(({ kind, metadata }) => `${kind} ${metadata.name}`);
  expect(kinds.sort()).toEqual([
    'Deployment shop-agent-stacks-api',
    'Ingress shop-agent-stacks',
    'Job shop-agent-stacks-migrate',
    'NetworkPolicy shop-agent-stacks-api',
    'NetworkPolicy shop-agent-stacks-worker',
    'PodDisruptionBudget shop-agent-stacks-api',
    'PodDisruptionBudget shop-agent-stacks-worker',
    'Service shop-agent-stacks',
    'Service shop-agent-stacks-worker',
    'StatefulSet shop-agent-stacks-worker',
  ]);
});

test('the check finds a field that does not exist, one that lacks, and one of another type', () => {
  const check = readCheck();
  const deployment = render(NEEDED).find(({ kind }) => kind === 'Deployment')!;
  const { spec } = deployment as unknown as { spec: { replicas: unknown; selector: unknown } };
  expect(check({ ...deployment, spec: { ...spec, replica: 2 } } as Manifest).join()).toContain('replica');
  expect(check({ ...deployment, spec: { ...spec, selector: undefined } } as Manifest).join()).toContain(
    'selector',
  );
  expect(check({ ...deployment, spec: { ...spec, replicas: 'two' } } as Manifest).join()).toContain(
    'replicas',
  );
  expect(check({ ...deployment, apiVersion: 'apps/v0' })).toEqual(['there is no Deployment in apps/v0']);
});

interface Pod {
  securityContext: object;
  automountServiceAccountToken: boolean;
  containers: { args: string[]; securityContext: object; env: { name: string }[] }[];
}

test('every pod runs without rights, in its own role, with its secrets from the Secret alone', () => {
  const pods = render(EVERYTHING).flatMap((manifest) => {
    const { spec } = manifest as unknown as { spec: { template?: { spec: Pod } } };
    return spec.template === undefined ? [] : [spec.template.spec];
  });
  expect(pods.map(({ containers }) => containers[0]!.args[1]).sort()).toEqual(['api', 'migrate', 'worker']);
  for (const { securityContext, automountServiceAccountToken, containers } of pods) {
    expect(automountServiceAccountToken).toBe(false);
    expect(securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 10001 });
    expect(containers[0]!.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    for (const { name } of containers[0]!.env) expect(name).not.toMatch(/SECRET|TOKEN|PASSPHRASE|DATABASE/);
  }
});

test.each([
  ['no address', ['existingSecret=agents'], 'publicUrl'],
  ['no Secret', ['publicUrl=https://agents.example.com'], 'existingSecret'],
  ['a value that does not exist', [...NEEDED, 'api.replica=3'], 'replica'],
  ['a number that is none', [...NEEDED, 'worker.concurrency=many'], 'concurrency'],
  ['a variable that is none', [...NEEDED, 'env.billing=off'], 'billing'],
])('%s is refused', (_what, values, name) => {
  const { status, said } = run('template', 'shop', chart, '--kube-version', '1.36.3', ...set(values));
  expect(status).not.toBe(0);
  expect(said).toContain(name);
});
