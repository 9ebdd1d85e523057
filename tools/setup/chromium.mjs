import { findProgram, isProgram, lastLines } from './run.mjs';

/** Where Debian's package installs it and the tests look for it. */
const program = '/usr/bin/chromium';

/**
 * For the tests: installs Debian's Chromium if it is missing and can be installed (root, apt-get). Otherwise
 * it says so, and the tests that need it are skipped.
 * @param {import('./set-up.mjs').Context} context
 * @param {{ installed: boolean, isRoot: boolean }} machine
 */
export async function ensureChromium(
  context,
  machine = { installed: isProgram(program), isRoot: process.getuid?.() === 0 },
) {
  const { env, progress, run, signal } = context;
  if (machine.installed || !machine.isRoot || findProgram('apt-get', env) === null) return;
  const options = { env: { ...env, DEBIAN_FRONTEND: 'noninteractive' }, signal };
  const complaint = await progress.step('Installing Chromium', 'for the tests of the pages', async (step) => {
    for (const words of [['update'], ['install', '-y', '--no-install-recommends', 'chromium']]) {
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
