import { rmSync } from 'node:fs';
import { ConfigError } from '../config/config-error.ts';
import { useOwnEnvironment } from '../config/process-environment.ts';
import { errorMessage } from '../errors.ts';
import { complain, say } from '../processes/terminal-text.mjs';
import { readRunnerConfig } from '../runner/config.ts';
import { toWorkflowOutputs, writeOutputs } from '../runner/outputs.ts';
import { runJob } from '../runner/run-job.ts';
import { openEngine } from './engine.ts';

/**
 * `npm run runner`: executes one operation on a GitHub runner, with the same runbooks and stacks as a worker.
 * Exits with 0 on success, 1 on failure and 2 if its environment is invalid.
 */
async function main(): Promise<number> {
  const config = readRunnerConfig(process.env);
  useOwnEnvironment(process.env, config.childEnvironment);
  const ending = new AbortController();
  let exitCode = 1;
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    process.on(signal, () => {
      exitCode = code;
      ending.abort();
    });
  try {
    const outcome = await runJob({ config, openEngine, ending: ending.signal, say });
    const outputs = toWorkflowOutputs(outcome);
    if (config.outputFile !== undefined) writeOutputs(config.outputFile, outputs);
    if (outcome.status === 'succeeded') {
      say(`succeeded ${JSON.stringify(outputs)}`);
      return 0;
    }
    complain(`failed at ${outcome.failedStep}: ${outcome.error}`);
    return exitCode;
  } finally {
    if (config.isTemporary) rmSync(config.dataDir, { recursive: true, force: true });
  }
}

try {
  process.exit(await main());
} catch (error) {
  complain(errorMessage(error));
  process.exit(error instanceof ConfigError ? 2 : 1);
}
