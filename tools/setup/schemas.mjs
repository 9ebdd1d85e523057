import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fetchTo } from './fetch.mjs';
import { ensureFolder } from './machines/tool.mjs';
import { buildEnvironment } from './pulumi-build.mjs';
import { findProgram, lastLines, SetupError } from './run.mjs';

/** @typedef {import('./set-up.mjs').Context} Context */

/**
 * Documents that describe formats which we write but do not define: each a file of a repository that is also
 * a Go module, whose proxy has it where the repository is out of reach.
 * @typedef {{ name: string, repository: string, module: string, version: string, path: string, sha256: string
 * }} Schema
 */

/** @type {Schema[]} */
const schemas = [
  {
    name: 'kubernetes.json',
    repository: 'kubernetes/kubernetes',
    module: 'k8s.io/kubernetes',
    version: 'v1.36.3',
    path: 'api/openapi-spec/swagger.json',
    sha256: 'dcede2063da1d7ad62ecb5af8adb6d7fabd0b52385a7fa0048afb491dac90450',
  },
  {
    name: 'compose.json',
    repository: 'compose-spec/compose-go',
    module: 'github.com/compose-spec/compose-go/v2',
    version: 'v2.16.2',
    path: 'schema/compose-spec.json',
    sha256: 'f266dcbb043229405d7cedd5aec918f9102c2b3d5e3850808fdd8edd564a43ff',
  },
];

const site = 'https://raw.githubusercontent.com';

/**
 * For the tests: the folder with the documents, or `null` with a message if they cannot be had.
 * @param {Context} context
 * @returns {Promise<string | null>}
 */
export async function ensureSchemas(context) {
  const home = join(context.cacheDir, `schemas-${digest(JSON.stringify(schemas)).slice(0, 8)}`);
  const isComplete = (/** @type {string} */ folder) =>
    schemas.every(({ name }) => existsSync(join(folder, name)));
  try {
    await ensureFolder(context, { title: 'the schemas', home, isComplete }, (folder) =>
      context.progress.step('Getting schemas', 'the tests check manifests with them', async (step) => {
        for (const schema of schemas) await obtain(context, schema, join(folder, schema.name), step.note);
      }),
    );
    return home;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    context.progress.say(error.message);
    return null;
  }
}

/**
 * @param {Context} context
 * @param {Schema} schema
 * @param {string} file
 * @param {(detail: string) => void} note
 */
export async function obtain(context, schema, file, note) {
  const { repository, version, path, sha256, name } = schema;
  const failure = await fetchTo(context, `${site}/${repository}/${version}/${path}`, file, note);
  const refusal = failure === null ? null : await copyFromModule(context, schema, file);
  if (refusal !== null) throw new SetupError(`${name} could not be had: ${failure}; ${refusal}`);
  if (digest(readFileSync(file)) !== sha256)
    throw new SetupError(`${name} does not match its checksum. Not used.`);
}

/**
 * @param {Context} context
 * @param {Schema} schema
 * @param {string} file
 * @returns {Promise<string | null>} why it is not to be had
 */
async function copyFromModule({ env, run, signal, cacheDir }, { module, version, path }, file) {
  const go = findProgram('go', env);
  if (go === null) return 'Go is missing';
  // Outside any module, so that nothing but the version counts.
  const cwd = join(cacheDir, 'claims');
  mkdirSync(cwd, { recursive: true });
  const args = ['mod', 'download', '-json', `${module}@${version}`];
  const { code, output } = await run(go, args, { cwd, env: buildEnvironment(env, cacheDir), signal });
  if (code !== 0) return `go mod download failed:\n${lastLines(output)}`;
  copyFileSync(join(JSON.parse(output.slice(output.indexOf('{'))).Dir, path), file);
  return null;
}

/** @param {string | Buffer} content */
const digest = (content) => createHash('sha256').update(content).digest('hex');
