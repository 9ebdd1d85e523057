import { EngineProcess, type RunOptions } from './engine-process.ts';
import type { StackResult, StackTask } from './messages.ts';
import type { EngineSettings } from './run-stack.ts';

export interface EnginePool {
  /** Runs a task in an engine process that is free, or a new one. @throws one of our errors */
  run(task: StackTask, options: RunOptions): Promise<StackResult>;
  /** Ends all engine processes and what they started. */
  stop(): Promise<void>;
}

/**
 * Engine processes, reused: starting one costs more than half a second of processor time. There are as many as runs
 * at once, and `idle` of them stay for the next run. One that has seen a failed run is ended with all that it started.
 */
export function createEnginePool(options: {
  settings: EngineSettings;
  environment: Record<string, string>;
  processTags: Record<string, string>;
  idle: number;
}): EnginePool {
  const start = () => new EngineProcess(options.settings, options.environment, options.processTags);
  const all = new Set<EngineProcess>();
  const idle: EngineProcess[] = [];
  let stopped = false;

  const take = (): EngineProcess => {
    for (let engine = idle.pop(); engine !== undefined; engine = idle.pop()) {
      if (engine.isAlive) return engine;
      void end(engine);
    }
    const engine = start();
    all.add(engine);
    return engine;
  };
  const end = async (engine: EngineProcess) => {
    await engine.end();
    all.delete(engine);
  };

  // The first run should not wait for the SDK to load.
  idle.push(take());
  return {
    run: async (task, runOptions) => {
      if (stopped) throw new Error('The engines are stopping');
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
