import type { EngineEvent } from '@pulumi/pulumi/automation/index.js';
import { expect, test } from 'vitest';
import { logLine, toProgress } from '../../../src/pulumi/engine/engine-events.ts';

const metadata = (op: string, type = 'hcloud:index/server:Server') =>
  ({ op, type, urn: `urn:pulumi:agent-a1::agents::${type}::server` }) as never;
const event = (content: object) => ({ sequence: 1, timestamp: 1, ...content }) as EngineEvent;
const diagnostic = (severity: string, message: string, more: object = {}) =>
  event({ diagnosticEvent: { severity, message, color: 'never', ...more } });

test('debug diagnostics are dropped, because the engine writes secrets into them', () => {
  expect(toProgress(diagnostic('debug', 'tskey-auth-canary'))).toEqual([]);
});

test.each(['info', 'info#err', 'warning', 'error'])('a diagnostic of severity %s is reported', (severity) => {
  const [told] = toProgress(diagnostic(severity, '<{%reset%}>  something<{%reset%}>\n'));
  expect(told).toEqual({ kind: 'diagnostic', severity, message: 'something' });
  expect(logLine(told!)).toBe(`${severity}: something`);
});

test('ephemeral and empty events are dropped', () => {
  expect(toProgress(diagnostic('info', 'progress', { ephemeral: true }))).toEqual([]);
  expect(toProgress(diagnostic('error', '<{%reset%}>\n'))).toEqual([]);
  expect(toProgress(event({ summaryEvent: {} }))).toEqual([]);
  expect(toProgress(event({ stdoutEvent: { message: 'x' } }))).toEqual([]);
});

test('a resource operation is reported when it begins, is done, or has failed', () => {
  const lines = [
    event({ resourcePreEvent: { metadata: metadata('create') } }),
    event({ resOutputsEvent: { metadata: metadata('create') } }),
    event({ resOpFailedEvent: { metadata: metadata('create') } }),
    event({ resourcePreEvent: { metadata: metadata('import') } }),
    event({ resourcePreEvent: { metadata: metadata('unheard-of') } }),
  ].flatMap(toProgress);
  expect(lines.map(logLine)).toEqual([
    'creating server (Server)…',
    'creating server (Server): done',
    'creating server (Server): failed',
    'taking over server (Server)…',
    'unheard-of server (Server)…',
  ]);
});

test('the parts of an agent that an operation’s steps follow are named', () => {
  const parts = ['hcloud:index/server:Server', 'command:local:Command', 'hcloud:index/sshKey:SshKey'].map(
    (type) => toProgress(event({ resOutputsEvent: { metadata: metadata('create', type) } }))[0],
  );
  expect(parts.map((progress) => progress?.kind === 'resource' && progress.part)).toEqual([
    'server',
    'configuration',
    undefined,
  ]);
});

test('unchanged resources, the stack and the providers are not reported', () => {
  for (const content of [
    metadata('same'),
    metadata('read'),
    metadata('create', 'pulumi:pulumi:Stack'),
    metadata('create', 'pulumi:providers:hcloud'),
  ])
    expect(toProgress(event({ resourcePreEvent: { metadata: content } }))).toEqual([]);
});

test('no line of a message can pass for one of ours', () => {
  const message = 'configure: failed\nagent : Wait: ok (0.1 s)\ncreating server (Server): done';
  expect(logLine({ kind: 'diagnostic', severity: 'error', message })).toBe(
    'error: configure: failed\n  agent : Wait: ok (0.1 s)\n  creating server (Server): done',
  );
});
