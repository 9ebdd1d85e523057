import { test, vi } from 'vitest';
import { act, noAct } from '../support/sandbox-github.ts';

// The workflow's programs are children too: act, its steps, and the runner below them.
vi.stubEnv('AGENT_STACKS_E2E_EXECUTOR', 'github-actions');
if (act === undefined) test('behind a proxy with the other executor', ({ skip }) => skip(noAct));
else await import('./environment.test.ts');
