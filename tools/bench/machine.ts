import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os';
import { join } from 'node:path';

/** The machine that the figures depend on. */
export interface MachineFacts {
  date: string;
  cores: number;
  processor: string;
  memoryGibibytes: number;
  system: string;
  node: string;
  pulumi: string;
  pulumiSdk: string;
  /** The version in the first measured installation. */
  postgres?: string;
  /** Runnable processes in the minute before: other work on the machine makes every figure worse. */
  loadBefore: number;
}

export function machineFacts(root: string, pulumi: string): MachineFacts {
  return {
    date: new Date().toISOString(),
    cores: availableParallelism(),
    processor: cpus()[0]?.model.trim() || 'unknown',
    memoryGibibytes: totalmem() / 2 ** 30,
    system: `${platform()} ${release()} ${arch()}`,
    node: process.versions.node,
    pulumi: execFileSync(pulumi, ['version'], { encoding: 'utf8' }).trim(),
    pulumiSdk: packageVersion(root, '@pulumi/pulumi'),
    loadBefore: loadavg()[0] ?? 0,
  };
}

function packageVersion(root: string, name: string): string {
  const text = readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
