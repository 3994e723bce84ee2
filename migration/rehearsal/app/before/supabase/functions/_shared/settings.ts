/** A whole number from the environment, for waits and limits that differ between production and a rehearsal. */
export function setting(name: string, fallback: number): number {
  const value = Number(Deno.env.get(name) ?? "");
  return Number.isInteger(value) && value > 0 ? value : fallback;
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
