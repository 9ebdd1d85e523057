import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lastLines, SetupError } from '../run.mjs';
import { findMirror } from './debian-mirror.mjs';
import { debianKeyring } from './host-packages.mjs';
import { ensureFolder } from './tool.mjs';
import { tailscaleVersion } from './versions.mjs';

/** @typedef {import('../set-up.mjs').Context} Context */

const suite = 'bookworm';

/**
 * Matches a provider's image of Debian 12 as far as it matters here. Machines have no internet access to
 * fetch more.
 */
const packages = [
  ...[
    'systemd',
    'systemd-sysv',
    'systemd-timesyncd',
    'dbus',
    'libpam-systemd',
    'openssh-server',
    'sudo',
    'cloud-init',
  ],
  ...[
    'python3',
    'python3-apt',
    'iproute2',
    'iputils-ping',
    'nftables',
    'unattended-upgrades',
    'ca-certificates',
  ],
  ...['curl', 'gnupg', 'locales', 'procps', 'acl'],
  // debootstrap does not notice that this package provides a name that others depend on.
  'python3-cffi-backend',
];

/** A machine has no disk of its own to maintain; base-files has what becomes of cloud-init's stages. */
const maskedUnits = [
  ...['fstrim.timer', 'e2scrub_all.timer', 'e2scrub_reap.service', 'systemd-pstore.service'],
  ...['cloud-init-local.service', 'cloud-config.service'],
];

const files = fileURLToPath(new URL('base-files', import.meta.url));

/** Other packages or files of ours make another base. */
const version = createHash('sha256')
  .update(JSON.stringify([suite, packages, maskedUnits, tailscaleVersion]))
  .update(
    filesBelow(files)
      .map((path) => `${path}\n${readFileSync(join(files, path), 'utf8')}`)
      .join('\n'),
  )
  .digest('hex')
  .slice(0, 8);

/** @param {string} cacheDir */
export const basePath = (cacheDir) => join(cacheDir, `machine-base-12-${version}`);

/** @param {string} home */
export const isBaseComplete = (home) => existsSync(join(home, '.complete'));

/**
 * Builds the system that every machine starts from: Debian 12 with Tailscale, without keys or an identity.
 * @param {Context} context
 * @param {{ tailscale: string, tailscaled: string }} programs
 * @returns {Promise<string>} its root folder
 */
export async function ensureBase(context, programs) {
  const home = basePath(context.cacheDir);
  const wanted = { title: 'the base of the machines', home, isComplete: isBaseComplete };
  await ensureFolder(context, wanted, async (folder) => {
    const why = 'the base system of real machines; about a minute';
    await context.progress.step('Installing Debian 12', why, async (step) => {
      const root = join(folder, 'root');
      await bootstrap(context, root, step.note);
      finish(root, programs);
      // Readable by the machines' own accounts.
      chmodSync(folder, 0o755);
      writeFileSync(join(folder, '.complete'), '');
    });
  });
  return join(home, 'root');
}

/**
 * @param {Context} context
 * @param {string} root
 * @param {(detail: string) => void} note
 */
async function bootstrap(context, root, note) {
  const { url, env } = await findMirror(context);
  const args = debootstrapArguments(root, url);
  let count = 0;
  const onLine = (/** @type {string} */ line) => {
    const [, verb] = /^I: (Retrieving|Unpacking|Configuring) /.exec(line) ?? [];
    if (verb === undefined) return;
    count += 1;
    note(`${verb.toLowerCase()} packages, ${count}`);
  };
  const { code, output } = await context.run('debootstrap', args, { env, signal: context.signal, onLine });
  if (code !== 0) throw new SetupError(`Debian 12 could not be installed from ${url}:\n${lastLines(output)}`);
}

/**
 * Mirrors are not trusted: everything must be signed by Debian with a key that this host already had.
 * @param {string} root
 * @param {string} url
 */
export function debootstrapArguments(root, url) {
  const checked = ['--force-check-gpg', `--keyring=${debianKeyring}`];
  return ['--variant=minbase', ...checked, `--include=${packages.join(',')}`, suite, root, url];
}

/**
 * Removes what must differ between machines or came from this host, and adds our own files.
 * @param {string} root
 * @param {{ tailscale: string, tailscaled: string }} programs
 */
function finish(root, { tailscale, tailscaled }) {
  const at = (/** @type {string} */ path) => join(root, path);
  for (const name of readdirSync(at('etc/ssh')))
    if (name.startsWith('ssh_host_')) rmSync(at(`etc/ssh/${name}`));
  rmSync(at('var/lib/dbus/machine-id'), { force: true });
  rmSync(at('etc/machine-id'), { force: true });
  writeFileSync(at('etc/machine-id'), '');
  writeFileSync(at('etc/hostname'), 'debian\n');
  writeFileSync(
    at('etc/resolv.conf'),
    '# Machines of the sandbox have no way out, and no names to resolve.\n',
  );
  writeFileSync(at('etc/apt/sources.list'), `deb http://deb.debian.org/debian ${suite} main\n`);
  rmSync(at('var/cache/apt/archives'), { recursive: true, force: true });
  rmSync(at('var/lib/apt/lists'), { recursive: true, force: true });
  cpSync(files, root, { recursive: true });
  copyFileSync(tailscale, at('usr/bin/tailscale'));
  copyFileSync(tailscaled, at('usr/sbin/tailscaled'));
  const units = 'etc/systemd/system';
  symlinkSync(
    '/lib/systemd/system/tailscaled.service',
    at(`${units}/multi-user.target.wants/tailscaled.service`),
  );
  for (const unit of maskedUnits) symlinkSync('/dev/null', at(`${units}/${unit}`));
}

/** @param {string} folder */
function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}
