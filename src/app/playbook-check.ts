import { existsSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fingerprint } from '../connections/connections.ts';
import type { Secret } from '../secret.ts';
import { configurationVersion } from './configuration-version.ts';
import { stampFiles } from './playbook-files.ts';

export interface CheckedPlaybook {
  folder: string;
  software: { variables: Record<string, string>; paths: string[] };
  key: Secret;
  /** The folder of Ansible's commands; undefined: they are found on `path`. */
  ansible: string | undefined;
  path: string;
}

/**
 * Returns a function that identifies what a check of the playbook's syntax depends on: the files of playbook,
 * roles and settings, and the Ansible that checks them. They may change while this process runs. Their
 * contents are read only if their times or sizes have changed since the last call.
 */
export function createPlaybookKey(playbook: CheckedPlaybook): () => string {
  let known: { stamp: string; key: string } | undefined;
  return () => {
    const { folder, software, key } = playbook;
    const command = findAnsible(playbook);
    const stamp = stampFiles([folder, ...software.paths, ...command]);
    if (known?.stamp !== stamp) {
      const version = configurationVersion(folder, software, key);
      known = { stamp, key: fingerprint(`${version} ${stampFiles(command)}`) };
    }
    return known.key;
  };
}

/** The real path of `ansible-playbook`, which another version of Ansible writes again. */
function findAnsible({ ansible, path }: CheckedPlaybook): string[] {
  const folders = ansible === undefined ? path.split(delimiter) : [ansible];
  const command = folders.map((folder) => join(folder, 'ansible-playbook')).find((one) => existsSync(one));
  return command === undefined ? [] : [realpathSync(command)];
}
