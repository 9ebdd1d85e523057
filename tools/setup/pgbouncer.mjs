import { ensureDebianPackage } from './debian-package.mjs';

/**
 * For the test that a pooler in the wrong mode is found.
 * @param {import('./set-up.mjs').Context} context
 */
export async function ensurePgbouncer(context) {
  await ensureDebianPackage(context, {
    program: '/usr/sbin/pgbouncer',
    packageName: 'pgbouncer',
    title: 'Installing PgBouncer',
    reason: 'for the tests of the doctor',
  });
}
