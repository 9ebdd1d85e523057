import { join } from 'node:path';
import { buildEnvironment } from '../pulumi-build.mjs';
import { findProgram, lastLines } from '../run.mjs';

/**
 * Builds programs from the Go module proxy into `folder`/bin, as a go.mod and go.sum of ours pin them.
 * @param {import('../set-up.mjs').Context} context
 * @param {string} folder
 * @param {{ title: string, module: string, packages: string[], flags: string[], about: string }} build
 *   `module`: the folder with go.mod, below tools/setup; `about`: how long it takes, and how many packages there are
 * @returns {Promise<{ unavailable: string } | null>}
 */
export async function buildWithGo(context, folder, { title, module, packages, flags, about }) {
  const { root, env, progress, run, signal } = context;
  const go = findProgram('go', env);
  if (go === null) {
    return {
      unavailable:
        'Go is missing. Install it (Debian and Ubuntu: apt-get install golang, or from https://go.dev/dl)',
    };
  }
  return progress.step(
    `Building ${title}`,
    `from source, because no download is at hand; ${about}`,
    async (step) => {
      let compiled = 0;
      // A folder as the target takes any number of programs, each under its package's name.
      const target = `${join(folder, 'bin')}/`;
      const args = ['build', '-v', '-mod=readonly', '-buildvcs=false', ...flags, '-o', target, ...packages];
      const { code, output } = await run(go, args, {
        cwd: join(root, 'tools', 'setup', module),
        // Static programs, which run in every Debian.
        env: { ...buildEnvironment(env, context.cacheDir), CGO_ENABLED: '0' },
        signal,
        onLine: (line) => {
          if (line.startsWith('go: ')) return step.note('fetching modules');
          compiled += 1;
          step.note(`${compiled} packages compiled`);
        },
      });
      if (code === 0) return null;
      step.outcome('failed');
      return { unavailable: `go build failed:\n${lastLines(output)}` };
    },
  );
}
