/** For tests that only burn processor time: other load on a small machine makes minutes of their seconds. */
export const PATIENT = { timeout: 120_000 };
