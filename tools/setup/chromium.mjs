import { ensureDebianPackage } from './debian-package.mjs';

/**
 * For the tests of the pages.
 * @param {import('./set-up.mjs').Context} context
 * @param {{ installed: boolean, isRoot: boolean }} [machine]
 */
export async function ensureChromium(context, machine) {
  const chromium = {
    // Where Debian's package installs it and the tests look for it.
    program: '/usr/bin/chromium',
    packageName: 'chromium',
    title: 'Installing Chromium',
    reason: 'for the tests of the pages',
  };
  await ensureDebianPackage(context, chromium, machine);
}
