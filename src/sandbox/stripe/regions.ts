/** What the order form offers; the service decides what they mean. */
export const regions = ['us-east', 'us-west', 'eu-central', 'eu-west', 'eu-north', 'ap-southeast'] as const;
