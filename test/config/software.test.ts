import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { configurationVersion } from '../../src/app/configuration-version.ts';
import { EnvironmentReader } from '../../src/config/environment-reader.ts';
import { readAgentSoftware } from '../../src/config/software.ts';
import { Secret } from '../../src/secret.ts';

const folder = mkdtempSync(join(tmpdir(), 'agent-software-'));
afterAll(() => rmSync(folder, { recursive: true }));

function read(variables: Record<string, string>) {
  const reader = new EnvironmentReader(variables);
  return { software: readAgentSoftware(reader), problems: reader.problems };
}

describe('what an agent is', () => {
  it('is the default agent unless configured', () => {
    expect(read({ AGENT_ID: 'x', AGENT_NPM_PACKAGE: '' })).toEqual({
      software: { variables: {}, paths: [] },
      problems: [],
    });
  });

  it('is one complete choice', () => {
    const { problems } = read({
      AGENT_NPM_PACKAGE: 'assistant@1.2.3',
      AGENT_BINARY: 'https://example.com/agent',
      AGENT_ROLE: 'roles/mine',
      AGENT_ENVIRONMENT_FILE: '/nowhere/environment',
    });
    expect(problems.map((problem) => problem.split(' ')[0])).toEqual([
      'AGENT_NPM_PACKAGE,',
      'AGENT_COMMAND',
      'AGENT_BINARY_SHA256',
      'AGENT_ROLE',
      'AGENT_ENVIRONMENT_FILE',
    ]);
    expect(read({ AGENT_BINARY: 'relative/path' }).problems).toHaveLength(1);
    expect(read({ AGENT_NPM_PACKAGE: 'assistant@1.2.3', AGENT_COMMAND: 'assistant' }).problems).toEqual([]);
  });
});

describe('the version of the configuration', () => {
  const playbook = join(folder, 'playbook');
  const role = join(folder, 'role');
  const environmentFile = join(folder, 'environment');
  mkdirSync(join(role, 'tasks'), { recursive: true });
  mkdirSync(playbook);
  writeFileSync(join(playbook, 'site.yml'), '[]');
  writeFileSync(join(role, 'tasks', 'main.yml'), '[]');
  writeFileSync(environmentFile, 'KEY=a\n');
  const version = (variables: Record<string, string>, key = 'key') => {
    const { software, problems } = read(variables);
    expect(problems).toEqual([]);
    return configurationVersion(playbook, software, new Secret(key));
  };

  it('changes with the playbook, with every variable, and with the files’ contents', () => {
    const mine = { AGENT_ROLE: role, AGENT_COMMAND: 'assistant', AGENT_ENVIRONMENT_FILE: environmentFile };
    const seen = [version({}), version(mine), version({ ...mine, AGENT_COMMAND: 'assistant -v' })];
    expect(version(mine)).toBe(seen[1]);
    writeFileSync(environmentFile, 'KEY=b\n');
    seen.push(version(mine));
    writeFileSync(join(role, 'tasks', 'main.yml'), '[ ]');
    seen.push(version(mine));
    // The version is keyed, so knowing the playbook does not allow guessing secrets from it.
    seen.push(version(mine, 'another'));
    writeFileSync(join(playbook, 'site.yml'), '[ ]');
    seen.push(version(mine), version({}));
    expect(new Set(seen).size).toBe(seen.length);
  });
});
