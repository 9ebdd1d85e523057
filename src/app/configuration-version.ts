import { createHash, createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { Secret } from '../secret.ts';
import { listFiles } from './playbook-files.ts';

/**
 * Identifies what the playbook does, by a hash over its files and the operator's software settings. An agent
 * that was configured by another version is configured again at its next `up`. The hash is keyed, because the
 * operator's settings may hold secrets and the version is stored in plain text.
 */
export function configurationVersion(
  folder: string,
  software: { variables: Record<string, string>; paths: string[] },
  key: Secret,
): string {
  const playbook = contentHash(folder);
  if (Object.keys(software.variables).length === 0) return playbook;
  const own = createHmac('sha256', key.reveal()).update(playbook);
  own.update(JSON.stringify(Object.entries(software.variables).sort()));
  for (const path of software.paths) own.update('\0').update(contentHash(path));
  return own.digest('hex').slice(0, 16);
}

function contentHash(path: string): string {
  const hash = createHash('sha256');
  for (const file of listFiles(path))
    hash.update(relative(path, file)).update('\0').update(readFileSync(file)).update('\0');
  return hash.digest('hex').slice(0, 16);
}
