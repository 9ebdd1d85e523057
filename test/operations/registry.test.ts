import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { EDGES } from '../../src/agents/states.ts';
import { noEffect } from '../../src/operations/effects.ts';
import {
  defineOperation,
  findOperation,
  mayBegin,
  operationDefinitions,
  operationKinds,
  requestableOperations,
} from '../../src/operations/registry.ts';
import '../../src/runbooks/all.ts';
import { stop } from '../../src/runbooks/stop.ts';

const definition = (kind: string) => ({
  kind,
  rank: 75,
  limitSeconds: 60,
  effect: noEffect,
  succeed: async () => {},
  reported: () => ({ kind: 'none' as const }),
  run: () => async () => ({ kind: 'none' as const }),
});

test('each file beside the loader defines the kind of its name, with a unique rank', () => {
  const files = readdirSync(new URL('../../src/runbooks/', import.meta.url))
    .filter((name) => name.endsWith('.ts') && name !== 'all.ts')
    .map((name) => name.replace(/\.ts$/, ''));
  expect(operationKinds().sort()).toEqual(files.sort());
  expect(operationKinds()).toEqual(
    expect.arrayContaining(['provision', 'start', 'stop', 'restart', 'reconfigure', 'resize']),
  );
  expect(operationKinds()).toEqual(expect.arrayContaining(['refresh', 'rebuild', 'rollback', 'destroy']));
  expect(findOperation('stop')).toBe(stop);
  const ranks = operationDefinitions().map(({ rank }) => rank);
  expect(new Set(ranks).size).toBe(ranks.length);
});

test('unknown kinds and internal kinds are not requestable', () => {
  const kinds = requestableOperations().map(({ kind }) => kind);
  expect(kinds).not.toContain('provision');
  expect(kinds).not.toContain('rollback');
  expect(findOperation('constructor')).toBeUndefined();
  expect(findOperation('explode')).toBeUndefined();
});

test.each(['Touch', 'touch it', '-touch', '', 'x'.repeat(32), 'touch\n'])(
  '%j is not a valid kind',
  (kind) => {
    expect(() => defineOperation(definition(kind))).toThrow('Invalid operation kind');
  },
);

test('a kind is defined once, and needs its texts if people can request it', () => {
  expect(() => defineOperation(definition('stop'))).toThrow('defined twice');
  expect(() => defineOperation({ ...definition('unworded'), from: ['running'] })).toThrow(
    'has "from" but no "cli"',
  );
});

test('an exclusive operation begins in the states that allow its request, and a stop resumes while stopping', () => {
  expect(mayBegin('stop', 'running')).toBe(true);
  expect(mayBegin('stop', 'stopping')).toBe(true);
  expect(mayBegin('stop', 'stopped')).toBe(false);
  expect(mayBegin('start', 'stopping')).toBe(false);
  expect(mayBegin('refresh', 'failed')).toBe(true);
  expect(mayBegin('unknown', 'failed')).toBe(true);
});

test('every operation named in the agent table is defined', () => {
  const named = EDGES.map(({ by }) => by.split(' ')[0]!);
  for (const kind of named) expect(operationKinds()).toContain(kind);
});

test('docs/states.md only explains operations that can be requested', () => {
  const page = readFileSync(new URL('../../docs/states.md', import.meta.url), 'utf8');
  const [, table] = page.split('## What can be asked of an agent') as [string, string];
  const explained = [...table.matchAll(/^\| `([a-z-]+)` +\|/gm)].map(([, kind]) => kind);
  expect(explained.length).toBeGreaterThan(7);
  expect(requestableOperations().map(({ kind }) => kind)).toEqual(expect.arrayContaining(explained));
});

test('no kind has the name of a built-in CLI command', () => {
  const commands = [
    'help',
    'list',
    'show',
    'create',
    'ssh',
    'logs',
    'cancel',
    'retry',
    'orders',
    'hold',
    'release',
    'protect',
    'unprotect',
  ];
  expect(operationKinds().filter((kind) => commands.includes(kind))).toEqual([]);
});
