import { execFileSync } from 'node:child_process';
import { describe, it } from 'vitest';

/** The folder with ansible-playbook: from AGENT_STACKS_ANSIBLE or the PATH; undefined if there is none. */
export const ansibleFolder: string | undefined = process.env.AGENT_STACKS_ANSIBLE || findOnPath();

/** Tests that need Ansible. Without it they are skipped with the reason; with CI=true that is a failure. */
export function describeWithAnsible(name: string, tests: () => void, alsoNeeds?: string): void {
  const missing = ansibleFolder ? alsoNeeds : 'no ansible-playbook; AGENT_STACKS_ANSIBLE names its folder';
  if (!missing) {
    describe(name, tests);
  } else if (process.env.CI === 'true') {
    it(name, () => {
      throw new Error(`cannot be tested here: ${missing}`);
    });
  } else {
    describe.skip(`${name} (${missing})`, tests);
  }
}

/** What tests of ended processes need besides Ansible. */
export const needsLinux = process.platform === 'linux' ? undefined : 'processes are found through /proc';

function findOnPath(): string | undefined {
  try {
    const found = execFileSync('/bin/sh', ['-c', 'command -v ansible-playbook'], { encoding: 'utf8' });
    return found.trim().replace(/\/[^/]*$/, '');
  } catch {
    return undefined;
  }
}
