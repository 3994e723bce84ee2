/** Console lines of one request; each starts with the request's id, so that one grep tells its whole story. */
export interface Log {
  requestId: string;
  info(message: string, ...details: unknown[]): void;
  warn(message: string, ...details: unknown[]): void;
  error(message: string, ...details: unknown[]): void;
}

export function startLog(): Log {
  const requestId = crypto.randomUUID();
  const prefixed = (message: string) => `[${requestId}] ${message}`;
  return {
    requestId,
    info: (message, ...details) => console.log(prefixed(message), ...details),
    warn: (message, ...details) => console.warn(prefixed(message), ...details),
    error: (message, ...details) => console.error(prefixed(message), ...details),
  };
}
