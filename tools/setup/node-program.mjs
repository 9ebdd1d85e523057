import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { lastLines, SetupError } from './run.mjs';

/** @typedef {import('./set-up.mjs').Context} Context */

const version = '24.21.0';

/**
 * The packages with the program for each platform, with their hashes as listed by npm. The package `node`
 * would download one of them during its installation, bypassing package-lock.json.
 * @type {Record<string, string>}
 */
export const nodeIntegrity = {
  'linux-x64':
    'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
  'linux-arm64':
    'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
};

/**
 * Installs Node 24 as `node_modules/.bin/node`: the pinned package of this platform, or if none is pinned the
 * running Node, if it is a Node 24.
 * @param {Context} context
 * @param {(args: string[]) => Promise<string>} npm  runs npm and returns its output
 * @param {{ platform: string, running: string, integrity: Record<string, string> }} machine
 */
export async function installNode(
  context,
  npm,
  machine = {
    platform: `${process.platform}-${process.arch}`,
    running: process.version,
    integrity: nodeIntegrity,
  },
) {
  const integrity = machine.integrity[machine.platform];
  if (integrity !== undefined) return installPinned(context, npm, `node-${machine.platform}`, integrity);
  if (!machine.running.startsWith('v24.')) {
    throw new SetupError(
      `No Node ${version} is pinned for ${machine.platform}. Run this with your own Node 24 (https://nodejs.org) instead.`,
    );
  }
  place(context.root, process.execPath);
}

/**
 * @param {Context} context
 * @param {(args: string[]) => Promise<string>} npm
 * @param {string} name
 * @param {string} integrity
 */
async function installPinned(context, npm, name, integrity) {
  const folder = mkdtempSync(join(context.root, 'node_modules', '.node-'));
  try {
    await npm(['pack', `${name}@${version}`, '--ignore-scripts', '--pack-destination', folder]);
    const archive = join(folder, `${name}-${version}.tgz`);
    const hash = createHash('sha512').update(readFileSync(archive)).digest('base64');
    if (`sha512-${hash}` !== integrity)
      throw new SetupError(`${name} ${version} does not match its pinned hash. Not used.`);
    const unpack = ['-xzf', archive, '-C', folder, 'package/bin/node'];
    const { code, output } = await context.run('tar', unpack, { signal: context.signal });
    if (code !== 0) throw new SetupError(`${name} could not be unpacked:\n${lastLines(output)}`);
    place(context.root, join(folder, 'package', 'bin', 'node'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * @param {string} root
 * @param {string} program
 */
function place(root, program) {
  const bin = join(root, 'node_modules', 'node', 'bin');
  mkdirSync(bin, { recursive: true });
  mkdirSync(join(root, 'node_modules', '.bin'), { recursive: true });
  // Removed first: a process running from the old file keeps it.
  rmSync(join(bin, 'node'), { force: true });
  copyFileSync(program, join(bin, 'node'));
  chmodSync(join(bin, 'node'), 0o755);
  rmSync(join(root, 'node_modules', '.bin', 'node'), { force: true });
  symlinkSync('../node/bin/node', join(root, 'node_modules', '.bin', 'node'));
}
