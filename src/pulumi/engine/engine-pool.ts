import { RunnerProcess, type RunOptions } from './engine-process.ts';
import type { StackResult, StackTask } from './messages.ts';
import type { RunnerSettings } from './run-stack.ts';

export interface RunnerPool {
  /** Runs a task in a runner that is free, or a new one. @throws one of our errors */
  run(task: StackTask, options: RunOptions): Promise<StackResult>;
  /** Ends all runners and what they started. */
  stop(): Promise<void>;
}

/**
 * Runner processes, reused: starting one costs more than half a second of processor time. There are as many as runs
 * at once, and `idle` of them stay for the next run. One that has seen a failed run is ended with all that it started.
 */
export function createRunnerPool(options: {
  settings: RunnerSettings;
  environment: Record<string, string>;
  marks: Record<string, string>;
  idle: number;
}): RunnerPool {
  const start = () => new RunnerProcess(options.settings, options.environment, options.marks);
  const all = new Set<RunnerProcess>();
  const idle: RunnerProcess[] = [];
  let stopped = false;

  const take = (): RunnerProcess => {
    for (let runner = idle.pop(); runner !== undefined; runner = idle.pop()) {
      if (runner.isAlive) return runner;
      void end(runner);
    }
    const runner = start();
    all.add(runner);
    return runner;
  };
  const end = async (runner: RunnerProcess) => {
    await runner.end();
    all.delete(runner);
  };

  // The first run should not wait for the SDK to load.
  idle.push(take());
  return {
    run: async (task, runOptions) => {
      if (stopped) throw new Error('The runners are stopping');
      const runner = take();
      try {
        const result = await runner.run(task, runOptions);
        if (idle.length < options.idle && !stopped) idle.push(runner);
        else await end(runner);
        return result;
      } catch (error) {
        await end(runner);
        throw error;
      }
    },
    stop: async () => {
      stopped = true;
      await Promise.all([...all].map(end));
    },
  };
}
