/** Counts failed sign-ins by address, so that a token cannot be guessed by trying. */
export interface SignInAttempts {
  /** Seconds until this address may try again; 0 where it may now. */
  waitSeconds(address: string): number;
  failed(address: string): void;
}

const ALLOWED = 10;
const WINDOW_SECONDS = 60;
/** Bounds the memory that an attacker with many addresses can take. */
const MAX_ADDRESSES = 10_000;

export function createSignInAttempts(now: () => number = Date.now): SignInAttempts {
  const windows = new Map<string, { failures: number; endsAt: number }>();
  const current = (address: string) => {
    const window = windows.get(address);
    return window !== undefined && window.endsAt > now() ? window : undefined;
  };
  return {
    waitSeconds: (address) => {
      const window = current(address);
      if (window === undefined || window.failures < ALLOWED) return 0;
      return Math.ceil((window.endsAt - now()) / 1000);
    },
    failed: (address) => {
      const window = current(address) ?? { failures: 0, endsAt: now() + WINDOW_SECONDS * 1000 };
      if (windows.size >= MAX_ADDRESSES && !windows.has(address)) windows.clear();
      windows.set(address, { ...window, failures: window.failures + 1 });
    },
  };
}
