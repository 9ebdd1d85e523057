import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, onTestFinished, test } from 'vitest';
import { SECRETS } from '../../src/config/credential-files.ts';
import { noYaml, readYaml } from './yaml.ts';

const folder = fileURLToPath(new URL('../../deploy/compose', import.meta.url));
const schemas = process.env.AGENT_STACKS_SCHEMAS || undefined;

interface Service {
  environment?: Record<string, string>;
  secrets?: string[];
  networks?: string[];
  volumes?: string[];
  depends_on?: Record<string, unknown>;
  command?: string[];
  image?: string;
}
interface Compose {
  services: Record<string, Service>;
  secrets: Record<string, { file: string }>;
  volumes: object;
  networks: object;
}
const readCompose = () => readYaml(readFileSync(join(folder, 'compose.yaml'), 'utf8'))[0] as Compose;

test('the file follows the Compose specification', ({ skip }) => {
  skip(schemas === undefined, 'the schemas could not be set up: no download, and no Go');
  skip(noYaml !== undefined, noYaml);
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
  const validate = ajv.compile(JSON.parse(readFileSync(join(schemas!, 'compose.json'), 'utf8')));
  const compose = readCompose();
  expect(validate(compose), JSON.stringify(validate.errors)).toBe(true);
  // A check that accepts everything would be none.
  expect(validate({ ...compose, services: { api: { imag: 'agent-stacks' } } })).toBe(false);
});

test('everything that a service names is there, and its secrets are variables that can be files', ({
  skip,
}) => {
  skip(noYaml !== undefined, noYaml);
  const compose = readCompose();
  const { services } = compose;
  for (const [name, service] of Object.entries(services)) {
    const { environment = {}, secrets = [], networks = [], volumes = [], depends_on = {} } = service;
    expect(Object.keys(services), name).toEqual(expect.arrayContaining(Object.keys(depends_on)));
    expect(Object.keys(compose.networks), name).toEqual(expect.arrayContaining(networks));
    expect(Object.keys(compose.secrets), name).toEqual(expect.arrayContaining(secrets));
    const named = volumes.map((volume) => volume.split(':')[0]!).filter((volume) => /^\w/.test(volume));
    expect(Object.keys(compose.volumes), name).toEqual(expect.arrayContaining(named));
    const files = Object.values(environment).filter((value) => value.startsWith('/run/secrets/'));
    expect(files.map((file) => file.slice('/run/secrets/'.length)).sort()).toEqual([...secrets].sort());
    if (service.command?.[0] === '--role')
      for (const variable of Object.keys(environment).filter((one) => one.endsWith('_FILE')))
        expect(SECRETS).toContain(variable.replace(/_FILE$/, ''));
  }
  expect(services.postgres!.networks).toEqual(['database']);
});

test('the secrets that nobody chooses are made once, and nobody else can enter their folder', () => {
  const copy = mkdtempSync(join(tmpdir(), 'agent-stacks-compose-'));
  onTestFinished(() => rmSync(copy, { recursive: true }));
  cpSync(folder, copy, { recursive: true });
  const make = () => execFileSync(join(copy, 'make-secrets.sh'), { encoding: 'utf8' });
  const read = () =>
    Object.fromEntries(
      readdirSync(join(copy, 'secrets')).map((name) => [
        name,
        readFileSync(join(copy, 'secrets', name), 'utf8'),
      ]),
    );
  expect(make()).toContain('secrets/hcloud_token');
  const first = read();
  expect(statSync(join(copy, 'secrets')).mode & 0o777).toBe(0o700);
  expect(first.api_token).toMatch(/^[0-9a-f]{64}$/);
  expect(first.database_url).toBe(`postgres://agents:${first.postgres_password}@postgres:5432/agents`);
  expect(new Set([first.api_token, first.pulumi_passphrase, first.postgres_password]).size).toBe(3);
  make();
  expect(read()).toEqual(first);
});
