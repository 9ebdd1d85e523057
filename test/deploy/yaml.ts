import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const SCRIPT =
  'import json, sys, yaml; json.dump([d for d in yaml.safe_load_all(sys.stdin) if d is not None], sys.stdout)';

/** Why YAML cannot be read here, or undefined. */
export const noYaml = process.env.AGENT_STACKS_ANSIBLE
  ? undefined
  : 'no AGENT_STACKS_ANSIBLE: run the tests with npm test';

/** Reads all documents of a YAML text with the library that Ansible's environment has. */
export function readYaml(text: string): unknown[] {
  const python = join(process.env.AGENT_STACKS_ANSIBLE!, 'python3');
  const { status, stdout, stderr } = spawnSync(python, ['-c', SCRIPT], { input: text, encoding: 'utf8' });
  if (status !== 0) throw new Error(`This is not YAML: ${stderr}`);
  return JSON.parse(stdout);
}
