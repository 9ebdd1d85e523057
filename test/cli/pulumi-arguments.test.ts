import { expect, test } from 'vitest';
import {
  changesStack,
  readArguments,
  refusal,
  runsProgram,
  withSecretsProvider,
} from '../../src/cli/pulumi-arguments.ts';

const read = (line: string) => readArguments(line.split(' '));

test.each([
  ['stack output -s agent-a1', 'agent-a1'],
  ['stack output --stack agent-a1', 'agent-a1'],
  ['preview --stack=agent-a1 --expect-no-changes', 'agent-a1'],
  ['preview -sagent-a1', 'agent-a1'],
  ['preview -s=agent-a1', 'agent-a1'],
  ['-s agent-a1 preview', 'agent-a1'],
  ['preview -s organization/agents/agent-a1', 'agent-a1'],
  ['stack rm agent-a1 --yes', 'agent-a1'],
  ['stack rm --yes agents/agent-a1', 'agent-a1'],
  ['cancel agent-a1', 'agent-a1'],
  ['cancel --yes', undefined],
  ['stack ls', undefined],
  ['stack output ipv4 -s agent-a1', 'agent-a1'],
  ['stack output ipv4', undefined],
  ['--skip-preview up', undefined],
])('%s: %s', (line, stackName) => {
  expect(read(line).stackName).toBe(stackName);
});

test('the commands that run the program', () => {
  for (const line of ['preview', 'up --yes', 'refresh -s x', 'destroy', '-s x up', '--color never preview'])
    expect(runsProgram(read(line)), line).toBe(true);
  for (const line of ['stack ls', 'stack', 'version', 'config get up', 'stack output preview'])
    expect(runsProgram(read(line)), line).toBe(false);
});

test('the commands that write a stack’s state', () => {
  for (const line of [
    'up',
    'destroy --yes',
    'refresh',
    'cancel agent-a1',
    'import x y z',
    'state delete urn',
    'stack rm x',
    'stack import',
    'stack rename y -s x',
    'stack change-secrets-provider passphrase',
    '-C folder up',
  ])
    expect(changesStack(read(line)), line).toBe(true);
  for (const line of [
    'preview',
    'stack',
    'stack ls',
    'stack output',
    'stack export',
    'stack history',
    'logs',
  ])
    expect(changesStack(read(line)), line).toBe(false);
});

test('what would lose a stack or mix stacks up is refused, everything else is passed through', () => {
  expect(refusal(read('stack rename agent-b -s agent-a1'))).toMatch(/would lose a renamed one/);
  expect(refusal(read('stack change-secrets-provider passphrase -s agent-a1'))).toMatch(/_BEFORE/);
  expect(refusal(read('stack change-secrets-provider hashivault://k -s agent-a1'))).toBeUndefined();
  expect(refusal(read('stack init agent_a1'))).toMatch(/contains _ or %/);
  for (const line of ['stack ls', 'stack -s agent-a1', 'preview -s agent-a1', 'stack rm agent-a1']) {
    expect(refusal(read(line))).toBeUndefined();
  }
});

test('a stack that is made by hand gets the installation’s secrets provider, unless it names one', () => {
  const complete = (line: string, provider = 'hashivault://key') =>
    withSecretsProvider(line.split(' '), read(line), provider).join(' ');
  expect(complete('stack init x')).toBe('stack init x --secrets-provider=hashivault://key');
  expect(complete('stack init x', 'passphrase')).toBe('stack init x');
  for (const line of ['stack init x --secrets-provider passphrase', 'stack ls', 'up -s agent-a1'])
    expect(complete(line)).toBe(line);
});
