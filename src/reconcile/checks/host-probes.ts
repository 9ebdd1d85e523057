import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { errorMessage } from '../../errors.ts';
import { exchange } from '../../http-client/exchange.ts';
import { sdkVersion } from '../../pulumi/plugins.ts';
import { MisconfiguredError, nothing, type Probe } from './probe.ts';

const run = promisify(execFile);

const everything = () => true;
const SET_UP_CURE =
  'npm start sets up what is missing; or let this command do it: npm run agents -- doctor --install';

interface Tools {
  /** The CLI, or undefined for the one on PATH. */
  pulumi: string | undefined;
  /** The folder of Ansible's programs. */
  ansible: string | undefined;
  environment: Record<string, string>;
}

/** Whether the programs are there that operations start, in the versions that fit. */
export function toolsProbe({ pulumi, ansible, environment }: Tools): Probe {
  return {
    name: 'tools',
    blocks: everything,
    cure: SET_UP_CURE,
    look: async () => {
      const wanted = sdkVersion('pulumi');
      const { stdout } = await run(pulumi ?? 'pulumi', ['version'], {
        env: { ...environment, PULUMI_SKIP_UPDATE_CHECK: 'true' },
        timeout: 9_000,
      }).catch((error: unknown) => {
        throw new MisconfiguredError(`The Pulumi CLI cannot be run: ${errorMessage(error)}`, SET_UP_CURE);
      });
      const version = stdout.trim().replace(/^v/, '');
      if (version !== wanted)
        throw new MisconfiguredError(
          `The Pulumi CLI has version ${version}, and ${wanted} is needed`,
          SET_UP_CURE,
        );
      await access(join(ansible ?? '', 'ansible-playbook'), constants.X_OK).catch(() => {
        throw new MisconfiguredError('Ansible is not installed', SET_UP_CURE);
      });
      return `Pulumi ${version} and Ansible are installed`;
    },
  };
}

/** Stripe refuses signatures that are five minutes off; certificates and tokens are no more patient. */
const MOST_SKEW_SECONDS = 60;
const CLOCK_CURE =
  'Let the clock follow a time server: timedatectl set-ntp true (or start chrony), then: timedatectl status';

/** Compares this host's clock with what the vendors' answers say. The median counts: one may be wrong. */
export function clockProbe(urls: readonly string[]): Probe {
  return {
    name: 'clock',
    blocks: nothing,
    cure: CLOCK_CURE,
    look: async () => {
      const skews = (await Promise.all(urls.map(readSkew))).filter((skew) => skew !== undefined);
      if (skews.length === 0) return 'no vendor’s answer has a date to compare with';
      const seconds = Math.round(
        skews.sort((one, other) => one - other)[Math.floor((skews.length - 1) / 2)]!,
      );
      if (Math.abs(seconds) <= MOST_SKEW_SECONDS) return 'the clock agrees with the vendors’';
      throw new MisconfiguredError(
        `This host’s clock is ${Math.abs(seconds)} s ${seconds < 0 ? 'ahead of' : 'behind'} the vendors’`,
        CLOCK_CURE,
      );
    },
  };
}

/**
 * Seconds by which a server is ahead of this host; undefined if it does not answer. Any answer has a date.
 */
async function readSkew(url: string): Promise<number | undefined> {
  const begun = Date.now();
  try {
    const { headers } = await exchange({ method: 'GET', url, headers: {}, timeoutSeconds: 5, redirects: 0 });
    const date = Date.parse(headers.get('date') ?? '');
    // A date has whole seconds, and was written about half way through.
    return Number.isNaN(date) ? undefined : (date + 500 - (begun + Date.now()) / 2) / 1000;
  } catch {
    return undefined;
  }
}

const LEAST_FREE_BYTES = 1024 ** 3;

/** Whether the folders that grow have room. */
export function diskProbe(folders: readonly string[]): Probe {
  return {
    name: 'disk',
    blocks: nothing,
    cure: '',
    look: async () => {
      let least = Infinity;
      for (const folder of folders) {
        const free = await freeBytes(folder);
        least = Math.min(least, free);
        if (free < LEAST_FREE_BYTES)
          throw new MisconfiguredError(
            `Only ${toMegabytes(free)} are left on the disk of ${folder}`,
            `Free some space, see what uses it: du -xh --max-depth=2 ${folder} | sort -h | tail`,
          );
      }
      return `at least ${toMegabytes(least)} are free`;
    },
  };
}

/** A folder that does not exist yet has the disk of what it will be made in. */
async function freeBytes(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return freeBytes(join(folder, '..'));
  }
}

const toMegabytes = (bytes: number) => `${Math.floor(bytes / 1024 ** 2).toLocaleString('en')} MB`;
