export const headscaleVersion = '0.29.3';
export const tailscaleVersion = '1.102.5';
