import { test, vi } from 'vitest';
import { act, noAct } from '../support/sandbox-github.ts';

// The same suite as for the local executor: no secret in arguments, logs, rows or answers, including the
// workflow runs'.
vi.stubEnv('AGENT_STACKS_E2E_EXECUTOR', 'github-actions');
if (act === undefined) test('the look for secrets with the other executor', ({ skip }) => skip(noAct));
else await import('./secrets.test.ts');
