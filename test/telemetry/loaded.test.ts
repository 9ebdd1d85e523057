import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The packages of metrics and traces that a process has loaded after it ran these lines. */
function loadedBy(lines: string): string[] {
  const script = `
    import { createRequire } from 'node:module';
    ${lines}
    const files = Object.keys(createRequire('${root}package.json').cache);
    const packages = files.flatMap((file) => /node_modules.(prom-client|@opentelemetry.[a-z-]+)/.exec(file)?.[1] ?? []);
    console.log(JSON.stringify([...new Set(packages)]));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], { cwd: root });
  return JSON.parse(output.toString());
}

const EXPORTERS = '@opentelemetry/exporter-trace-otlp-http';

it('a process without a collector loads nothing that sends', () => {
  const open = (otlp: string) => `
    const { openTelemetry } = await import('${root}src/app/telemetry.ts');
    const telemetry = await openTelemetry({ role: 'all', config: { telemetry: { otlp: ${otlp} } } });
    await telemetry.stop();`;
  expect(loadedBy(open('undefined'))).toEqual(['prom-client', '@opentelemetry/api']);
  const settings = `{ endpoint: 'http://127.0.0.1:9', resourceAttributes: {}, timeoutMs: 100, serviceName: 'x' }`;
  expect(loadedBy(open(settings))).toContain(EXPORTERS);
}, 60_000);

it('engine processes, runners and commands load neither', () => {
  for (const file of ['src/pulumi/engine/run-stack.ts', 'src/runner/run-job.ts', 'src/cli/parse.ts'])
    expect(loadedBy(`await import('${root}${file}');`)).not.toContain('prom-client');
  // Pulumi brings exporters of its own.
  expect(loadedBy(`await import('${root}src/pulumi/engine/run-stack.ts');`)).not.toContain(EXPORTERS);
}, 120_000);
