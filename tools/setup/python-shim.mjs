import { delimiter, dirname } from 'node:path';
import { findProgram } from './run.mjs';

/**
 * Returns the PATH with the folder of the Python that `python3` starts before that of a version manager's
 * shim: a shim looks for it at every start, with twenty processes and five times Python's own processor time.
 * The same PATH where there is no shim.
 * @param {Pick<import('./set-up.mjs').Context, 'env' | 'run'>} context
 * @returns {Promise<string>}
 */
export async function pathPastPythonShim({ env, run }) {
  const path = env.PATH ?? '';
  const found = findProgram('python3', env);
  if (found === null) return path;
  const { code, output } = await run('python3', ['-c', 'import sys; print(sys.executable)'], { env });
  const folder = dirname(output.trim());
  const folders = path.split(delimiter);
  if (code !== 0 || !folder.startsWith('/') || folders.includes(folder)) return path;
  return folders.flatMap((each) => (each === dirname(found) ? [folder, each] : [each])).join(delimiter);
}
