import { findProgram, isProgram, lastLines } from './run.mjs';

/**
 * A program of a Debian package that only the tests use.
 * @typedef {{ program: string, packageName: string, title: string, reason: string }} DebianProgram
 */

/**
 * For the tests: installs a program's Debian package if it is missing and can be installed (root, apt-get).
 * Otherwise it says so, and the tests that need it are skipped.
 * @param {import('./set-up.mjs').Context} context
 * @param {DebianProgram} wanted
 * @param {{ installed: boolean, isRoot: boolean }} machine
 */
export async function ensureDebianPackage(
  { env, progress, run, signal },
  { program, packageName, title, reason },
  machine = { installed: isProgram(program), isRoot: process.getuid?.() === 0 },
) {
  if (machine.installed || !machine.isRoot || findProgram('apt-get', env) === null) return;
  const options = { env: { ...env, DEBIAN_FRONTEND: 'noninteractive' }, signal };
  const complaint = await progress.step(title, reason, async (step) => {
    for (const words of [['update'], ['install', '-y', '--no-install-recommends', packageName]]) {
      step.note(`apt-get ${words[0]}`);
      // Waits for another run of apt-get.
      const { code, output } = await run('apt-get', ['-o', 'DPkg::Lock::Timeout=120', ...words], options);
      if (code === 0) continue;
      step.outcome('not possible here');
      return output;
    }
    return null;
  });
  if (complaint !== null) progress.say(lastLines(complaint));
}
