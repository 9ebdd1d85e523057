import type { EngineEvent } from '@pulumi/pulumi/automation/index.js';
import { plainDiagnostic } from '../diagnostics.ts';
import type { Progress, ResourceProgress } from './messages.ts';

/** Returns the parts of an engine event that concern people: nothing about unchanged resources. */
export function toProgress(event: EngineEvent): Progress[] {
  if (event.resourcePreEvent !== undefined) return resource('begins', event.resourcePreEvent.metadata);
  if (event.resOutputsEvent !== undefined) return resource('done', event.resOutputsEvent.metadata);
  if (event.resOpFailedEvent !== undefined) return resource('failed', event.resOpFailedEvent.metadata);
  const diagnostic = event.diagnosticEvent;
  if (
    diagnostic !== undefined &&
    diagnostic.ephemeral !== true &&
    SHOWN_SEVERITIES.has(diagnostic.severity)
  ) {
    const text = diagnostic.message.slice(0, LONGEST_MESSAGE);
    const message = plainDiagnostic(withoutStack(text.replace(/<\{%[^%]*%\}>/g, '')));
    return message === '' ? [] : [{ kind: 'diagnostic', severity: diagnostic.severity, message }];
  }
  return [];
}

/** A plugin's message may quote any output of a cloud or a server; its beginning is enough for people. */
const LONGEST_MESSAGE = 20_000;

/** Removes stack traces of Node and Pulumi, which mean nothing to readers of an operation's log. */
const withoutStack = (text: string) => text.replace(/^\s+at \S.*$\n?/gm, '');

/** Excludes `debug`, which the engine sends though its types lack it: it holds secrets in plain text. */
const SHOWN_SEVERITIES = new Set<string>(['info', 'info#err', 'warning', 'error']);

interface Metadata {
  op: string;
  urn: string;
  type: string;
}

function resource(phase: 'begins' | 'done' | 'failed', { op, urn, type }: Metadata): Progress[] {
  if (
    op === 'same' ||
    op === 'read' ||
    type === 'pulumi:pulumi:Stack' ||
    type.startsWith('pulumi:providers:')
  )
    return [];
  const part = PARTS[type];
  const name = urn.split('::').at(-1) ?? urn;
  return [{ kind: 'resource', phase, operation: op, ...(part && { part }), type, name }];
}

const PARTS: Record<string, ResourceProgress['part']> = {
  'hcloud:index/server:Server': 'server',
  'command:local:Command': 'configuration',
};

const VERBS: Record<string, string> = {
  create: 'creating',
  import: 'taking over',
  update: 'updating',
  delete: 'deleting',
  replace: 'replacing',
  'create-replacement': 'recreating',
  'delete-replaced': 'deleting the old',
  refresh: 'reading',
};

/** Formats a line for the operation's log, with further lines of a message indented below. */
export function logLine(progress: Progress): string {
  // A message may quote a machine, which must not be able to forge our log lines.
  if (progress.kind === 'diagnostic')
    return `${progress.severity}: ${progress.message.replaceAll('\n', '\n  ')}`;
  const what = `${progress.name} (${progress.type.split(':').at(-1)})`;
  const verb = VERBS[progress.operation] ?? progress.operation;
  const suffix = progress.phase === 'begins' ? '…' : progress.phase === 'done' ? ': done' : ': failed';
  return `${verb} ${what}${suffix}`;
}

/** Detects repeated errors: the official plugins report every error twice, in two frames. */
export function createRepetitionCheck(): (progress: Progress) => boolean {
  const errors = new Set<string>();
  return (progress) => {
    if (progress.kind !== 'diagnostic' || progress.severity !== 'error') return false;
    const isKnown = errors.has(progress.message);
    errors.add(progress.message);
    return isKnown;
  };
}
