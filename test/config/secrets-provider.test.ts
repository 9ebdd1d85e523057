import { expect, test } from 'vitest';
import { EnvironmentReader } from '../../src/config/environment-reader.ts';
import { readSecretsProvider } from '../../src/config/secrets-provider.ts';

function read(environment: Record<string, string>, staysHere = false) {
  const reader = new EnvironmentReader(environment);
  const { url, before, environment: passed } = readSecretsProvider(reader, staysHere);
  const revealed = Object.fromEntries(Object.entries(passed).map(([name, value]) => [name, value.reveal()]));
  return { problems: reader.problems, url, before, passed: revealed, text: JSON.stringify(passed) };
}

test('the passphrase is the default, and no variable of another provider is passed on', () => {
  const aws = { AWS_SECRET_ACCESS_KEY: 'canary', VAULT_SERVER_TOKEN: 'canary' };
  for (const environment of [{}, { PULUMI_SECRETS_PROVIDER: 'passphrase' }])
    expect(read({ ...aws, ...environment })).toMatchObject({ problems: [], url: 'passphrase', passed: {} });
});

const VAULT = { VAULT_SERVER_URL: 'https://vault.example', VAULT_SERVER_TOKEN: 'canary' };

test.each([
  ['awskms://alias/agents?region=eu-central-1', {}],
  ['awskms://1234abcd-12ab-34cd-56ef-1234567890ab', { AWS_REGION: 'eu-central-1' }],
  [
    'gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/k',
    { GOOGLE_APPLICATION_CREDENTIALS: '/k.json' },
  ],
  ['azurekeyvault://agents.vault.azure.net/keys/k', { AZURE_CLIENT_SECRET: 'canary' }],
  ['hashivault://k', VAULT],
])('%s is accepted, with its own variables alone, which stay secret', (url, own) => {
  const found = read({ PULUMI_SECRETS_PROVIDER: url, OTHER: 'x', ...own });
  expect(found).toMatchObject({ problems: [], url, passed: own });
  expect(found.text).not.toContain('canary');
});

test.each([
  [
    'kms://alias/agents',
    'must be passphrase or begin with awskms://, gcpkms://, azurekeyvault://, hashivault://',
  ],
  ['awskms://', 'must be of the form awskms://'],
  ['awskms://user:pass@alias?region=x', 'must be of the form awskms://'],
  ['awskms://alias/agents', 'names no region'],
  ['gcpkms://projects/p/keys/k', 'must be of the form gcpkms://projects/'],
  ['azurekeyvault://agents.vault.azure.net/k', 'must be of the form azurekeyvault://'],
  ['hashivault://k', 'VAULT_SERVER_TOKEN is missing'],
])('%s is refused: %s', (url, problem) => {
  expect(read({ PULUMI_SECRETS_PROVIDER: url }).problems.join('\n')).toContain(problem);
});

test('the variables of the previous provider are passed on too, so that its stacks can be read', () => {
  const before = 'awskms://alias/old?region=eu-central-1';
  const environment = { PULUMI_SECRETS_PROVIDER_BEFORE: before, AWS_ACCESS_KEY_ID: 'id', ...VAULT };
  expect(read({ PULUMI_SECRETS_PROVIDER: 'hashivault://k', ...environment })).toMatchObject({
    problems: [],
    before,
    passed: { AWS_ACCESS_KEY_ID: 'id', VAULT_SERVER_TOKEN: 'canary' },
  });
});

test('moving away from a key needs a backend whose stacks move by themselves', () => {
  const moving = { PULUMI_SECRETS_PROVIDER_BEFORE: 'awskms://alias/old?region=eu-central-1', ...VAULT };
  const to = (backend: string) =>
    read({ PULUMI_SECRETS_PROVIDER: 'hashivault://k', PULUMI_BACKEND_URL: backend, ...moving }).problems;
  expect(to('postgres://h/pulumi')).toEqual([]);
  expect(to('s3://bucket').join('\n')).toContain('needs a Postgres backend');
});

const KEYS = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' };
const ELSEWHERE = 'must be a key on this machine';

test.each([
  ['awskms://k?region=eu-central-1', { ...KEYS, AWS_ENDPOINT_URL: 'http://127.0.0.1:5000' }, undefined],
  ['awskms://k?region=eu-central-1&endpoint=http://localhost:5000', KEYS, undefined],
  ['awskms://k?region=eu-central-1&endpoint=http://localhost:5000', {}, 'AWS_ACCESS_KEY_ID and'],
  ['awskms://k?region=eu-central-1', KEYS, ELSEWHERE],
  ['awskms://k?region=eu-central-1&endpoint=http://localhost:5000&role=arn', KEYS, 'a role or a profile'],
  ['awskms://k?region=eu-central-1&endpoint=http://localhost:5000&profile=p', KEYS, 'a role or a profile'],
  ['awskms://k?region=eu-central-1&endpoint=http://kms.example', KEYS, ELSEWHERE],
  ['gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/k', {}, ELSEWHERE],
  ['hashivault://k', VAULT, ELSEWHERE],
  ['hashivault://k', { ...VAULT, VAULT_SERVER_URL: 'http://127.0.0.1:8200' }, undefined],
])('in the sandbox %s with %j: %s', (url, own, problem) => {
  const { problems, passed } = read({ PULUMI_SECRETS_PROVIDER: url, ...own }, true);
  if (problem === undefined) expect(problems).toEqual([]);
  else expect(problems.join('\n')).toContain(problem);
  if (url.startsWith('awskms')) expect(passed).toMatchObject({ AWS_EC2_METADATA_DISABLED: 'true' });
});
