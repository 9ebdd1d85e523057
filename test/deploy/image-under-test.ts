import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, globSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { listChildren } from '../../tools/faults/processes.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const IMAGE = 'localhost/agent-stacks:test';
/** The image that only has packages installed: what has a name is kept. */
const PACKAGES_IMAGE = 'localhost/agent-stacks:test-build';
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';

const toolsSchema = z.union([
  z.object({ missing: z.string() }),
  z.object({ storage: z.array(z.string()), debian: z.string(), node: z.string(), cache: z.string() }),
]);
/** What the set-up found to build images with (tools/setup/image-tools.mjs). */
export const imageTools = toolsSchema.parse(
  JSON.parse(process.env.AGENT_STACKS_IMAGE_TOOLS ?? '{"missing":"run the tests with npm test"}'),
);

const settingsSchema = z.object({
  User: z.string(),
  Env: z.array(z.string()),
  Entrypoint: z.array(z.string()),
  Cmd: z.array(z.string()),
  WorkingDir: z.string(),
  Healthcheck: z.object({ Test: z.array(z.string()) }),
  Volumes: z.record(z.string(), z.unknown()),
});
export type ImageSettings = z.infer<typeof settingsSchema>;

/** What the Containerfile copies of this clone, as patterns of its shell. */
function contextOf(containerfile: string): string[] {
  const sources = [...containerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, all = '']) =>
    all.split(' '),
  );
  return [...new Set([...sources.map((source) => source.replace(/\/$/, '')), 'deploy/image'])];
}

/**
 * Copies what the image is built from, without what differs from clone to clone: buildah uses a layer again
 * only for files of the same times, modes and owners.
 */
function copyContext(): string {
  const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-context-'));
  const same = ['--mtime=@0', '--mode=u=rwX,go=rX', '--owner=0', '--group=0', '--sort=name'];
  const containerfile = readFileSync(join(root, 'deploy/image/Containerfile'), 'utf8');
  const files = globSync(contextOf(containerfile), { cwd: root }).sort();
  const tar = execFileSync('tar', ['-c', '-C', root, ...same, ...files], { maxBuffer: 256 * 1024 * 1024 });
  execFileSync('tar', ['-x', '-p', '-C', folder], { input: tar });
  for (const path of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (path.isDirectory()) utimesSync(join(path.parentPath, path.name), 0, 0);
  }
  utimesSync(folder, 0, 0);
  return folder;
}

/** @throws Error with the end of the output */
function buildah(...args: string[]): string {
  if ('missing' in imageTools) throw new Error(imageTools.missing);
  return run('buildah', [...imageTools.storage, ...args], args[0]);
}

/** As `buildah`, while no other run of the tests on this machine does the same. */
function buildahAlone(...args: string[]): string {
  if ('missing' in imageTools) throw new Error(imageTools.missing);
  const lock = join(imageTools.cache, 'images', 'lock');
  return run('flock', [lock, 'buildah', ...imageTools.storage, ...args], args[0]);
}

function run(command: string, args: string[], what = ''): string {
  const options = { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, cwd: root } as const;
  const { status, stdout, stderr } = spawnSync(command, args, options);
  if (status !== 0) throw new Error(`buildah ${what}: ${(stdout + stderr).slice(-4_000)}`);
  return stdout.trim();
}

const CONTAINER_PREFIX = 'agent-stacks-test-';
const containersSchema = z.array(z.object({ id: z.string(), containername: z.string() })).nullable();

/**
 * Removes what runs that were killed have left. Builds run under the lock and have ended when it is free, so
 * a build's own container is always left over here; a test's has its process in its name.
 */
function removeLeftovers(): void {
  const containers = containersSchema.parse(JSON.parse(buildahAlone('containers', '--all', '--json')));
  for (const { id, containername } of containers ?? []) {
    const pid = new RegExp(`^${CONTAINER_PREFIX}(\\d+)-`).exec(containername)?.[1];
    if (pid !== undefined && existsSync(`/proc/${pid}`)) continue;
    // Another run may just have removed it.
    tolerate(/container not known/, () => buildahAlone('rm', id));
  }
}

/** @throws what `action` throws, unless it matches `expected` */
function tolerate(expected: RegExp, action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!expected.test(String(error))) throw error;
  }
}

/**
 * Builds the image of this clone; layers that have not changed since an earlier run are used again, those of
 * earlier states of the clone are removed.
 */
export function buildImage(): void {
  if ('missing' in imageTools) throw new Error(imageTools.missing);
  const { debian, node, cache } = imageTools;
  const own = '/run/certificates.crt';
  const certificates = existsSync(CERTIFICATES)
    ? [
        ...['--volume', `${CERTIFICATES}:${own}:ro`],
        ...['NODE_EXTRA_CA_CERTS', 'npm_config_cafile', 'PIP_CERT'].flatMap((name) => [
          '--build-arg',
          `${name}=${own}`,
        ]),
      ]
    : [];
  const context = copyContext();
  const values = { DEBIAN_IMAGE: debian, NODE_IMAGE: node, PROVIDERS: 'none' };
  const build = (...what: string[]) =>
    buildahAlone(
      ...['build', '--layers', '--isolation', 'chroot', '--format', 'docker', ...what],
      ...['--file', join(context, 'deploy/image/Containerfile')],
      ...['--ignorefile', join(context, 'deploy/image/Containerfile.dockerignore')],
      ...Object.entries(values).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
      ...certificates,
      ...['--volume', `${cache}:/var/cache/agent-stacks:ro`, context],
    );
  try {
    removeLeftovers();
    build('--target', 'build', '--tag', PACKAGES_IMAGE);
    build('--tag', IMAGE);
    // Another run may test an image that has meanwhile lost its name; the next run removes it.
    tolerate(/image is in use by a container/, () => buildahAlone('rmi', '--prune'));
  } finally {
    rmSync(context, { recursive: true });
  }
}

/** A container of the image. */
export class Container {
  readonly #name = `${CONTAINER_PREFIX}${process.pid}-${randomUUID().slice(0, 8)}`;
  readonly #tag = `AGENT_STACKS_CONTAINER=${this.#name}`;

  constructor() {
    buildah('from', '--pull-never', '--name', this.#name, IMAGE);
  }

  get settings(): ImageSettings {
    const inspected = JSON.parse(buildah('inspect', this.#name));
    return settingsSchema.parse(inspected.Docker.config);
  }

  /** All that the image records of its making, which anybody who has it can read. */
  get history(): string {
    return JSON.stringify(JSON.parse(buildah('inspect', this.#name)).Docker);
  }

  /** The folder of this machine where its files are. */
  mount(): string {
    return buildah('mount', this.#name);
  }

  /** Starts a command in it as its own user, on this machine's network. */
  start(command: string[], options: { dataDir: string; environment: Record<string, string> }): ChildProcess {
    if ('missing' in imageTools) throw new Error(imageTools.missing);
    const variables = { ...options.environment, ...Object.fromEntries([this.#tag.split('=')]) };
    const args = [
      ...['run', '--isolation', 'chroot', '--volume', `${options.dataDir}:/var/lib/agent-stacks`],
      ...Object.entries(variables).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    ];
    return spawn('buildah', [...imageTools.storage, ...args, this.#name, '--', ...command], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** The processes that run in it: those that were started, then all below them. */
  processes(): { pid: number; uid: number; command: string }[] {
    const started = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && this.#isStarted(name));
    const all = new Set<number>();
    const add = (pid: number) => {
      if (all.has(pid)) return;
      all.add(pid);
      for (const child of listChildren(pid)) add(child.pid);
    };
    for (const name of started) add(Number(name));
    return [...all].flatMap(readProcess);
  }

  #isStarted(pid: string): boolean {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(this.#tag);
    } catch {
      // It has ended meanwhile.
      return false;
    }
  }

  remove(): void {
    for (const { pid } of this.processes()) process.kill(pid, 'SIGKILL');
    buildah('rm', this.#name);
  }
}

function readProcess(pid: number): { pid: number; uid: number; command: string }[] {
  try {
    const uid = Number(/^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return [{ pid, uid, command }];
  } catch {
    return [];
  }
}
