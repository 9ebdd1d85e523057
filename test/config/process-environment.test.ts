import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { ConfigError } from '../../src/config/config-error.ts';
import { EnvironmentReader } from '../../src/config/environment-reader.ts';
import { childEnvironment } from '../../src/config/process-environment.ts';
import { type RecordingProxy, startProxy } from '../support/http-proxy.ts';

const childOf = (environment: Record<string, string>, ownHosts: string[] = []) =>
  childEnvironment(new EnvironmentReader(environment), ownHosts);

describe('the environment of children', () => {
  it('has no credentials, and nothing that leads to another Postgres or a proxy for gRPC', () => {
    const child = childOf({
      PATH: '/bin',
      HCLOUD_TOKEN: 'x',
      PGSSLMODE: 'require',
      PGHOST: 'elsewhere',
      grpc_proxy: 'http://proxy:1',
      NODE_USE_ENV_PROXY: '1',
    });
    expect(child).toEqual({ PATH: '/bin' });
  });

  it('exempts this host and the installation from the proxy, in both spellings, without blanks', () => {
    const child = childOf({ https_proxy: 'http://proxy:3128', no_proxy: ' internal.example , 10.0.0.1 ' }, [
      'agents.example',
    ]);
    expect(child.no_proxy).toBe(child.NO_PROXY);
    expect(child.no_proxy).not.toMatch(/\s/);
    expect(child.no_proxy!.split(',')).toEqual(
      expect.arrayContaining([
        'internal.example',
        '10.0.0.1',
        'localhost',
        '127.0.0.1',
        '::1',
        '100.64.0.0/10',
        'agents.example',
      ]),
    );
    expect(child.https_proxy).toBe('http://proxy:3128');
  });

  it('treats a proxy without a scheme as HTTP, and sets no proxies if there are none', () => {
    expect(childOf({ HTTPS_PROXY: 'proxy:3128\r' }).HTTPS_PROXY).toBe('http://proxy:3128');
    expect(childOf({ NO_PROXY: 'x' })).toEqual({});
  });

  it('is refused with a missing folder for temporary files, together with all other problems', () => {
    const read = () => readConfig({ TMPDIR: '/not/there', PORT: 'eighty' });
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(/^ {2}- PORT .*\n {2}- TMPDIR must name an existing, writable folder/m);
    const folder = mkdtempSync(join(tmpdir(), 'with blank '));
    expect(readConfig({ TMPDIR: folder }).childEnvironment.TMPDIR).toBe(folder);
    const file = join(folder, 'file');
    writeFileSync(file, '', { mode: 0o700 });
    expect(() => readConfig({ TMPDIR: file })).toThrow(/TMPDIR must name an existing, writable folder/);
    rmSync(folder, { recursive: true });
  });
});

describe('a process of the service behind a proxy, with Postgres settings in its environment', () => {
  let proxy: RecordingProxy;
  beforeAll(async () => {
    proxy = await startProxy();
  });
  afterAll(() => proxy.close());

  it.each([
    [
      'lower case',
      (url: string) => ({ http_proxy: url, https_proxy: url, no_proxy: ' 10.0.0.1 , 127.0.0.1 ' }),
    ],
    ['upper case', (url: string) => ({ HTTP_PROXY: url, HTTPS_PROXY: url })],
    ['for gRPC', (url: string) => ({ grpc_proxy: url, https_proxy: url, no_grpc_proxy: 'elsewhere' })],
    ['of Node', (url: string) => ({ NODE_USE_ENV_PROXY: '1', http_proxy: url, HTTPS_PROXY: url })],
  ])(
    'reaches itself and its Postgres directly, and the outside through the proxy (%s)',
    async (_name, variables) => {
      proxy.seen.length = 0;
      const script = join(import.meta.dirname, 'processes', 'own-connections.ts');
      const { stdout } = await promisify(execFile)(process.execPath, [script, inject('postgresAdminUrl')], {
        env: {
          PATH: process.env.PATH,
          PGSSLMODE: 'require',
          PGOPTIONS: '-c search_path=elsewhere',
          PGAPPNAME: 'x',
          ...variables(proxy.url),
        },
      });
      expect(JSON.parse(stdout)).toEqual({
        fetch: 'answered',
        http: '200',
        grpc: 'connected',
        postgres: '"$user", public',
        own: expect.stringMatching(/^failed/),
        outside: expect.stringMatching(/^failed/),
      });
      expect(proxy.seen).toEqual(['CONNECT api.invalid:443']);
    },
    30_000,
  );
});
