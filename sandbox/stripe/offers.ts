// What the order form offers; the service decides what it means.

export const regions = ['us-east', 'us-west', 'eu-central', 'eu-west', 'eu-north', 'ap-southeast'] as const;

/** Suggestions: any text can be ordered, to see what the service makes of it. */
export const plans = ['starter', 'pro', 'max'] as const;
