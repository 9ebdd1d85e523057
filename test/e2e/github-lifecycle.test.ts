import { test, vi } from 'vitest';
import { act, noAct } from '../support/sandbox-github.ts';

// The same suite as for the local executor, with each operation run by the real workflow.
vi.stubEnv('AGENT_STACKS_E2E_EXECUTOR', 'github-actions');
if (act === undefined) test('the lifecycle with the other executor', ({ skip }) => skip(noAct));
else await import('./lifecycle.test.ts');
