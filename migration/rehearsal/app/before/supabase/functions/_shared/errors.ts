/** Why a request could not be served: `status` and `code` go to the caller, `message` too; nothing in it is secret. */
export class Refusal extends Error {
  constructor(readonly status: number, readonly code: string, message: string) {
    super(message);
    this.name = "Refusal";
  }
}

/** A model provider failed us. `providerStatus` is 0 when there was no answer. */
export class ProviderError extends Refusal {
  readonly providerStatus: number;
  readonly retryable: boolean;

  constructor(
    code: string,
    message: string,
    about: { status?: number; providerStatus?: number; retryable?: boolean } = {},
  ) {
    super(about.status ?? 502, code, message);
    this.name = "ProviderError";
    this.providerStatus = about.providerStatus ?? 0;
    this.retryable = about.retryable ?? false;
  }
}
