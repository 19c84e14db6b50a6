/** Where operations and controllers tell the operator what went wrong or on; fastify's own logger fits. */
export interface Log {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}
