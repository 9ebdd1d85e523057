// The offers of the order form. The service decides their meaning.

export const REGIONS = ['us-east', 'us-west', 'eu-central', 'eu-west', 'eu-north', 'ap-southeast'] as const;

/** Suggestions. The form accepts any text, to try how the service handles it. */
export const PLANS = ['starter', 'pro', 'max'] as const;
