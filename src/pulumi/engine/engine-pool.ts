import { EngineProcess, type RunOptions } from './engine-process.ts';
import type { StackResult, StackTask } from './messages.ts';
import type { EngineSettings } from './run-stack.ts';

export interface EnginePool {
  /** Runs a task in an idle process, or in a new one. @throws one of our errors */
  run(task: StackTask, options: RunOptions): Promise<StackResult>;
  /** Ends all processes and what they started. */
  stop(): Promise<void>;
}

/**
 * Reuses engine processes: starting one costs more than half a second of processor time. There is one for each
 * concurrent run, and `idle` of them stay for the next. A process whose run failed is ended with all that it started.
 */
export function createEnginePool(options: {
  settings: EngineSettings;
  environment: Record<string, string>;
  tags: Record<string, string>;
  idle: number;
}): EnginePool {
  const start = () => new EngineProcess(options.settings, options.environment, options.tags);
  const all = new Set<EngineProcess>();
  const idle: EngineProcess[] = [];
  let stopped = false;

  const take = (): EngineProcess => {
    for (let one = idle.pop(); one !== undefined; one = idle.pop()) {
      if (one.isAlive) return one;
      void end(one);
    }
    const made = start();
    all.add(made);
    return made;
  };
  const end = async (one: EngineProcess) => {
    await one.end();
    all.delete(one);
  };

  // The first run should not wait for the SDK to load.
  idle.push(take());
  return {
    run: async (task, runOptions) => {
      if (stopped) throw new Error('The engine is stopping');
      const engine = take();
      try {
        const result = await engine.run(task, runOptions);
        if (idle.length < options.idle && !stopped) idle.push(engine);
        else await end(engine);
        return result;
      } catch (error) {
        await end(engine);
        throw error;
      }
    },
    stop: async () => {
      stopped = true;
      await Promise.all([...all].map(end));
    },
  };
}
