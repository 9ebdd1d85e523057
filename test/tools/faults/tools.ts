import { existsSync } from 'node:fs';
import { compileCache } from '../../support/commands.ts';
import { memoryFolder } from '../../support/memory-folder.ts';

/** The programs that a real installation needs, as set up by `npm test`. */
export function toolEnvironment(): Record<string, string> {
  const names = ['PATH', 'HOME', 'USER', 'LANG', 'AGENT_STACKS_PULUMI', 'AGENT_STACKS_ANSIBLE'];
  return {
    ...Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]!]] : []))),
    ...compileCache,
    TMPDIR: memoryFolder,
  };
}

/** Why these tests cannot run here, or undefined. */
export function lacking(): string | undefined {
  if (!existsSync('/proc/self/environ')) return 'processes are found through /proc, which is Linux’s';
  if (!process.env.AGENT_STACKS_PULUMI || !process.env.AGENT_STACKS_ANSIBLE)
    return 'no AGENT_STACKS_PULUMI and AGENT_STACKS_ANSIBLE: run the tests with npm test';
  return undefined;
}
