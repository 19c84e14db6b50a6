import type { Statements } from "./connection.ts";

/** The one row that says who leads. No clock is in it: whether a leader lives shows in whether `renewals` grows. */
export interface Leadership {
  readonly epoch: number;
  readonly renewals: number;
  /** The leading replica's id; empty where the last leader has resigned. */
  readonly holder: string;
  /** Where the leader serves. */
  readonly url: string;
}

interface Row {
  readonly epoch: string;
  readonly renewals: string;
  readonly holder: string;
  readonly url: string;
}

export interface Candidate {
  readonly id: string;
  readonly url: string;
}

export async function readLeadership(connection: Statements): Promise<Leadership> {
  const text = "SELECT epoch, renewals, holder, url FROM skerry_leadership WHERE one = 1";
  const [row] = await connection.query<Row>({ name: "read-leadership", text });
  if (row === undefined) throw new Error("the table skerry_leadership has lost its row");
  return { ...row, epoch: Number(row.epoch), renewals: Number(row.renewals) };
}

/**
 * Becomes the leader if nothing has stirred since `seen`. From then on no commit of an older epoch can succeed, and all that
 * did succeed can be read. @returns the new epoch, undefined where the leader lives or another was faster
 */
export async function takeLeadership(
  connection: Statements,
  seen: Leadership,
  { id, url }: Candidate,
): Promise<number | undefined> {
  const text = `UPDATE skerry_leadership SET epoch = epoch + 1, renewals = 0, holder = $3, url = $4
    WHERE one = 1 AND epoch = $1 AND renewals = $2 RETURNING epoch`;
  const [row] = await connection.query<Row>({ text, values: [seen.epoch, seen.renewals, id, url] });
  return row === undefined ? undefined : Number(row.epoch);
}

/** Shows that the leader of `epoch` lives; false where another leads. */
export async function renewLeadership(connection: Statements, epoch: number): Promise<boolean> {
  const text = "UPDATE skerry_leadership SET renewals = renewals + 1 WHERE one = 1 AND epoch = $1 RETURNING epoch";
  return (await connection.query<Row>({ name: "renew-leadership", text, values: [epoch] })).length === 1;
}

/** Lets another replica lead at once. */
export async function resignLeadership(connection: Statements, epoch: number): Promise<void> {
  const text = "UPDATE skerry_leadership SET holder = '', renewals = renewals + 1 WHERE one = 1 AND epoch = $1";
  await connection.query({ text, values: [epoch] });
}
