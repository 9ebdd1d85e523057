import { join } from 'node:path';
import { buildEnvironment } from '../pulumi-build.mjs';
import { findProgram, lastLines } from '../run.mjs';

/**
 * Builds programs from the Go module proxy into `folder`/bin, pinned by a go.mod and go.sum of ours.
 * @param {import('../set-up.mjs').Context} context
 * @param {string} folder
 * @param {{ title: string, module: string, packages: string[], flags: string[], about: string }} build
 *   `module`: the folder with go.mod, below tools/setup; `about`: how long it takes, and how many packages
 *   there are
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
    `from source, because no download is available; ${about}`,
    async (step) => {
      let compiled = 0;
      // With a folder as its target, go install accepts any number of programs, each named after its package.
      const target = `${join(folder, 'bin')}/`;
      const args = ['build', '-v', '-mod=readonly', '-buildvcs=false', ...flags, '-o', target, ...packages];
      const { code, output } = await run(go, args, {
        cwd: join(root, 'tools', 'setup', module),
        // Static programs run on every Debian.
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
