import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readFiles, usesFiles } from '../../src/config/credential-files.ts';
import { EnvironmentReader } from '../../src/config/environment-reader.ts';
import { projectOfVariable, readHetznerProjects, tokenVariable } from '../../src/config/hetzner-projects.ts';
import { readRunnerConfig } from '../../src/runner/config.ts';
import { refuseOtherProject } from '../../src/runner/hetzner-project.ts';

const EU = 'e'.repeat(64);
const US = 'u'.repeat(64);
const OLD = 'o'.repeat(64);

function read(environment: Record<string, string>, required = true) {
  const reader = new EnvironmentReader(environment);
  const projects = readHetznerProjects(reader, { required });
  return {
    projects: projects.map(({ token, ...project }) => ({ ...project, token: token.reveal() })),
    problems: reader.problems,
  };
}

test('without names there is one project for everything', () => {
  expect(read({ HCLOUD_TOKEN: OLD })).toEqual({
    projects: [{ name: 'default', locations: undefined, mostServers: undefined, token: OLD }],
    problems: [],
  });
});

test('named ones have a token each, the places of their agents and maybe a number of servers', () => {
  const { projects, problems } = read({
    HCLOUD_PROJECTS: 'eu-1=eu, default=all, us=us+ap-southeast+nbg1:40',
    HCLOUD_TOKEN: OLD,
    HCLOUD_TOKEN_EU_1: EU,
    HCLOUD_TOKEN_US: US,
  });
  expect(problems).toEqual([]);
  expect(projects).toEqual([
    { name: 'eu-1', locations: ['nbg1', 'fsn1', 'hel1'], mostServers: undefined, token: EU },
    { name: 'default', locations: undefined, mostServers: undefined, token: OLD },
    { name: 'us', locations: ['ash', 'hil', 'sin', 'nbg1'], mostServers: 40, token: US },
  ]);
});

test.each([
  ['eu', /must be projects with the places/],
  ['eu=mars', /unknown place "mars"/],
  ['eu=eu, eu=us', /names a project twice/],
  ['us-file=us', /no name may end in “file”/],
  [`${'x'.repeat(21)}=eu`, /must be projects with the places/],
])('%s is refused', (text, message) => {
  expect(read({ HCLOUD_PROJECTS: text }, false).problems[0]).toMatch(message);
});

test('a token that is missing, malformed, shared or of a project without a name is refused', () => {
  const named = { HCLOUD_PROJECTS: 'eu=eu,us=us' };
  expect(read({ ...named, HCLOUD_TOKEN_EU: EU }).problems).toEqual([
    'HCLOUD_TOKEN_US is missing: a read and write token of the Hetzner project us',
  ]);
  expect(read({ ...named, HCLOUD_TOKEN_EU: EU, HCLOUD_TOKEN_US: 'short' }).problems[0]).toMatch(
    /^HCLOUD_TOKEN_US must/,
  );
  expect(read({ ...named, HCLOUD_TOKEN_EU: EU, HCLOUD_TOKEN_US: EU }).problems).toEqual([
    'HCLOUD_TOKEN_US is the token of HCLOUD_TOKEN_EU too: each project has its own',
  ]);
  expect(read({ ...named, HCLOUD_TOKEN: OLD, HCLOUD_TOKEN_EU: EU, HCLOUD_TOKEN_US: US }).problems).toEqual([
    'HCLOUD_TOKEN is the token of the project default, which HCLOUD_PROJECTS does not name',
  ]);
  expect(read(named, false).problems).toEqual([]);
});

test('each token may be in a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tokens-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'us'), `${US}\n`);
  const given = { HCLOUD_TOKEN_US_1_FILE: join(folder, 'us') };
  expect(usesFiles(given)).toBe(true);
  expect(readFiles(given).environment.HCLOUD_TOKEN_US_1).toBe(US);
});

test('a runner takes the tokens that its workflow hands over', () => {
  for (const name of ['default', 'us', 'eu-1']) expect(projectOfVariable(tokenVariable(name))).toBe(name);
  const { connections } = readRunnerConfig({
    JOB_ID: 'job',
    CALLBACK_URL: 'https://agents.example/api/webhooks/github',
    GITHUB_CALLBACK_SECRET: 'secret-of-callbacks',
    PULUMI_BACKEND_URL: 'postgres://state@db/pulumi',
    PULUMI_CONFIG_PASSPHRASE: 'passphrase',
    TAILSCALE_API_KEY: 'tskey',
    HCLOUD_TOKEN: '',
    HCLOUD_TOKEN_EU_1: EU,
    HCLOUD_TOKEN_US: US,
    DATA_DIR: tmpdir(),
    PATH: process.env.PATH,
  });
  expect(connections.hcloud.projects.map(({ name, token }) => [name, token.reveal()])).toEqual([
    ['eu-1', EU],
    ['us', US],
  ]);
  refuseOtherProject(connections, { project: 'us' });
  expect(() => refuseOtherProject(connections, { project: 'sg-1' })).toThrow(
    'The agent is in the Hetzner project sg-1, and the workflow hands no HCLOUD_TOKEN_SG_1 over',
  );
});
