import { join } from 'node:path';
import { pulumiVersion } from './pulumi-version.mjs';
import { findProgram, lastLines } from './run.mjs';

/** @typedef {import('./set-up.mjs').Context} Context */

/**
 * Builds the CLI from the Go module proxy into `folder`/bin, without language hosts, which are not needed
 * here.
 * @param {Context} context
 * @param {string} folder
 * @returns {Promise<{ unavailable: string } | null>}
 */
export async function buildPulumi(context, folder) {
  const { root, env, progress, run, signal } = context;
  const go = findProgram('go', env);
  if (go === null) {
    return {
      unavailable:
        'Go is missing. Install it (Debian and Ubuntu: apt-get install golang, macOS: brew install go, ' +
        `or from https://go.dev/dl), or put a Pulumi CLI ${pulumiVersion} on PATH`,
    };
  }
  const estimate =
    'from source, because no download is available; about 6 minutes on two cores the first time';
  return progress.step(`Building Pulumi ${pulumiVersion}`, estimate, async (step) => {
    let packages = 0;
    const { code, output } = await run(go, buildArguments(join(folder, 'bin', 'pulumi')), {
      cwd: join(root, 'tools', 'setup', 'pulumi-cli'),
      env: buildEnvironment(env, context.cacheDir),
      signal,
      onLine: (line) => {
        if (line.startsWith('go: ')) return step.note('fetching modules');
        packages += 1;
        step.note(`${packages} of about 1,700 packages compiled`);
      },
    });
    if (code === 0) return null;
    step.outcome('failed');
    return { unavailable: `go build failed:\n${lastLines(output)}` };
  });
}

/** @param {string} target */
export function buildArguments(target) {
  const version = `github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${pulumiVersion}`;
  return [
    'build',
    '-v',
    '-mod=readonly',
    '-buildvcs=false',
    '-ldflags',
    `-s -w -X ${version}`,
    '-o',
    target,
    'github.com/pulumi/pulumi/pkg/v3/cmd/pulumi',
  ];
}

/**
 * Keeps the user's own settings (proxy, tool chain, caches) except those that would change the build.
 * @param {NodeJS.ProcessEnv} env
 * @param {string} cacheDir
 */
export function buildEnvironment(env, cacheDir) {
  /** @type {NodeJS.ProcessEnv} */
  const result = { ...env, GOWORK: 'off', GO111MODULE: 'on' };
  delete result.GOOS;
  delete result.GOARCH;
  if (!env.HOME) {
    // Without a home folder Go has nowhere to put its caches.
    result.GOCACHE ||= join(cacheDir, 'go-build');
    result.GOPATH ||= join(cacheDir, 'go');
  }
  return result;
}
