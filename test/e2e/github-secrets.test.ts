import { test, vi } from 'vitest';
import { act, noAct } from '../sandbox/github/setup.ts';

// What holds for the local executor holds for runners at GitHub: no secret in arguments, logs, rows or answers, the runs' ones among them.
vi.stubEnv('AGENT_STACKS_E2E_EXECUTOR', 'github-actions');
if (act === undefined) test('the look for secrets with the other executor', ({ skip }) => skip(noAct));
else await import('./secrets.test.ts');
